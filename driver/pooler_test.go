package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// A pooler is a pgbouncer in transaction mode with one server connection for all of its clients.
type pooler struct {
	binary string
	minor  int // of version 1
}

func findPooler(t *testing.T) pooler {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/pgbouncer") // Debian's, not on every PATH
	}
	if err != nil {
		const missing = "pgbouncer is not installed: apt-get install pgbouncer"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	version, err := exec.Command(binary, "--version").Output()
	require.NoError(t, err)
	found := regexp.MustCompile(`PgBouncer 1\.(\d+)`).FindSubmatch(version)
	require.NotNil(t, found, "%s", version)
	minor, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return pooler{binary, minor}
}

// start runs the pooler in front of db until t ends, and returns its DSN.
func (p pooler) start(t *testing.T, db *pganontest.DB) string {
	t.Helper()
	server, err := pgconn.ParseConfig(db.DSN())
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	login := "user=" + quote(server.User)
	if server.Password != "" {
		login += " password=" + quote(server.Password)
	}
	config := fmt.Sprintf(`[databases]
pooled = host=%s port=%d dbname=%s %s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 100
server_idle_timeout = 0
query_wait_timeout = 60
`, quote(server.Host), server.Port, quote(server.Database), login, port)
	if p.minor >= 21 {
		config += "max_prepared_statements = 200\n"
	}
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	args := []string{file}
	if os.Getuid() == 0 {
		args = []string{"-u", "nobody", file} // it refuses to be root; the file is read before that
	}
	var log bytes.Buffer
	command := exec.Command(p.binary, args...)
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			tail := log.String()
			t.Logf("pgbouncer: %s", tail[max(0, len(tail)-4000):])
		}
	})
	dsn := "postgres://client@127.0.0.1:" + port + "/pooled?sslmode=disable"
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err == nil
	}, 10*time.Second, 20*time.Millisecond, "pgbouncer does not answer")
	return dsn
}

// serverConnection is what a pooler's one server connection looks like from within.
type serverConnection struct {
	pid     int
	started time.Time
	users   string // session, current and role
	left    string
}

const poolerLeftSQL = `select pg_backend_pid(), (select backend_start from pg_stat_activity where pid = pg_backend_pid()),
 session_user || ' ' || current_user || ' ' || current_setting('role'),
 concat_ws('; ',
  (select string_agg(name || '=' || current_setting(name, true), ', ') from unnest(array['rls.user_id', 'rls.tenant_id', 'rls.region', 'rls.extra_0', 'rls.extra_1', 'shop.basket', 'app.leftover']) name where current_setting(name, true) <> ''),
  (select string_agg('prepared ' || name, ', ') from pg_prepared_statements where name <> ''),
  (select string_agg('cursor ' || name, ', ') from pg_cursors where name <> ''),
  (select string_agg('listens to ' || c, ', ') from pg_listening_channels() c),
  (select string_agg('temporary ' || relname, ', ') from pg_class where relnamespace = pg_my_temp_schema()),
  (select string_agg('advisory lock ' || objid, ', ') from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
  (select string_agg(name || ' is ' || setting, ', ') from pg_settings where name in ('transaction_read_only', 'search_path', 'statement_timeout', 'session_authorization', 'default_transaction_read_only') and setting <> boot_val and source = 'session'))`

func lookAtServer(t *testing.T, dsn string) serverConnection {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// A client that knows nothing of identities sees what the others have left.
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var s serverConnection
	require.NoError(t, conn.QueryRow(ctx, poolerLeftSQL).Scan(&s.pid, &s.started, &s.users, &s.left))
	return s
}

// poolerRun has two clients run random operations at the same time.
type poolerRun struct {
	world   *stressWorld
	dsn     string
	clients []*stress
}

