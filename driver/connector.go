package driver

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ngrok/sqlmw"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/loghash"
	"github.com/pganon/pganon/internal/tagged"
)

func init() { sql.Register("pganon", sqlDriver{}) }

// sqlDriver is the registered driver: all it knows is in the DSN.
type sqlDriver struct{}

var _ driver.DriverContext = sqlDriver{}

func (sqlDriver) OpenConnector(dsn string) (driver.Connector, error) {
	return NewConnector(dsn, Config{})
}

func (d sqlDriver) Open(dsn string) (driver.Conn, error) {
	c, err := d.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	const connectTime = time.Minute // as pgx's stdlib: there is no context
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	return c.Connect(ctx)
}

// NewConnector returns a connector for dsn, which is any DSN of pgx in URL or keyword form with the keys of this package
// in it, and cfg. It refuses what it does not understand before anything is sent; its errors hold nothing of the DSN but
// the names of keys.
func NewConnector(dsn string, cfg Config) (driver.Connector, error) {
	pgxConfig, err := parseDSN(dsn, &cfg)
	if err != nil {
		return nil, err
	}
	ps, err := newPrincipals(&cfg)
	if err != nil {
		return nil, fmt.Errorf("pganon: configure: %w", err)
	}
	keys, err := keysOf(&cfg)
	if err != nil {
		return nil, fmt.Errorf("pganon: configure: %w", err)
	}
	models, err := hooks.ParseModels(cfg.Models)
	if err != nil {
		return nil, fmt.Errorf("pganon: configure: %w", err)
	}
	if err := setLogKey(&cfg, keys); err != nil {
		return nil, err
	}
	if cfg.Redact == redactOff {
		cfg.logger().Warn("pganon: errors are not redacted: they hold values of the data")
	}
	c := &connector{cfg: &cfg, principals: ps}
	c.vault = &vault{logger: cfg.logger(), options: tagged.Options{
		Keys: keys, Models: models, Labels: cfg.Labels, RequireDomains: cfg.Domains == domainsRequired,
	}}
	c.tracer = tracer{cfg.Tracer, c}
	if cfg.Tracer != nil {
		pgxConfig.Tracer = c.tracer
	}
	c.pgxConfig = pgxConfig
	options := []stdlib.OptionOpenDB{stdlib.OptionBeforeConnect(c.beforeConnect), stdlib.OptionAfterConnect(c.afterConnect)}
	if cfg.ResetSession != nil {
		options = append(options, stdlib.OptionResetSession(cfg.ResetSession))
	}
	if cfg.ShouldPing != nil {
		options = append(options, stdlib.OptionShouldPing(cfg.ShouldPing))
	}
	c.parent = stdlib.GetConnector(*pgxConfig, options...)
	c.top = identityConnector{c}
	for i := len(cfg.Interceptors) - 1; i >= 0; i-- {
		wrapped, err := sqlmw.Driver(fixedDriver{c.top}, cfg.Interceptors[i]).(driver.DriverContext).OpenConnector("")
		if err != nil {
			return nil, err
		}
		c.top = wrapped
	}
	return c, nil
}

// setLogKey chooses the key of the hashes in logs: the configured one, or one that the key ring gives. A source of the program's own is
// not asked: it may be far away.
func setLogKey(cfg *Config, keys fernet.KeySource) error {
	key := cfg.LogKey
	if len(key) == 0 {
		switch keys.(type) {
		case *fernet.Keyring, *fernet.KeyFile:
			ring, err := keys.Keyring(context.Background(), "")
			if err != nil {
				return fmt.Errorf("pganon: configure: %w", err)
			}
			key = ring.LogKey()
		default:
			return nil
		}
	}
	return loghash.SetKey(key)
}

