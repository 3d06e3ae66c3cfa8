package pganontest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	startTimeout   = 5 * time.Minute // an image or an archive may have to be fetched first
	commandTimeout = time.Minute
)

// DB is a database that one test has to itself. Its methods may be called from several goroutines; those that can fail
// end the test with t.Fatal, so they belong in the test's own goroutine.
type DB struct {
	t      testing.TB
	server *Server
	name   string

	mu        sync.Mutex
	roles     []string
	passwords map[string]string
}

// New gives t an empty database of its own, encoded in UTF-8, on the server that all tests of this process share.
// The first call finds or starts that server. When t ends the database is dropped, with the connections it still has
// and the roles made by [DB.Role]; when t has failed both are kept, and t's log says how to connect.
//
// Without any PostgreSQL New ends the test with t.Fatal; it never skips.
func New(t testing.TB) *DB {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	announce.Do(func() { t.Logf("pganontest: %s", s) })
	return newDB(t, s)
}

var announce sync.Once

func newDB(t testing.TB, s *Server) *DB {
	t.Helper()
	db := &DB{t: t, server: s, name: uniqueName("pganontest", t.Name()), passwords: map[string]string{}}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if err := s.createDatabase(ctx, db.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.drop)
	return db
}

// Name returns the database's name, an identifier that needs no quotes.
func (db *DB) Name() string { return db.name }

// DSN returns the database's URL, as its owner: on a server of this package's own a superuser on 127.0.0.1 without
// TLS, else the login and the options that PGANON_TEST_DSN has. It has a query part, so that "&key=value" can be
// appended to it.
func (db *DB) DSN() string { return db.dsn().String() }

func (db *DB) dsn() connString { return db.server.instance.dsn.withDatabase(db.name) }

// DSNAs returns the database's URL with role as the login. It works for roles that [DB.Role] made with LOGIN, whose
// password it adds where the server asks for one, and on a server of this package's own for every role that may log in.
func (db *DB) DSNAs(role string) string {
	return db.dsn().withLogin(role, db.password(role)).String()
}

func (db *DB) password(role string) string {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.passwords[role]
}

// UnixDSN returns the database's URL over the server's Unix domain socket, and whether this machine has one.
func (db *DB) UnixDSN() (string, bool) {
	inst := db.server.instance
	if inst.unixDir == "" {
		return "", false
	}
	return db.dsn().at(inst.unixDir, inst.port).String(), true
}