func newPoolerRun(t *testing.T, p pooler, mode string) *poolerRun {
	t.Helper()
	r := &poolerRun{world: newStressWorld(t)}
	r.dsn = p.start(t, r.world.db)
	for range 2 {
		handle, err := driver.Open(stressDSN(r.dsn, mode)+"&application_name=stress", r.world.config())
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, handle.Close()) })
		handle.SetMaxOpenConns(3)
		handle.SetMaxIdleConns(3)
		s := newStress(t, r.world, handle)
		s.cancels, s.burst = 0, 1
		s.shakes = stressShakes
		// What is left on purpose is left on the server connection, which no client can know to be another's.
		s.ops = slices.DeleteFunc(slices.Clone(stressOps), func(op stressOp) bool { return op.name == "leave" || op.name == "leftovers" })
		// From now on the connector knows all names of settings, and blanks those that an identity lacks.
		_, _ = s.check(t.Context(), handle, r.world.ids[0], stressTexts[0])
		r.clients = append(r.clients, s)
	}
	r.clients[1].nonces.Store(1 << 40) // each write has a number of its own
	return r
}

// run goes on until both clients have had enough answers checked.
func (r *poolerRun) run(t *testing.T, enough int64) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	deadline := time.Now().Add(60 * time.Second)
	var workers sync.WaitGroup
	for i, s := range r.clients {
		for j := range 6 {
			rnd := rand.New(rand.NewPCG(seed, uint64(10*i+j)))
			workers.Go(func() {
				for s.checked.Load() < enough && s.wrong.Load() == 0 && time.Now().Before(deadline) {
					s.step(rnd)
				}
			})
		}
	}
	workers.Wait()
	for i, s := range r.clients {
		t.Logf("client %d: %d statements checked, %d refusals checked, %d writes acknowledged, well: %v, errors: %v", i, s.checked.Load(), s.refused.Load(), len(s.acked), s.done, s.errors)
		require.Zero(t, s.wrong.Load())
		require.GreaterOrEqual(t, s.checked.Load(), enough, "too slow")
	}
}

func (r *poolerRun) close(t *testing.T) {
	t.Helper()
	for _, s := range r.clients {
		for _, stmt := range s.stmts {
			require.NoError(t, stmt.Close())
		}
		require.NoError(t, s.handle.Close())
	}
}

// audit is that of both clients: what one has acknowledged the other does not know.
func (r *poolerRun) audit(t *testing.T) {
	t.Helper()
	all := newStress(t, r.world, nil)
	for _, s := range r.clients {
		for nonce, via := range s.acked {
			all.acked[nonce] = via
		}
	}
	n := all.auditRows()
	require.Zero(t, all.wrong.Load())
	require.Positive(t, n)
}

func poolerStatements(t *testing.T) int64 {
	return max(600, int64(stressTime(t).Seconds()*60))
}

// TestPooler shows that no identity reaches another client through a pooler in transaction mode, whose one server
// connection all of them share, and that nothing of them stays there.
func TestPooler(t *testing.T) {
	t.Parallel()
	p := findPooler(t)
	modes := []string{"exec", "cache_describe", "simple_protocol"}
	if p.minor >= 21 {
		modes = append(modes, "cache_statement", "describe_exec")
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			r := newPoolerRun(t, p, mode)
			before := lookAtServer(t, r.dsn)
			require.Empty(t, before.left)
			for _, s := range r.clients {
				s.prepare()
			}
			r.run(t, poolerStatements(t))
			for _, s := range r.clients {
				for _, op := range s.ops {
					assert.Positive(t, s.done[op.name], "operation %s has never ended well", op.name)
				}
				assert.Empty(t, s.errors, "nothing was to fail")
			}
			after := lookAtServer(t, r.dsn)
			require.Equal(t, before, after, "the server connection is the same, and as it was")
			requireOneServer(t, r.world.db, after.pid)
			r.close(t)
			require.Equal(t, before, lookAtServer(t, r.dsn), "and still is when the clients have gone")
			r.audit(t)
		})
	}
}

// requireOneServer makes sure that both clients were served by one connection.
func requireOneServer(t *testing.T, db *pganontest.DB, pid int) {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), db.DSN())
	require.NoError(t, err)
	defer admin.Close(t.Context())
	rows, err := admin.Query(t.Context(), "select pid, state, backend_xid is null and backend_xmin is null from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'")
	require.NoError(t, err)
	type backend struct {
		PID   int
		State string
		Idle  bool
	}
	backends, err := pgx.CollectRows(rows, pgx.RowToStructByPos[backend])
	require.NoError(t, err)
	require.Equal(t, []backend{{pid, "idle", true}}, backends)
}