// Open returns a database handle for NewConnector's connector. It does not connect.
func Open(dsn string, cfg Config) (*sql.DB, error) {
	c, err := NewConnector(dsn, cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// OpenSystem returns a database handle for tools that take no context, such as migrations: what runs without an identity
// runs as pganon.System(ctx, reason) would. The reason is required and logged.
func OpenSystem(dsn, reason string) (*sql.DB, error) {
	if strings.TrimSpace(reason) == "" {
		return nil, errors.New("pganon: open as system: a reason is required")
	}
	return Open(dsn, Config{systemReason: reason})
}

// connector makes connections whose outermost layer is ours, whatever the user's interceptors do.
type connector struct {
	cfg        *Config
	pgxConfig  *pgx.ConnConfig
	parent     driver.Connector // pgx's stdlib
	top        driver.Connector // the interceptors over the identity conns
	principals *principals
	vault      *vault
	tracer     tracer
	refreshing atomic.Bool
	// distrusted is true once an identity may have made a function: it could exchange our statements unseen.
	distrusted atomic.Bool
}

var _ driver.Connector = (*connector)(nil)

func (c *connector) Driver() driver.Driver { return sqlDriver{} }

func (c *connector) Connect(ctx context.Context) (_ driver.Conn, err error) {
	var inner *conn
	defer func() {
		if v := recover(); v != nil { // of a hook or an interceptor
			err = c.panicked(v)
		}
		if err != nil && inner != nil {
			inner.abandon()
		}
	}()
	top, err := c.top.Connect(context.WithValue(ctx, innerKey{}, &inner))
	if err != nil {
		return nil, c.connecting(err)
	}
	if inner == nil {
		_ = top.Close()
		return nil, errors.New("pganon: connect: an interceptor's ConnectorConnect must pass on the context it gets")
	}
	outer := &outerConn{top: top, inner: inner}
	if c.cfg.rawAllowed() {
		return rawConn{outer}, nil
	}
	return outer, nil
}

// innerKey carries back the identity conn from below the interceptors: sqlmw's wrapper does not give it away.
type innerKey struct{}

type identityConnector struct{ *connector }

func (c identityConnector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.parent.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner := c.newConn(made.(*stdlib.Conn))
	if into, ok := ctx.Value(innerKey{}).(**conn); ok {
		*into = inner
	}
	return inner, nil
}

// fixedDriver is the driver.Driver that sqlmw wants around a connector.
type fixedDriver struct{ connector driver.Connector }

func (d fixedDriver) Open(string) (driver.Conn, error) {
	return d.connector.Connect(context.Background())
}
func (d fixedDriver) OpenConnector(string) (driver.Connector, error) { return d.connector, nil }

// afterConnect reads what the connector must know of the database, once the user's own hook has run.
func (c *connector) afterConnect(ctx context.Context, pgxConn *pgx.Conn) error {
	ready := false
	defer func() {
		if !ready { // or the hook panicked
			_ = pgxConn.Close(ctx)
		}
	}()
	if c.cfg.AfterConnect != nil {
		if err := c.cfg.AfterConnect(ctx, pgxConn); err != nil {
			return err
		}
	}
	cat, err := readCatalog(ctx, pgxConn.PgConn())
	if err != nil {
		return err
	}
	c.principals.catalog.Store(cat)
	base, err := readBase(ctx, pgxConn, append([]string{"search_path"}, c.cfg.AllowSettings...))
	if err != nil {
		return err
	}
	pgxConn.PgConn().CustomData()[baseKey] = base
	if err := c.vault.first(ctx, pgxConn.PgConn()); err != nil {
		return err
	}
	ready = true
	return nil
}

const baseKey = "pganon base settings"

// readBase returns the session's own values of names.
func readBase(ctx context.Context, pgxConn *pgx.Conn, names []string) ([]guc.Setting, error) {
	var query strings.Builder
	query.WriteString("select ")
	for i, name := range names {
		if i > 0 {
			query.WriteString(", ")
		}
		fmt.Fprintf(&query, "coalesce(pg_catalog.current_setting('%s', true), '')", guc.Fold(name))
	}
	results, err := pgxConn.PgConn().Exec(ctx, query.String()).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("pganon: read settings: %w", err)
	}
	base := make([]guc.Setting, len(names))
	for i, name := range names {
		base[i] = guc.Setting{Name: guc.Fold(name), Value: string(results[0].Rows[0][i])}
	}
	return base, nil
}

func (c *connector) newConn(std *stdlib.Conn) *conn {
	pgxConn := std.Conn()
	made := &conn{
		connector: c,
		std:       std,
		pgx:       pgxConn,
		pg:        pgxConn.PgConn(),
		mode:      c.pgxConfig.DefaultQueryExecMode,
		shapes:    make(map[*shape]*settingStatement),
		names:     make(map[string]*described),
		texts:     make(map[string]*text),
		nonce:     rand.Text()[:16],
	}
	made.named = made.mode == pgx.QueryExecModeCacheStatement
	made.base, _ = made.pg.CustomData()[baseKey].([]guc.Setting)
	made.described = newStatementCache(c.pgxConfig.StatementCacheCapacity, made.dropped)
	made.unnamed = newStatementCache(c.pgxConfig.DescriptionCacheCapacity, made.dropped)
	return made
}
