package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
)

// encryptedRows is how many people the table of the encrypted block has.
const encryptedRows = 10_000

// encrypted compares a table with encrypted columns to plain pgx, which reads and writes the same bytes: the tokens. They are in a
// database of their own, so that the other blocks have nothing to do with them.
func (b *bed) encrypted(ctx context.Context) ([]comparison, error) {
	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		return nil, err
	}
	mail := hooks.Domain{Name: "mail_token", Tag: hooks.Tag{Encrypt: true, Deterministic: true, Key: "mail"}}
	note := hooks.Domain{Name: "note_token", Tag: hooks.Tag{Encrypt: true, Key: "note"}}
	script := bedSQL
	for _, d := range []hooks.Domain{mail, note} {
		made, err := hooks.DomainSQL(d)
		if err != nil {
			return nil, err
		}
		script += made
	}
	script += `
create table people (id bigint generated always as identity primary key, name text not null, email mail_token unique, note note_token);
create table written (id bigint generated always as identity primary key, name text not null, email mail_token, note note_token);
grant select, insert on people, written to :app, :one`
	dsn, err := b.another(ctx, strings.NewReplacer(":app", b.app, ":one", b.one, ":two", b.two).Replace(script))
	if err != nil {
		return nil, err
	}
	plain, err := b.open(sql.Open("pgx", dsn))
	if err != nil {
		return nil, err
	}
	ours, err := b.open(driver.Open(dsn, driver.Config{Keys: ring}))
	if err != nil {
		return nil, err
	}
	for _, db := range []*sql.DB{plain, ours} {
		db.SetMaxOpenConns(1)
		db.SetMaxIdleConns(1)
	}
	id := pganon.WithIdentity(ctx, b.as(b.one))
	if err := b.fill(id, ours); err != nil {
		return nil, err
	}
	var token, noteToken string
	if err := plain.QueryRowContext(ctx, "select email, note from people where id = 77").Scan(&token, &noteToken); err != nil {
		return nil, err
	}
	read := func(ctx context.Context, db *sql.DB) func() error {
		return func() error {
			rows, err := db.QueryContext(ctx, "select id, name, note from people")
			if err != nil {
				return err
			}
			defer rows.Close()
			n := 0
			for ; rows.Next(); n++ {
				var id int64
				var name, note string
				if err := rows.Scan(&id, &name, &note); err != nil {
					return err
				}
			}
			if rows.Err() == nil && n != encryptedRows {
				return fmt.Errorf("%d rows, want %d", n, encryptedRows)
			}
			return rows.Err()
		}
	}
	find := func(ctx context.Context, db *sql.DB, value string) func() error {
		return func() error {
			var id int64
			var name, email string
			return db.QueryRowContext(ctx, "select id, name, email from people where email = $1", value).Scan(&id, &name, &email)
		}
	}
	write := func(ctx context.Context, db *sql.DB, email, note string) func() error {
		return func() error {
			_, err := db.ExecContext(ctx, "insert into written (name, email, note) values ($1, $2, $3)", "somebody", email, note)
			return err
		}
	}
	untagged := func(db *sql.DB) func() error { return func() error { return point(id, db, pointSQL) } }
	without, err := b.open(driver.Open(b.tcp, driver.Config{Keys: ring}))
	if err != nil {
		return nil, err
	}
	without.SetMaxOpenConns(1)
	return []comparison{
		{name: "10,000 rows with one encrypted column of 32 bytes", rounds: 60, ops: 2, allocs: true, lines: []line{
			{name: "pgx", op: read(ctx, plain)},
			{name: "identity", op: read(id, ours), against: "pgx", target: atMost(1.9)},
		}},
		{name: "one row by a deterministic column", rounds: 400, ops: 25, allocs: true, lines: []line{
			{name: "pgx", op: find(ctx, plain, token)},
			{name: "identity", op: find(id, ours, mailOf(77)), against: "pgx", target: atMost(1.6)},
		}},
		{name: "insert of a row with two encrypted columns", rounds: 200, ops: 25, allocs: true, lines: []line{
			{name: "pgx", op: write(ctx, plain, token, noteToken)},
			{name: "identity", op: write(id, ours, mailOf(77), noteOf(77)), against: "pgx", target: atMost(1.3)},
		}},
		{name: "one row of a table without encrypted columns", rounds: 400, ops: 25, allocs: true, lines: []line{
			{name: "no tags", op: untagged(without)},
			{name: "tags", op: untagged(ours), against: "no tags", target: atMost(1.03)},
		}},
	}, nil
}

// another makes another database by a script, and returns the DSN of the login role there.
func (b *bed) another(ctx context.Context, script string) (string, error) {
	const name = "pganon_bench_encrypted"
	at := func(dsn string) (string, error) {
		u, err := url.Parse(dsn)
		if err != nil {
			return "", err
		}
		u.Path = "/" + name
		return u.String(), nil
	}
	if _, err := b.owner.ExecContext(ctx, "create database "+name); err != nil {
		return "", err
	}
	b.closers = append(b.closers, func() error {
		_, err := b.owner.Exec("drop database " + name)
		return err
	})
	dsn, err := at(b.dsn)
	if err != nil {
		return "", err
	}
	owner, err := sql.Open("pgx", dsn)
	if err != nil {
		return "", err
	}
	defer owner.Close()
	if _, err := owner.ExecContext(ctx, script); err != nil {
		return "", fmt.Errorf("make encrypted tables: %w", err)
	}
	return at(b.tcp)
}

func mailOf(n int) string { return "person" + strconv.Itoa(n) + "@example.org" }

// noteOf is 32 bytes long.
func noteOf(n int) string { return fmt.Sprintf("%032d", n) }

func (b *bed) fill(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	const batch = 500
	var text strings.Builder
	text.WriteString("insert into people (name, email, note) values ")
	for i := range batch {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "($%d, $%d, $%d)", 3*i+1, 3*i+2, 3*i+3)
	}
	for at := 1; at <= encryptedRows; at += batch {
		args := make([]any, 0, 3*batch)
		for n := at; n < at+batch; n++ {
			args = append(args, "name "+strconv.Itoa(n), mailOf(n), noteOf(n))
		}
		if _, err := tx.ExecContext(ctx, text.String(), args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
