package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"text/tabwriter"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganontest"
)

// roundTrips does the same on plain pgx, as the owner of the tables, and on pganon, as a doctor, each through a proxy that
// counts.
func roundTrips(ctx context.Context, out io.Writer, ownerDSN, dsn string) error {
	pgx, err := count(ctx, "pgx", ownerDSN)
	if err != nil {
		return err
	}
	ours, err := count(pganon.WithIdentity(ctx, doctorNorth), "pganon", dsn)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "    \tpgx\tpganon")
	for i, what := range work {
		fmt.Fprintf(table, "    %s\t%d\t%d\n", what.name, pgx[i], ours[i])
	}
	return table.Flush()
}

var work = []struct {
	name string
	do   func(context.Context, *sql.Conn) error
}{
	{"a SELECT, the first time on a connection", selectOne[*sql.Conn]},
	{"the same SELECT from then on", selectOne[*sql.Conn]},
	{"a transaction of three of them", func(ctx context.Context, conn *sql.Conn) error {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		for range 3 {
			if err := selectOne(ctx, tx); err != nil {
				return err
			}
		}
		return tx.Commit()
	}},
}

func selectOne[Q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}](ctx context.Context, db Q) error {
	var name string
	return db.QueryRowContext(ctx, "SELECT name FROM patients WHERE id = $1", 1).Scan(&name)
}

// count returns the round trips of each piece of work.
func count(ctx context.Context, driver, dsn string) ([]int, error) {
	proxy, err := pganontest.NewProxy(dsn)
	if err != nil {
		return nil, err
	}
	defer proxy.Close()
	db, err := sql.Open(driver, proxy.DSN())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var trips []int
	for _, what := range work {
		proxy.Reset()
		if err := what.do(ctx, conn); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", driver, what.name, err)
		}
		trips = append(trips, proxy.RoundTrips())
	}
	return trips, nil
}
