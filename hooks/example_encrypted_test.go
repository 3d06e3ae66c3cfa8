package hooks_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

// The text argument of a function, and a token inside of JSON: SQL does not say which column they belong to.
func ExampleEncrypted() {
	ctx := pganon.System(context.Background(), "example")
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	keys, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	db, err := driver.Open(server.DSN(), driver.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	domain, err := hooks.DomainSQL(hooks.Domain{Name: "mail_token", Tag: hooks.Tag{Encrypt: true, Key: "mail"}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err = db.ExecContext(ctx, domain+`CREATE TABLE users (email mail_token);
		CREATE FUNCTION register(mail text) RETURNS jsonb LANGUAGE sql AS
		'INSERT INTO users VALUES (mail) RETURNING jsonb_build_object(''email'', email)'`); err != nil {
		log.Fatal(err)
	}

	var token string
	err = db.QueryRowContext(ctx, "SELECT register($1)->>'email'", hooks.Encrypted("public.users.email", "ada@example.org")).Scan(&token)
	if err != nil {
		log.Fatal(err)
	}
	value, err := hooks.Decrypt(ctx, db, "public.users.email", token)
	fmt.Println(token[:8], value, err)
	// Output: gAAAAAAB ada@example.org <nil>
}
