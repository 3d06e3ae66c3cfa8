package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// bed is a database with everything that the measurements run against.
type bed struct {
	owner   *sql.DB // the first of closers
	dsn     string  // of the owner
	tcp     string  // DSN of the login role
	unix    string  // the same over a Unix socket, "" where there is none
	app     string  // login role
	one     string  // the roles of identities
	two     string
	closers []func() error
}

//go:embed roles.sql
var rolesSQL string

//go:embed bed.sql
var bedSQL string

// newBed makes the roles and tables in the empty database that dsn names.
func newBed(ctx context.Context, dsn string) (_ *bed, err error) {
	suffix := strings.ToLower(rand.Text())
	b := &bed{dsn: dsn, app: "pganon_bench_app_" + suffix, one: "pganon_bench_one_" + suffix, two: "pganon_bench_two_" + suffix}
	if b.owner, err = b.open(sql.Open("pgx", dsn)); err != nil {
		return nil, err
	}
	password := rand.Text()
	script := strings.NewReplacer(":app", b.app, ":one", b.one, ":two", b.two, ":password", "'"+password+"'").Replace(rolesSQL + bedSQL)
	if _, err := b.owner.ExecContext(ctx, script); err != nil {
		return nil, closed(fmt.Errorf("make tables: %w", err), b.close)
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, closed(err, b.close)
	}
	u.User = url.UserPassword(b.app, password)
	b.tcp = u.String()
	if b.unix, err = b.socket(ctx, u); err != nil {
		return nil, closed(err, b.close)
	}
	return b, nil
}

// socket returns u over the server's first Unix socket that can be reached from here.
func (b *bed) socket(ctx context.Context, u *url.URL) (string, error) {
	var dirs, port string
	// Not everyone may see where the sockets are.
	const where = "select coalesce((select setting from pg_settings where name = 'unix_socket_directories'), ''), current_setting('port')"
	if err := b.owner.QueryRowContext(ctx, where).Scan(&dirs, &port); err != nil {
		return "", err
	}
	for dir := range strings.SplitSeq(dirs, ",") {
		dir = strings.TrimSpace(dir)
		if _, err := os.Stat(filepath.Join(dir, ".s.PGSQL."+port)); err != nil || !filepath.IsAbs(dir) {
			continue
		}
		over := *u
		over.Host = ""
		query := over.Query()
		query.Set("host", dir)
		query.Set("port", port)
		over.RawQuery = query.Encode()
		return over.String(), nil
	}
	return "", nil
}

func (b *bed) close() error {
	var errs []error
	for i := len(b.closers) - 1; i > 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	_, err := b.owner.Exec("drop table if exists items, tenant_items; drop role if exists " + strings.Join([]string{b.app, b.one, b.two}, ", "))
	errs = append(errs, err)
	return errors.Join(append(errs, b.owner.Close())...)
}

func (b *bed) open(db *sql.DB, err error) (*sql.DB, error) {
	if err == nil {
		b.closers = append(b.closers, db.Close)
	}
	return db, err
}

// handles are the same database through each of the drivers, with conns connections each.
type handles struct{ pgx, none, identity, one, alternating, fresh, hand, redacted, unredacted *sql.DB }

func (b *bed) handles(dsn string, conns int) (*handles, error) {
	h := &handles{}
	for _, to := range []struct {
		db   **sql.DB
		open func() (*sql.DB, error)
	}{
		{&h.pgx, func() (*sql.DB, error) { return sql.Open("pgx", dsn) }},
		{&h.hand, func() (*sql.DB, error) { return sql.Open("pgx", dsn) }},
		{&h.none, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{Identity: "optional"}) }},
		{&h.identity, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) }},
		{&h.fresh, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) }},
		{&h.one, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) }},
		{&h.alternating, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) }},
		{&h.redacted, func() (*sql.DB, error) { return driver.Open(dsn, driver.Config{}) }},
		{&h.unredacted, func() (*sql.DB, error) {
			return driver.Open(dsn, driver.Config{Redact: "off", Logger: slog.New(slog.DiscardHandler)})
		}},
	} {
		db, err := b.open(to.open())
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		*to.db = db
	}
	return h, nil
}

// slow returns the DSN of the login role through a proxy that adds latency to every round trip.
func (b *bed) slow(latency time.Duration) (string, error) {
	proxy, err := pganontest.NewProxy(b.tcp)
	if err != nil {
		return "", err
	}
	b.closers = append(b.closers, proxy.Close)
	proxy.SetRecording(false)
	proxy.SetLatency(latency)
	return proxy.DSN(), nil
}

