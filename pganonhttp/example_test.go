package pganonhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganonhttp"
)

// A JWT library leaves the claims of a token it has verified in the context.
func ExampleClaims() {
	type key struct{}
	extract := pganonhttp.Claims{Settings: map[string]string{"zoneinfo": "zone"}}.Extractor(
		func(ctx context.Context) (map[string]any, bool) {
			claims, ok := ctx.Value(key{}).(map[string]any)
			return claims, ok
		})

	token := map[string]any{"sub": "u42", "org_id": "north", "roles": []any{"doctors"}, "zoneinfo": "Europe/Berlin"}
	r := httptest.NewRequest("GET", "/patients", nil)
	id, err := extract(r.WithContext(context.WithValue(r.Context(), key{}, token)))
	fmt.Println(id.User, id.Tenant, id.Groups, id.Settings["zone"], err)

	_, err = extract(r)
	fmt.Println(errors.Is(err, pganon.ErrNoIdentity))
	// Output:
	// u42 north [doctors] Europe/Berlin <nil>
	// true
}

func ExampleProxyHeaders() {
	extract, err := pganonhttp.ProxyHeaders{
		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/28")},
		User:    "X-Forwarded-User",
		Groups:  "X-Forwarded-Groups",
	}.Extractor()
	if err != nil {
		panic(err)
	}
	for _, peer := range []string{"10.0.3.4:5000", "203.0.113.9:5000"} {
		r := httptest.NewRequest("GET", "/patients", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-User", "u42")
		r.Header.Set("X-Forwarded-Groups", "doctors, staff")
		id, err := extract(r)
		fmt.Printf("%q %q %v\n", id.User, id.Groups, err)
	}
	// Output:
	// "u42" ["doctors" "staff"] <nil>
	// "" [] pganon: invalid identity: header X-Forwarded-User: it was sent by a peer that is not among the trusted proxies
}

// The tenant of the subdomain must be the token's.
func ExampleAll() {
	token := func(*http.Request) (pganon.Identity, error) {
		return pganon.Identity{User: "u42", Tenant: "north"}, nil
	}
	subdomain, err := pganonhttp.Subdomain("example.com")
	if err != nil {
		panic(err)
	}
	extract := pganonhttp.All(token, subdomain)
	for _, host := range []string{"north", "south"} {
		id, err := extract(httptest.NewRequest("GET", "http://"+host+".example.com/", nil))
		fmt.Printf("%q %v\n", id.Tenant, err)
	}
	// Output:
	// "north" <nil>
	// "" pganon: invalid identity: two extractors differ in the tenant
}

// Who comes without a session is served as an anonymous visitor.
func ExampleFirst() {
	session := func(r *http.Request) (pganon.Identity, error) {
		if c, err := r.Cookie("session"); err != nil {
			return pganon.Identity{}, pganon.ErrNoIdentity
		} else if c.Value != "s3cr3t" {
			return pganon.Identity{}, errors.New("no such session")
		}
		return pganon.Identity{User: "u42"}, nil
	}
	anonymous := func(*http.Request) (pganon.Identity, error) {
		return pganon.Identity{Groups: []string{"visitors"}}, nil
	}
	handler := pganon.Middleware(pganonhttp.First(session, anonymous))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := pganon.IdentityFrom(r.Context())
		fmt.Fprintf(w, "%q %q", id.User, id.Groups)
	}))
	for _, cookie := range []string{"", "session=s3cr3t", "session=guess"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 "" ["visitors"]
	// 200 "u42" []
	// 401 Unauthorized
}

func ExampleNewLookup() {
	asked := 0
	sessions, err := pganonhttp.NewLookup(func(ctx context.Context, token string) (pganon.Identity, error) {
		asked++ // db.QueryRowContext(pganon.System(ctx, "who is asking"), "SELECT … FROM sessions WHERE token = $1", hash(token))
		return pganon.Identity{User: "u42", Tenant: "north"}, nil
	}, pganonhttp.LookupConfig{TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	extract := sessions.Extractor(func(r *http.Request) (string, error) {
		c, err := r.Cookie("session")
		if err != nil {
			return "", pganon.ErrNoIdentity
		}
		return c.Value, nil
	})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "session=s3cr3t")
	for range 3 {
		if _, err := extract(r); err != nil {
			panic(err)
		}
	}
	fmt.Println(asked)
	sessions.Forget("s3cr3t") // the user has logged out
	if _, err := extract(r); err != nil {
		panic(err)
	}
	fmt.Println(asked)
	// Output:
	// 1
	// 2
}
