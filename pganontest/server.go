package pganontest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Config says which PostgreSQL [Start] takes. The zero value takes the first that the package finds, as [New] does.
type Config struct {
	// Provider is "dsn", "local", "docker" or "download"; empty means what PGANON_TEST_PROVIDER says, and where that
	// is empty too the first of them that works.
	Provider string
	// Settings are server settings such as shared_preload_libraries, by name, on top of the package's own. The
	// provider "dsn" refuses them: it does not start the server.
	Settings map[string]string
	// Logf receives, once, which PostgreSQL was taken and why the ones before it were not. Nil discards it.
	Logf func(format string, args ...any)
}

// Server is a PostgreSQL server that this process started, or was pointed at by PGANON_TEST_DSN.
// Its methods may be called from several goroutines.
type Server struct {
	instance *instance
	login    login
	own      string // the database Start made for DSN
	closing  sync.Once
	closeErr error
}

// instance is what a provider gives.
type instance struct {
	provider string
	about    string
	dsn      connString // maintenance database, login
	trust    bool       // whether any role may log in without a password
	unixDir  string
	port     string
	log      func() ([]byte, error)
	// keep makes what the server holds outlive this process, as far as it can, and says how to get at it.
	keep func() string
	stop func() error
}

// login is what the login may do on the server.
type login struct {
	Name                            string
	Superuser, CreateDB, CreateRole bool
	Version                         string
}

// Start gives a program, rather than a test, a PostgreSQL server with an empty database in it, which [Server.DSN]
// names. It searches as [New] does, and the server ends with the process even where Close is not called.
//
// It refuses with one error that lists what was tried, and why each did not work, where no PostgreSQL can be had.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s, err := start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	name := uniqueName("pganontest", "")
	if err := s.createDatabase(ctx, name); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.own = name
	return s, nil
}

func start(ctx context.Context, cfg Config) (*Server, error) {
	inst, err := provide(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{instance: inst}
	if err := s.connect(ctx, inst.dsn, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, `select rolname as name, rolsuper as superuser, rolcreatedb as "createDB", rolcreaterole as "createRole",
			split_part(current_setting('server_version'), ' ', 1) as version from pg_roles where rolname = current_user`)
		var err error
		s.login, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[login])
		return err
	}); err != nil {
		return nil, errors.Join(fmt.Errorf("pganontest: read login: %w", err), s.Close())
	}
	if cfg.Logf != nil {
		cfg.Logf("pganontest: %s", s)
	}
	return s, nil
}

// shared is the server that every test of this process uses. It ends with the process.
var shared = sync.OnceValues(func() (*Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return start(ctx, Config{})
})

// Provider tells where the server comes from: "dsn", "local", "docker" or "download".
func (s *Server) Provider() string { return s.instance.provider }

// String tells the server's version and where it comes from, in words.
func (s *Server) String() string {
	return "PostgreSQL " + s.login.Version + ", " + s.instance.about
}

// DSN returns the URL of the database that [Start] made, as its owner.
func (s *Server) DSN() string { return s.instance.dsn.withDatabase(s.own).String() }

// Log returns what the server has logged so far. It is an error where the log cannot be read from here, which is so
// for a server that PGANON_TEST_DSN names.
func (s *Server) Log() (string, error) {
	b, err := s.instance.log()
	return string(b), err
}

// New makes a database of its own for t on this server; in all else it is like the function [New].
func (s *Server) New(t testing.TB) *DB {
	t.Helper()
	return newDB(t, s)
}

// Close drops the database that [Start] made, and stops the server where this package started it. What a failed test
// has kept stays.
func (s *Server) Close() error {
	s.closing.Do(func() {
		if s.own != "" && s.instance.provider == "dsn" {
			ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
			defer cancel()
			s.closeErr = s.command(ctx, "drop database if exists "+s.own+" with (force)")
		}
		s.closeErr = errors.Join(s.closeErr, s.instance.stop())
	})
	return s.closeErr
}

func (s *Server) createDatabase(ctx context.Context, name string) error {
	if !s.login.Superuser && !s.login.CreateDB {
		return fmt.Errorf("pganontest: create database: the login %q of PGANON_TEST_DSN lacks CREATEDB; give it with ALTER ROLE … CREATEDB", s.login.Name)
	}
	if err := s.command(ctx, "create database "+name+" template template0 encoding 'UTF8'"); err != nil {
		return fmt.Errorf("pganontest: create database: %w", err)
	}
	return nil
}

// command runs commands on the maintenance database, each on its own.
func (s *Server) command(ctx context.Context, commands ...string) error {
	return s.connect(ctx, s.instance.dsn, func(conn *pgx.Conn) error {
		for _, sql := range commands {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Server) connect(ctx context.Context, dsn connString, use func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn.String())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return use(conn)
}

// provide gives the first PostgreSQL that works, or the one that is asked for.
func provide(ctx context.Context, cfg Config) (*instance, error) {
	asked := cfg.Provider
	if asked == "" {
		asked = os.Getenv("PGANON_TEST_PROVIDER")
	}
	if asked == "" && os.Getenv("PGANON_TEST_DSN") != "" {
		// A server that was named and does not answer is an error, not a reason to test against another one.
		asked = "dsn"
	}
	all := []struct {
		name  string
		start func(context.Context, Config) (*instance, error)
	}{{"dsn", attach}, {"local", startLocal}, {"docker", startDocker}, {"download", startDownload}}
	var failed []error
	for _, p := range all {
		if asked != p.name && (asked != "" || p.name == "dsn") {
			continue
		}
		inst, err := p.start(ctx, cfg)
		if err == nil {
			inst.provider = p.name
			if len(failed) > 0 {
				inst.about += fmt.Sprintf(" (before it: %v)", errors.Join(failed...))
			}
			return inst, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
	}
	switch {
	case len(failed) == 0:
		return nil, fmt.Errorf("pganontest: unknown provider %q: have dsn, local, docker, download", asked)
	case asked != "":
		return nil, fmt.Errorf("pganontest: start PostgreSQL: %w", failed[0])
	}
	return nil, fmt.Errorf("pganontest: no PostgreSQL found: install its server programs (initdb, postgres), start Docker, or set PGANON_TEST_DSN to a server for tests\n%w", errors.Join(failed...))
}