// comparisons returns what is measured. Its contexts, which can be cancelled as those of requests can, derive from ctx.
func (b *bed) comparisons(ctx context.Context) ([]comparison, error) {
	tcp, err := b.handles(b.tcp, 1)
	if err != nil {
		return nil, err
	}
	point := b.point(ctx, tcp, targets{none: atMost(1.10), identity: atMost(1.35), hand: atLeast(2.5)})
	point.name, point.rounds, point.ops, point.allocs = "one row, TCP", 400, 25, true
	all := []comparison{point}
	if b.unix != "" {
		unix, err := b.handles(b.unix, 1)
		if err != nil {
			return nil, err
		}
		point := b.point(ctx, unix, targets{identity: atMost(1.6)})
		point.name, point.rounds, point.ops = "one row, Unix socket", 400, 25
		all = append(all, point)
	}
	for _, far := range []struct {
		latency time.Duration
		targets targets
	}{{500 * time.Microsecond, targets{}}, {2 * time.Millisecond, targets{identity: atMost(1.02)}}} {
		dsn, err := b.slow(far.latency)
		if err != nil {
			return nil, err
		}
		h, err := b.handles(dsn, 1)
		if err != nil {
			return nil, err
		}
		point := b.point(ctx, h, far.targets)
		point.name, point.rounds, point.ops = fmt.Sprintf("one row, TCP and %v more a round trip", far.latency), 100, 5
		all = append(all, point)
	}
	all = append(all, b.roles(ctx, tcp), b.redaction(ctx, tcp), b.many(ctx, tcp))
	for _, goroutines := range []int{1, 8, 64} {
		conns := min(goroutines, 8)
		h, err := b.handles(b.tcp, conns)
		if err != nil {
			return nil, err
		}
		point := b.point(ctx, h, targets{})
		point.name, point.rounds, point.ops = fmt.Sprintf("one row, TCP, goroutines: %d, connections: %d", goroutines, conns), 60, 256
		point.goroutines = goroutines
		all = append(all, point)
	}
	encrypted, err := b.encrypted(ctx)
	if err != nil {
		return nil, err
	}
	return append(all, encrypted...), nil
}

func (b *bed) as(role string) pganon.Identity {
	return pganon.Identity{User: "u42", Tenant: "north", Role: role}
}

const pointSQL = "select name, price from items where id = $1"

type targets struct{ none, identity, hand target }

// point compares all ways to read one row by its key.
func (b *bed) point(ctx context.Context, h *handles, aim targets) comparison {
	ask := func(ctx context.Context, db *sql.DB) func() error {
		return func() error { return point(ctx, db, pointSQL) }
	}
	id := b.as(b.one)
	return comparison{lines: []line{
		{name: "pgx", op: ask(ctx, h.pgx)},
		{name: "no identity", op: ask(ctx, h.none), against: "pgx", target: aim.none},
		// As in a request with many statements, and in one with a single statement.
		{name: "identity", op: ask(pganon.WithIdentity(ctx, id), h.identity), against: "pgx", target: aim.identity},
		{name: "identity new each time", op: func() error {
			return point(pganon.WithIdentity(ctx, id), h.fresh, pointSQL)
		}, against: "pgx"},
		{name: "by hand", op: func() error { return byHand(ctx, h.hand, id) }, against: "identity", target: aim.hand},
	}}
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func point(ctx context.Context, db queryer, query string) error {
	var name string
	var price int
	return db.QueryRowContext(ctx, query, 77).Scan(&name, &price)
}

// byHand is the usual wrapper: a transaction, the settings, the statement.
func byHand(ctx context.Context, db *sql.DB, id pganon.Identity) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "select set_config('role', $1, true), set_config('rls.user_id', $2, true), set_config('rls.tenant_id', $3, true)",
		id.Role, id.User, id.Tenant); err != nil {
		return err
	}
	if err := point(ctx, tx, pointSQL); err != nil {
		return err
	}
	return tx.Commit()
}

// roles compares one role with two in turn on one connection, where row-level security makes a plan belong to a role.
func (b *bed) roles(ctx context.Context, h *handles) comparison {
	const query = "select name, price from tenant_items where id = $1"
	one, two := pganon.WithIdentity(ctx, b.as(b.one)), pganon.WithIdentity(ctx, b.as(b.two))
	next, other := one, two
	return comparison{name: "one row under row-level security, TCP", rounds: 400, ops: 25, lines: []line{
		{name: "one role", op: func() error { return point(one, h.one, query) }},
		{name: "two roles in turn", op: func() error {
			next, other = other, next
			return point(next, h.alternating, query)
		}, against: "one role", target: atMost(1.15)},
	}}
}

// redaction compares errors with their values and without, where there are none.
func (b *bed) redaction(ctx context.Context, h *handles) comparison {
	ctx = pganon.WithIdentity(ctx, b.as(b.one))
	ask := func(db *sql.DB) func() error { return func() error { return point(ctx, db, pointSQL) } }
	return comparison{name: "one row, TCP, no error", rounds: 400, ops: 25, allocs: true, lines: []line{
		{name: "redaction off", op: ask(h.unredacted)},
		{name: "redaction on", op: ask(h.redacted), against: "redaction off", target: atMost(1.01)},
	}}
}

// many compares reading 10,000 rows.
func (b *bed) many(ctx context.Context, h *handles) comparison {
	read := func(ctx context.Context, db *sql.DB) func() error {
		return func() error {
			rows, err := db.QueryContext(ctx, "select id, name, price, updated from items")
			if err != nil {
				return err
			}
			defer rows.Close()
			n := 0
			for ; rows.Next(); n++ {
				var id int64
				var name string
				var price int
				var updated time.Time
				if err := rows.Scan(&id, &name, &price, &updated); err != nil {
					return err
				}
			}
			if rows.Err() == nil && n != 10_000 {
				return fmt.Errorf("%d rows, want 10,000", n)
			}
			return rows.Err()
		}
	}
	return comparison{name: "10,000 rows, TCP", rounds: 60, ops: 2, allocs: true, lines: []line{
		{name: "pgx", op: read(ctx, h.pgx)},
		{name: "no identity", op: read(ctx, h.none), against: "pgx", target: atMost(1.10)},
		{name: "identity", op: read(pganon.WithIdentity(ctx, b.as(b.one)), h.identity), against: "pgx", target: atMost(1.10)},
	}}
}
