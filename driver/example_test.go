package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/pganontest"
)

// exampleDSN is that of a database for the examples of this package. Its server ends with the process.
var exampleDSN = sync.OnceValue(func() string {
	server, err := pganontest.Start(context.Background(), pganontest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return server.DSN()
})

// The DSN has most of the configuration; what only Go can say is in Config.
func ExampleOpen() {
	db, err := driver.Open(exampleDSN()+"&pganon.claims=request.jwt.claims", driver.Config{
		AllowSettings: []string{"statement_timeout"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{
		User: "u42", Tenant: "north", Settings: map[string]string{"statement_timeout": "3s"},
	})
	var tenant, claims, timeout string
	err = db.QueryRowContext(ctx, "SELECT current_setting('rls.tenant_id'), current_setting('request.jwt.claims')::json->>'sub', current_setting('statement_timeout')").
		Scan(&tenant, &claims, &timeout)
	fmt.Println(tenant, claims, timeout, err)
	// Output: north u42 3s <nil>
}

// Tools that take no context get a handle whose every statement runs as the login role.
func ExampleOpenSystem() {
	db, err := driver.OpenSystem(exampleDSN(), "migrations")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	_, err = db.Exec("CREATE TABLE wards (name text)")
	fmt.Println(err)
	// Output: <nil>
}

// A misspelt key is an error before anything is sent.
func ExampleNewConnector() {
	_, err := driver.NewConnector("postgres://app@db.internal/clinic?pganon.masked_rol=analyst", driver.Config{})
	fmt.Println(err)

	connector, err := driver.NewConnector("postgres://app@db.internal/clinic?pganon.masked_role=analyst", driver.Config{})
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector) // it connects with the first statement
	defer db.Close()
	// Output: pganon: parse dsn: unknown key pganon.masked_rol: did you mean pganon.masked_role?
}

// COPY, under the identity of the context.
func ExampleInTx() {
	db, err := sql.Open("pganon", exampleDSN())
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "u42"})
	conn, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE readings (by text DEFAULT current_setting('rls.user_id'), pulse int)"); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"readings"}, []string{"pulse"}, pgx.CopyFromRows([][]any{{61}, {64}, {70}}))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	var n int
	err = conn.QueryRowContext(ctx, "SELECT count(*) FROM readings WHERE by = 'u42'").Scan(&n)
	fmt.Println(n, err)
	// Output: 3 <nil>
}

// COPY into a table with an encrypted column.
func ExampleCopyFrom() {
	keys, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	db, err := driver.Open(exampleDSN(), driver.Config{Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ctx := pganon.System(context.Background(), "import")
	domain, err := hooks.DomainSQL(hooks.Domain{Name: "pulse_token", Tag: hooks.Tag{Encrypt: true, Type: "int8", Key: "pulse"}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, domain+"CREATE TABLE pulses (pulse pulse_token)"); err != nil {
		log.Fatal(err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	n, err := driver.CopyFrom(ctx, conn, pgx.Identifier{"pulses"}, []string{"pulse"}, pgx.CopyFromRows([][]any{{61}, {64}}))
	fmt.Println(n, err)
	rows, err := conn.QueryContext(ctx, "SELECT pulse FROM pulses")
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var pulse int
		if err := rows.Scan(&pulse); err != nil {
			log.Fatal(err)
		}
		fmt.Println(pulse)
	}
	// Output:
	// 2 <nil>
	// 61
	// 64
}
