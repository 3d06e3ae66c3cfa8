package redact_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/redact"
)

func ExampleError() {
	err := error(&pgconn.PgError{
		Severity: "ERROR", Code: "23505", Routine: "_bt_check_unique", ConstraintName: "users_email_key",
		Message: `duplicate key value violates unique constraint "users_email_key"`,
		Detail:  "Key (email)=(alice@example.org) already exists.",
	})
	err = redact.Error(err)
	fmt.Println(err)

	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		fmt.Println(pgErr.Code, pgErr.ConstraintName)
	}
	// Output:
	// ERROR: duplicate key value violates unique constraint "users_email_key" (SQLSTATE 23505)
	// 23505 users_email_key
}

func ExampleStatement() {
	err := &pgconn.PgError{Severity: "ERROR", Code: "42703", Position: 8, Routine: "errorMissingColumn"}
	fmt.Println(redact.Statement(err, "select emial from users"))
	// Output: ERROR: column "emial" does not exist (SQLSTATE 42703)
}

func ExampleSafe() {
	err := fmt.Errorf("close shop: %w", os.ErrClosed) // who knows what is in it
	fmt.Println(redact.Error(err))
	fmt.Println(redact.Error(redact.Safe(err)))
	// Output:
	// …: file already closed
	// close shop: file already closed
}

func ExampleUnsafe() {
	err := redact.Error(&pgconn.PgError{Severity: "ERROR", Code: "22P02", Message: `invalid input syntax for type integer: "alice"`, Routine: "pg_strtoint32"})
	fmt.Println(err)
	fmt.Println(redact.Unsafe(err)) // for a debugger, never for a log
	// Output:
	// ERROR: invalid input syntax for type integer (SQLSTATE 22P02)
	// ERROR: invalid input syntax for type integer: "alice" (SQLSTATE 22P02)
}

func ExamplePanic() {
	err := func() (err error) {
		defer func() { err = redact.Panic(recover()) }()
		panic("no such customer: alice@example.org")
	}()
	fmt.Println(strings.Contains(err.Error(), "alice"))
	// Output: false
}

func ExampleHandler() {
	text := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	logger := slog.New(redact.Handler(text, redact.Options{Names: []string{"email"}}))
	logger.Info("signed in", "user_id", 7, "userEmail", "alice@example.org", "dsn2", "postgres://app:hunter2@db/shop")
	// Output: level=INFO msg="signed in" user_id=7 userEmail=******** dsn2=postgres://app:********@db/shop
}

func ExampleSecret() {
	password := redact.NewSecret("hunter2")
	fmt.Println(password)
	fmt.Println(len(password.Reveal()))
	// Output:
	// ********
	// 7
}

func ExampleSQL() {
	fmt.Println(redact.SQL("select id from users where email = 'alice@example.org' and tenant = $1 limit 5"))
	// Output: select id from users where email = '…' and tenant = $1 limit 0
}

func ExampleForm() {
	form := url.Values{"user": {"alice"}, "password": {"hunter2"}}
	fmt.Println(redact.Form(form))
	// Output: map[password:[********] user:[alice]]
}

func ExampleRequest() {
	r, _ := http.NewRequest("POST", "https://shop.example/login?token=t0ps3cret", strings.NewReader(`{"user":"alice","password":"hunter2"}`))
	r.Header.Set("Content-Type", "application/json")
	fmt.Println(redact.Request(r))
	// Output: method="POST" url="https://shop.example/login?token=********" host="shop.example" remote="" headers="[Content-Type=application/json]" body="map[password:******** user:alice]"
}
