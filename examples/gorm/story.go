package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// client is one who asks at the site of a company.
type client struct {
	http *http.Client
	base string
	auth string
}

// newClient finds every subdomain of localhost at home, as browsers do.
func newClient(company, port string) *client {
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	return &client{http: &http.Client{Transport: transport, Timeout: time.Minute}, base: "http://" + company + ".localhost:" + port}
}

// do sends a request and returns the status and the body.
func (c *client) do(ctx context.Context, method, path string, body any) (int, string, error) {
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return 0, "", err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, &in)
	if err != nil {
		return 0, "", err
	}
	if c.auth != "" {
		r.Header.Set("Authorization", c.auth)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// login logs in.
func (c *client) login(ctx context.Context, name, password string) (int, error) {
	status, body, err := c.do(ctx, "POST", "/login", map[string]string{"login": name, "password": password})
	if err != nil || status != http.StatusOK {
		return status, err
	}
	var got struct{ Token string }
	err = json.Unmarshal([]byte(body), &got)
	c.auth = "Bearer " + got.Token
	return status, err
}

// story asks as everybody and prints what they get.
func story(ctx context.Context, out io.Writer, port string) error {
	clients := map[string]*client{"a visitor": newClient("north", port)}
	for _, a := range accounts {
		c := newClient(a.company, port)
		if status, err := c.login(ctx, a.login, a.login); err != nil || status != http.StatusOK {
			return fmt.Errorf("log in %s: %d %w", a.login, status, err)
		}
		clients[a.login] = c
	}
	ann := person{Name: "Ann Berg", Email: "Ann@example.com", Phone: "555-0171", SSN: "078-05-1120", Salary: 61_000}
	ann.Department, ann.Skills = "Sales", []string{"Go", "SQL"}
	ben := person{Name: "Ben Castro", Email: "ben@example.org", Phone: "555-0132", SSN: "219-09-9999", Salary: 48_500}
	ben.Department = "Sales"
	cleo := person{Name: "Cleo Dubois", Email: "cleo@example.com", SSN: "457-55-5462", Salary: 72_000}
	for _, step := range []struct {
		who, title, method, path string
		body                     any
	}{
		{"hanna", "Human resources hires two people, and one again by mistake", "POST", "/employees/import", []person{ann, ben, ann}},
		{"hugo", "Another company hires, too", "POST", "/employees", cleo},
		{"hanna", "Human resources sees its own company", "GET", "/employees", nil},
		{"hugo", "The other one its own", "GET", "/employees", nil},
		{"max", "A manager sees what is masked", "GET", "/employees", nil},
		{"max", "… and must not save it over what is not", "PUT", "/employees/1", map[string]any{"salary": 65_000}},
		{"stan", "Staff has no role that may read it", "GET", "/employees", nil},
		{"a visitor", "A visitor sees the directory", "GET", "/directory", nil},
		{"a visitor", "… and nothing else", "GET", "/employees", nil},
		{"hanna", "The export is masked for human resources, too", "GET", "/export", nil},
		{"hanna", "Hers is not", "GET", "/admin/export", nil},
		{"hanna", "… but where she says so", "GET", "/admin/export?masked=yes", nil},
		{"hanna", "The audit trail", "GET", "/changes", nil},
	} {
		status, body, err := clients[step.who].do(ctx, step.method, step.path, step.body)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s:\n    %s: %s %s\n    %d %s\n\n", step.title, step.who, step.method, step.path,
			status, strings.ReplaceAll(body, "\n", "\n        "))
	}
	return nil
}
