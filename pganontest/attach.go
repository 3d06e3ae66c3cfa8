package pganontest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

// attach takes the server that PGANON_TEST_DSN names.
func attach(ctx context.Context, cfg Config) (*instance, error) {
	text := os.Getenv("PGANON_TEST_DSN")
	if text == "" {
		return nil, errors.New("PGANON_TEST_DSN is not set")
	}
	if len(cfg.Settings) > 0 {
		return nil, errors.New("server settings were asked for, and PGANON_TEST_DSN names a server that runs already")
	}
	dsn, err := parseConnString(text)
	if err != nil {
		return nil, fmt.Errorf("PGANON_TEST_DSN: %w", err)
	}
	parsed, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, errors.New("PGANON_TEST_DSN: pgx refuses it") // pgx's error may quote a part of it
	}
	// The database and the login may come from the environment or from a service file.
	dsn = dsn.withDatabase(parsed.Database).withLogin(parsed.User, parsed.Password)
	if parsed.Database == "" {
		dsn = dsn.withDatabase(parsed.User)
	}
	if !dsn.params.Has("application_name") {
		dsn.params.Set("application_name", "pganontest") // so that every DSN has a query part to append to
	}
	inst := &instance{
		dsn:   dsn,
		about: "which PGANON_TEST_DSN names",
		port:  fmt.Sprint(parsed.Port),
		log: func() ([]byte, error) {
			return nil, errors.New("pganontest: read server log: it is not to be had from a server that PGANON_TEST_DSN names")
		},
		keep: func() string { return "with the password that PGANON_TEST_DSN has, if any" },
		stop: func() error { return nil },
	}
	if strings.HasPrefix(parsed.Host, "/") {
		inst.unixDir = parsed.Host
	}
	return inst, nil
}