// Role runs CREATE ROLE with the options, such as "LOGIN" or "NOINHERIT", and returns the role's name: name made
// unique on the server, and an identifier that needs no quotes. The test's end drops the role, after reassigning what
// it owns, unless the test failed.
//
// Where the login is no superuser, which can only be so with PGANON_TEST_DSN, it needs CREATEROLE and is made a member
// of the role, as SET ROLE wants it.
func (db *DB) Role(name string, options ...string) string {
	db.t.Helper()
	s := db.server
	if !s.login.Superuser && !s.login.CreateRole {
		db.t.Fatalf("pganontest: create role: the login %q of PGANON_TEST_DSN lacks CREATEROLE; give it with ALTER ROLE … CREATEROLE", s.login.Name)
	}
	role := uniqueName(name, "")
	words := strings.Join(options, " ")
	password := ""
	if !s.instance.trust && loginOption.MatchString(words) && !passwordOption.MatchString(words) {
		password = rand.Text()
		words += " password '" + password + "'"
	}
	commands := []string{"create role " + role + " " + words}
	if !s.login.Superuser {
		commands = append(commands, "grant "+role+" to current_user")
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if err := s.command(ctx, commands...); err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.Code == "42501" && !s.login.Superuser {
			db.t.Fatalf("pganontest: create role: the login %q of PGANON_TEST_DSN may not give %s: it is no superuser", s.login.Name, strings.Join(options, " "))
		}
		db.t.Fatalf("pganontest: create role: %v", err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.roles = append(db.roles, role)
	db.passwords[role] = password
	return role
}

var (
	loginOption    = regexp.MustCompile(`(?i)(^|\s)login(\s|$)`)
	passwordOption = regexp.MustCompile(`(?i)(^|\s)password\s`)
)

// Exec runs sql as the database's owner on a connection of its own. Without args sql may hold several commands, which
// are then one transaction. An error ends the test.
func (db *DB) Exec(sql string, args ...any) {
	db.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	err := db.server.connect(ctx, db.dsn(), func(conn *pgx.Conn) error {
		if len(args) == 0 {
			return conn.PgConn().Exec(ctx, sql).Close()
		}
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		db.t.Fatalf("pganontest: exec%s: %v", where(err, sql), err)
	}
}

// where tells the line of sql that err is about.
func where(err error, sql string) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Position < 1 {
		return ""
	}
	runes := []rune(sql)
	before := string(runes[:min(int(pgErr.Position)-1, len(runes))])
	n := strings.Count(before, "\n")
	return fmt.Sprintf(" line %d (%s)", n+1, strings.TrimSpace(strings.Split(sql, "\n")[n]))
}

// Proxy returns a new recording proxy in front of the database, which the test's end closes.
func (db *DB) Proxy() *Proxy {
	db.t.Helper()
	p, err := NewProxy(db.DSN())
	if err != nil {
		db.t.Fatal(err)
	}
	p.password = db.password
	db.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			db.t.Error(err)
		}
	})
	return p
}

// ServerLog returns what the server has logged for connections to this database. It ends the test where the log cannot
// be read, which is so with PGANON_TEST_DSN.
//
// The server logs errors. It logs every statement, too, once the database says so:
//
//	db.Exec("ALTER DATABASE " + db.Name() + " SET log_statement = 'all'")
func (db *DB) ServerLog() string {
	db.t.Helper()
	log, err := db.server.instance.log()
	if err != nil {
		db.t.Fatal(err)
	}
	var entries strings.Builder
	mine := false
	for line := range strings.Lines(string(log)) {
		// A line without a prefix goes on with the entry before it.
		if m := logPrefix.FindStringSubmatch(line); m != nil {
			mine = m[1] == db.name
		}
		if mine {
			entries.WriteString(line)
		}
	}
	return entries.String()
}

// logPrefix reads log_line_prefix as serverSettings has it.
var logPrefix = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[\d+\] .*?@(\S*) `)

func (db *DB) drop() {
	db.mu.Lock()
	roles := db.roles
	db.mu.Unlock()
	if db.t.Failed() {
		dsn := db.dsn()
		db.t.Logf("pganontest: the test failed: its database is kept: psql '%s'\n%s", dsn.withLogin(dsn.user, ""), db.server.instance.keep())
		return
	}
	commands := []string{"drop database if exists " + db.name + " with (force)"}
	if len(roles) > 0 {
		// All at once: one may have granted membership in another.
		all := strings.Join(roles, ", ")
		commands = append(commands, "reassign owned by "+all+" to current_user", "drop owned by "+all, "drop role "+all)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if err := db.server.command(ctx, commands...); err != nil {
		db.t.Errorf("pganontest: drop database %s and its roles: %v", db.name, err)
	}
}

const maxIdentifier = 63 // PostgreSQL's NAMEDATALEN - 1

// uniqueName makes an identifier that needs no quotes and that nobody else has: prefix, what fits of text, and chance.
func uniqueName(prefix, text string) string {
	name := prefix
	if text != "" {
		name += "_" + text
	}
	name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "_"), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(name, "pg_") {
		name = "r_" + name // PostgreSQL keeps pg_ for itself
	}
	suffix := "_" + strings.ToLower(rand.Text()[:8])
	return name[:min(len(name), maxIdentifier-len(suffix))] + suffix
}

var notInName = regexp.MustCompile(`[^a-z0-9_]+`)