// TestPoolerCancel is TestPooler with contexts that end at any moment. The pooler takes its server connection down with a
// client that goes in the middle of a statement, and the next client gets a new one.
func TestPoolerCancel(t *testing.T) {
	t.Parallel()
	p := findPooler(t)
	for _, mode := range []string{"exec", "cache_describe", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			r := newPoolerRun(t, p, mode)
			for _, s := range r.clients {
				s.cancels = 5
				s.prepare()
			}
			r.run(t, poolerStatements(t)/4)
			require.Positive(t, r.clients[0].cancelled.Load()+r.clients[1].cancelled.Load())
			r.close(t)
			after := lookAtServer(t, r.dsn)
			require.Empty(t, after.left)
			require.Equal(t, r.world.login+" "+r.world.login+" none", after.users)
			r.audit(t)
		})
	}
}

// TestPoolerSession has one client leave on the session whatever it can. The other's identities are none the worse.
func TestPoolerSession(t *testing.T) {
	t.Parallel()
	p := findPooler(t)
	for _, mode := range []string{"exec", "cache_describe", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			r := newPoolerRun(t, p, mode)
			// A statement of the login role on a connection that no identity has used is sent as it is.
			r.world.ids = slices.DeleteFunc(r.world.ids, func(id *stressIdentity) bool { return id.system })
			for _, s := range r.clients {
				s.prepare()
			}
			mallory := r.clients[0].handle
			ctx, cancel := context.WithCancel(r.world.ids[0].in(t.Context()))
			var shaking sync.WaitGroup
			shakes := append(slices.Clone(stressSessionShakes), "set rls.user_id = 'mallory'", "set rls.extra_0 = 'evil'", "set rls.region = 'evil'",
				"set role "+strings.Split(r.world.ids[1].who, "|")[0], "set session authorization default")
			shaken := 0
			shaking.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if _, err := mallory.ExecContext(ctx, shakes[i%len(shakes)]); err == nil {
						shaken++
					}
				}
			})
			defer cancel()
			r.clients[0], r.clients[1] = r.clients[1], r.clients[0]
			r.clients = r.clients[:1]
			r.run(t, poolerStatements(t)/4)
			cancel()
			shaking.Wait()
			require.Greater(t, shaken, len(shakes))
		})
	}
}

// TestPoolerStatements is about the mode that a pooler without support for prepared statements cannot serve: what works
// is right, and what does not work is an error.
func TestPoolerStatements(t *testing.T) {
	t.Parallel()
	p := findPooler(t)
	if p.minor >= 21 {
		t.Skip("this pgbouncer supports prepared statements: TestPooler runs the mode")
	}
	for _, mode := range []string{"cache_statement", "describe_exec"} {
		t.Run(mode, func(t *testing.T) {
			r := newPoolerRun(t, p, mode)
			for _, s := range r.clients {
				// The statement that a client has prepared is not there, or another client has prepared it already.
				s.tolerate = []string{"26000", "42P05", "25P02"}
			}
			r.run(t, poolerStatements(t)/4)
			r.close(t)
			r.audit(t)
		})
	}
}

// TestPoolerOptional: clients without identities share the server connection with those that have some.
func TestPoolerOptional(t *testing.T) {
	t.Parallel()
	p := findPooler(t)
	for _, mode := range []string{"exec", "cache_describe", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			r := newPoolerRun(t, p, mode)
			plain, err := sql.Open("pganon", stressDSN(r.dsn, mode)+"&pganon.identity=optional")
			require.NoError(t, err)
			defer plain.Close()
			var workers sync.WaitGroup
			s := r.clients[0]
			s.prepare()
			stop := make(chan struct{})
			workers.Go(func() {
				rnd := rand.New(rand.NewPCG(3, 4))
				for {
					select {
					case <-stop:
						return
					default:
						s.step(rnd)
					}
				}
			})
			for range 300 {
				var who string
				require.NoError(t, plain.QueryRow("select stress_who()").Scan(&who))
				require.Equal(t, r.world.login+"|||||||0", who)
				require.NoError(t, plain.QueryRowContext(pganon.System(t.Context(), "pooler test"), "select stress_who()").Scan(&who))
				require.Equal(t, r.world.login+"|||||||0", who)
			}
			close(stop)
			workers.Wait()
			require.Zero(t, s.wrong.Load())
			require.Positive(t, s.checked.Load())
		})
	}
}
