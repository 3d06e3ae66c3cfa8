// Command gorm is a small service on pganon and GORM: the people of two companies, as human resources, managers, staff and
// visitors may see them. It starts a database by itself and leaves nothing behind.
//
//	go run .                  # what everybody gets, asked for over HTTP
//	go run . -listen :8080    # the service itself, until it is interrupted
//
// The models are in models.go, what the database holds besides in roles.sql, policies.sql and masks.sql; app.go puts the service
// together.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/pganontest"
)

func main() {
	listen := flag.String("listen", "", "serve on this address until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "gorm:", err)
		os.Exit(1)
	}
}

// accounts are those of the story. Each has the login's name as its password: it is a story.
var accounts = []struct{ login, company, groups string }{
	{"hanna", "north", "hr"},
	{"max", "north", "managers"},
	{"stan", "north", "staff"},
	{"hugo", "south", "hr"},
}

func run(ctx context.Context, out io.Writer, listen string) (err error) {
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	address := listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	// A real service has its keys from its secret store. Who loses them has lost what they encrypt.
	keys, err := os.CreateTemp("", "people-keys-") // readable by its owner alone
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(keys.Name())) }()
	_, err = keys.WriteString(fernet.GenerateKey().Encode())
	if err := errors.Join(err, keys.Close()); err != nil {
		return err
	}
	c := Config{
		Roles: "people", Domain: "localhost:" + port, PrepareStmt: true, KeysFile: keys.Name(),
		Logger: slog.New(slog.DiscardHandler),
	}
	if listen != "" {
		c.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	defer func() { err = errors.Join(err, c.drop(server.DSN())) }()
	if c.DSN, err = c.install(ctx, server.DSN()); err != nil {
		return err
	}

	app, err := NewApp(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	handler, err := app.Handler()
	if err != nil {
		return err
	}
	httpServer := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- httpServer.Serve(listener) }()
	defer func() {
		err = errors.Join(err, httpServer.Shutdown(context.WithoutCancel(ctx)))
		if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
			err = errors.Join(err, failed)
		}
	}()
	if listen == "" {
		return story(ctx, out, port)
	}
	fmt.Fprintf(out, `Log in with a name as its own password: hanna, max, stan; hugo at south.
    curl http://north.localhost:%[1]s/login -d '{"login":"max","password":"max"}'
    curl http://north.localhost:%[1]s/employees -H 'Authorization: Bearer …'
`, port)
	<-ctx.Done()
	return nil
}

// install migrates the database, adds the accounts, and returns the DSN of the login role, with a password of its own.
func (c Config) install(ctx context.Context, ownerDSN string) (string, error) {
	if err := c.migrate(ctx, ownerDSN); err != nil {
		return "", err
	}
	pool, err := driver.OpenSystem(ownerDSN, "first accounts")
	if err != nil {
		return "", err
	}
	defer pool.Close()
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{Logger: newSQLLog(c.Logger)})
	if err != nil {
		return "", err
	}
	var list []Account
	for _, a := range accounts {
		list = append(list, newAccount(a.login, a.login, a.company, a.groups))
	}
	if err := db.WithContext(ctx).Create(&list).Error; err != nil {
		return "", err
	}
	password := rand.Text()
	if _, err := pool.ExecContext(ctx, "ALTER ROLE "+c.Roles+"_app PASSWORD '"+password+"'"); err != nil {
		return "", err
	}
	dsn, err := url.Parse(ownerDSN)
	if err != nil {
		return "", err
	}
	dsn.User = url.UserPassword(c.Roles+"_app", password)
	return dsn.String(), nil
}

// drop is for a server that was there before: it takes away what install has made.
func (c Config) drop(ownerDSN string) (err error) {
	pool, err := driver.OpenSystem(ownerDSN, "drop everything")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var roles []string
	for _, role := range []string{"app", "auth", "full", "limited", "public", "none", "masks"} {
		roles = append(roles, c.Roles+"_"+role)
	}
	_, err = pool.Exec(`DROP VIEW IF EXISTS directory; DROP SCHEMA IF EXISTS ` + c.Roles + `_limited CASCADE;
		DROP TABLE IF EXISTS sessions, accounts, changes, reviews, employee_skills, employees, skills, departments;
		DROP DOMAIN IF EXISTS email_token, ssn_token; DROP FUNCTION IF EXISTS current_company();
		DROP OWNED BY ` + strings.Join(roles, ", ") + `; DROP ROLE ` + strings.Join(roles, ", "))
	return err
}
