package pganontest_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/pganon/pganon/pganontest"
)

// A program, such as a demonstration, starts a server by itself.
func ExampleStart() {
	ctx := context.Background()
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := pgx.Connect(ctx, server.DSN())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	var tables int
	if err := conn.QueryRow(ctx, "select count(*) from pg_tables where schemaname = 'public'").Scan(&tables); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tables, "tables")
	// Output: 0 tables
}

// The first use of a statement costs pgx two round trips, every further one costs one.
func ExampleProxy() {
	ctx := context.Background()
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	proxy, err := pganontest.NewProxy(server.DSN())
	if err != nil {
		log.Fatal(err)
	}
	defer proxy.Close()
	conn, err := pgx.Connect(ctx, proxy.DSN())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	for range 2 {
		proxy.Reset()
		var sum int
		if err := conn.QueryRow(ctx, "select $1::int + 1", 41).Scan(&sum); err != nil {
			log.Fatal(err)
		}
		fmt.Println(sum, proxy.RoundTrips(), proxy.Messages())
	}
	// Output:
	// 42 2 Parse Describe Sync Bind Execute Sync
	// 42 1 Bind Execute Sync
}

func ExampleAssertNoLeak() {
	_ = func(t *testing.T) {
		db := pganontest.New(t)
		db.Exec("create table patients (email text unique)")
		proxy := db.Proxy()
		conn, err := pgx.Connect(t.Context(), proxy.DSN())
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), "insert into patients values ($1)", "alice-7f3a@example.org")
		// This fails t: plain pgx sends the value as it is.
		pganontest.AssertNoLeak(t, []string{"alice-7f3a@example.org"}, proxy, err, db.ServerLog())
	}
}
