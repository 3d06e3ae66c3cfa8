package pganontest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pganon/pganon/pganontest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProxyCountsRoundTripsOfEachExecMode(t *testing.T) {
	db := pganontest.New(t)
	for _, c := range []struct {
		mode          string
		first, second int
		messages      string // of the second use
	}{
		{"cache_statement", 2, 1, "Bind Execute Sync"},
		{"cache_describe", 2, 1, "Parse Bind Describe Execute Sync"},
		{"describe_exec", 2, 2, "Parse Describe Sync Bind Execute Sync"},
		{"exec", 1, 1, "Parse Bind Describe Execute Sync"},
		{"simple_protocol", 1, 1, "Query"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			p := db.Proxy()
			conn := connect(t, p.DSN()+"&default_query_exec_mode="+c.mode)
			query := func() int {
				p.Reset()
				assert.Equal(t, 42, scan[int](t, conn, "select $1::int", 42))
				return p.RoundTrips()
			}
			assert.Equal(t, c.first, query(), "first use")
			assert.Equal(t, c.second, query(), "second use")
			assert.Equal(t, c.messages, p.Messages().String())

			// BEGIN and COMMIT are one each, in every mode.
			p.Reset()
			require.NoError(t, pgx.BeginFunc(context.Background(), conn, func(pgx.Tx) error {
				for range 3 {
					assert.Equal(t, 42, scan[int](t, conn, "select $1::int", 42))
				}
				return nil
			}))
			assert.Equal(t, 1+3*c.second+1, p.RoundTrips())
		})
	}
}

func TestProxyCountsWhatIsWrittenAtOnceOnce(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	p := db.Proxy()
	conn := connect(t, p.DSN())
	pg := conn.PgConn()

	for _, syncs := range []int{2, 2000} {
		for range 20 {
			p.Reset()
			pipeline := pg.StartPipeline(ctx)
			for range syncs {
				pipeline.SendQueryParams("select 1", nil, nil, nil, nil)
				pipeline.SendPipelineSync()
			}
			require.NoError(t, pipeline.Flush())
			require.NoError(t, pipeline.Close())
			assert.Equal(t, 1, p.RoundTrips())
			assert.Equal(t, syncs, strings.Count(p.Messages().String(), "Parse Bind Describe Execute Sync"))
		}
	}

	batch := &pgx.Batch{}
	for i := range 100 {
		batch.Queue("select $1::int", i)
	}
	require.NoError(t, conn.SendBatch(ctx, batch).Close())
	p.Reset()
	require.NoError(t, conn.SendBatch(ctx, batch).Close())
	assert.Equal(t, 1, p.RoundTrips())

	p.Reset()
	large := strings.Repeat("x", 4<<20)
	assert.Equal(t, len(large), scan[int](t, conn, "select length($1::text)", large))
	assert.Equal(t, 2, p.RoundTrips())
	p.Reset()
	assert.Equal(t, large, scan[string](t, conn, "select repeat('x', 4 << 20)"))
	assert.Equal(t, 2, p.RoundTrips())
}

func TestProxyCountsAFlush(t *testing.T) {
	p := pganontest.New(t).Proxy()
	pipeline := connect(t, p.DSN()).PgConn().StartPipeline(context.Background())
	p.Reset()
	pipeline.SendPrepare("s", "select 1", nil)
	pipeline.SendFlushRequest()
	require.NoError(t, pipeline.Flush())
	_, err := pipeline.GetResults()
	require.NoError(t, err)
	pipeline.SendQueryPrepared("s", nil, nil, nil)
	require.NoError(t, pipeline.Sync())
	require.NoError(t, pipeline.Close())
	assert.Equal(t, 2, p.RoundTrips())
	assert.Equal(t, "Parse Describe Flush Bind Describe Execute Sync", p.Messages().String())
}

func TestProxyPassesCopy(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	db.Exec("create table t (x int, y text)")
	p := db.Proxy()
	conn := connect(t, p.DSN())
	rows := make([][]any, 50_000)
	for i := range rows {
		rows[i] = []any{i, fmt.Sprint("row ", i)}
	}
	p.Reset()
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"x", "y"}, pgx.CopyFromRows(rows))
	require.NoError(t, err)
	assert.EqualValues(t, len(rows), n)
	assert.Equal(t, 2, p.RoundTrips(), "pgx asks for the columns first")
	assert.Contains(t, p.Messages().String(), "Query CopyData CopyData")
	assert.True(t, strings.HasSuffix(p.Messages().String(), "CopyData CopyDone"))

	p.Reset()
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "copy (select y from t order by x) to stdout")
	require.NoError(t, err)
	assert.Equal(t, len(rows), bytes.Count(out.Bytes(), []byte("\n")))
	assert.Equal(t, 1, p.RoundTrips())

	p.Reset()
	_, err = conn.PgConn().CopyFrom(ctx, iotest{}, "copy t from stdin")
	assert.ErrorContains(t, err, "no more")
	assert.Equal(t, 1, p.RoundTrips())
	assert.Contains(t, p.Messages().String(), "CopyFail")
	assert.Equal(t, len(rows), scan[int](t, conn, "select count(*) from t"))
}

type iotest struct{}

func (iotest) Read([]byte) (int, error) { return 0, errors.New("no more") }

func TestProxyCountsNeitherHandshakeNorCancel(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	p := db.Proxy()
	// prefer asks for TLS first, which the proxy refuses.
	conn := connect(t, strings.Replace(p.DSN(), "sslmode=disable", "sslmode=prefer", 1))
	assert.Zero(t, p.RoundTrips())
	assert.Equal(t, "StartupMessage", strings.Fields(p.Messages().String())[0])

	p.Reset()
	done := make(chan error)
	go func() {
		_, err := conn.Exec(ctx, "select pg_sleep(60)")
		done <- err
	}()
	direct := connect(t, db.DSN())
	require.Eventually(t, func() bool {
		return scan[int](t, direct, "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and wait_event = 'PgSleep'") == 1
	}, waitFor, tick)
	require.NoError(t, conn.PgConn().CancelRequest(ctx))
	var pgErr *pgconn.PgError
	require.ErrorAs(t, <-done, &pgErr)
	assert.Equal(t, "57014", pgErr.Code)
	assert.Contains(t, p.Messages().String(), "CancelRequest")
	assert.LessOrEqual(t, p.RoundTrips(), 2)
	p.Reset()
	require.NoError(t, conn.Close(ctx))
	assert.Zero(t, p.RoundTrips(), "Terminate")
	require.Eventually(t, func() bool { return p.Messages().String() == "Terminate" }, waitFor, tick)
}

func TestProxyCountsConcurrentConnections(t *testing.T) {
	p := pganontest.New(t).Proxy()
	var wg sync.WaitGroup
	const clients, queries = 16, 50
	conns := make([]*pgx.Conn, clients)
	for i := range conns {
		conns[i] = connect(t, p.DSN()+"&default_query_exec_mode=exec")
	}
	p.Reset()
	for i, conn := range conns {
		wg.Go(func() {
			for range queries {
				var n int
				assert.NoError(t, conn.QueryRow(context.Background(), "select $1::int", i).Scan(&n))
				assert.Equal(t, i, n)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, clients*queries, p.RoundTrips())
	assert.Len(t, p.Messages(), clients*queries*5)
}

func TestProxyRecords(t *testing.T) {
	p := pganontest.New(t).Proxy()
	a, b := connect(t, p.DSN()), connect(t, p.DSN())
	p.Reset()
	assert.Empty(t, p.Sent())
	assert.Empty(t, p.Received())
	for i := range 3 {
		for j, conn := range []*pgx.Conn{a, b} {
			_, err := conn.Exec(context.Background(), fmt.Sprintf("select 'conn%d-%d'", j+1, i), pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
		}
	}
	messages := p.Messages()
	assert.Equal(t, "Query Query Query Query Query Query", messages.String())
	for i, m := range messages {
		var query pgproto3.Query
		require.NoError(t, query.Decode(m.Body))
		assert.Equal(t, fmt.Sprintf("select 'conn%d-%d'", i%2+1, i/2), query.String)
		assert.Equal(t, i%2+1, m.Conn)
		assert.Equal(t, byte('Q'), m.Type)
	}
	// The bytes are in order within each connection.
	sent, received := string(p.Sent()), string(p.Received())
	for _, text := range []string{sent, received} {
		last := -1
		for _, want := range []string{"conn1-0", "conn1-1", "conn1-2", "conn2-0", "conn2-1", "conn2-2"} {
			at := strings.LastIndex(text, want)
			assert.Greater(t, at, last, want)
			last = at
		}
	}

	p.SetRecording(false)
	assert.Equal(t, 1, scan[int](t, a, "select 1"))
	assert.Equal(t, sent, string(p.Sent()))
	assert.Equal(t, received, string(p.Received()))
	assert.Len(t, p.Messages(), 6)
	p.Reset()
	assert.Equal(t, 1, scan[int](t, a, "select 1"))
	assert.Equal(t, 1, p.RoundTrips(), "counted all the same")
	p.SetRecording(true)
	assert.Equal(t, 1, scan[int](t, a, "select 1"))
	assert.Equal(t, "Bind Execute Sync", p.Messages().String())

	// What is returned stays as it is.
	kept := p.Sent()
	before := string(kept)
	p.Reset()
	assert.Equal(t, 1, scan[int](t, a, "select 1"))
	assert.Equal(t, before, string(kept))
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "a second time")
	assert.Equal(t, "Bind Execute Sync", p.Messages().String())
}

func TestProxyLogins(t *testing.T) {
	db := pganontest.New(t)
	role := db.Role("app", "login")
	p := db.Proxy()
	assert.Equal(t, db.Name(), scan[string](t, connect(t, p.DSN()), "select current_database()::text"))
	assert.Equal(t, role, scan[string](t, connect(t, p.DSNAs(role)), "select current_user::text"))

	p2, err := pganontest.NewProxy(db.DSN() + "&pganon.identity=optional&application_name=x%20y")
	require.NoError(t, err)
	defer p2.Close()
	assert.Contains(t, p2.DSN(), "pganon.identity=optional")
	assert.Contains(t, p2.DSN(), "application_name=x%20y")

	if dsn, ok := db.UnixDSN(); ok {
		p3, err := pganontest.NewProxy(dsn)
		require.NoError(t, err)
		defer p3.Close()
		assert.True(t, scan[bool](t, connect(t, p3.DSN()), "select inet_client_addr() is null"))
	}
	cfg, err := pgconn.ParseConfig(db.DSN())
	require.NoError(t, err)
	p4, err := pganontest.NewProxy(fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=%s sslmode=disable", cfg.Host, cfg.Port, cfg.User, cfg.Password, cfg.Database))
	require.NoError(t, err)
	defer p4.Close()
	assert.Equal(t, db.Name(), scan[string](t, connect(t, p4.DSN()), "select current_database()::text"))

	_, err = pganontest.NewProxy("postgres://u:s3cret-word@h:nan/d")
	require.Error(t, err)
	pganontest.AssertNoLeak(t, []string{"s3cret-word"}, err)
	_, err = pganontest.NewProxy("postgres://u:s3cret-word@h/d?sslmode=s3cret-word")
	require.Error(t, err)
	pganontest.AssertNoLeak(t, []string{"s3cret-word"}, err)
}

func TestProxySaysThatTheServerIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	l.Close()
	p, err := pganontest.NewProxy("postgres://u@" + address + "/d?sslmode=disable")
	require.NoError(t, err)
	defer p.Close()
	_, err = pgx.Connect(context.Background(), p.DSN())
	assert.ErrorContains(t, err, "the proxy of pganontest cannot reach the server")
}

func TestProxyLatencyDelaysAndDoesNotThrottle(t *testing.T) {
	ctx := context.Background()
	p := pganontest.New(t).Proxy()
	conn := connect(t, p.DSN()+"&default_query_exec_mode=exec")
	const latency = 100 * time.Millisecond
	took := func(f func()) time.Duration {
		start := time.Now()
		f()
		return time.Since(start)
	}
	p.SetLatency(latency)
	one := took(func() { assert.Equal(t, 1, scan[int](t, conn, "select 1")) })
	assert.GreaterOrEqual(t, one, latency)
	three := took(func() {
		for range 3 {
			assert.Equal(t, 1, scan[int](t, conn, "select 1"))
		}
	})
	assert.GreaterOrEqual(t, three, 3*latency)

	// A throttle would take fifty times the latency, or more than a hundred times.
	pipelined := took(func() {
		pipeline := conn.PgConn().StartPipeline(ctx)
		for range 50 {
			pipeline.SendQueryParams("select 1", nil, nil, nil, nil)
			pipeline.SendPipelineSync()
		}
		require.NoError(t, pipeline.Flush())
		require.NoError(t, pipeline.Close())
	})
	assert.GreaterOrEqual(t, pipelined, latency)
	assert.Less(t, pipelined, 25*latency)
	large := strings.Repeat("x", 8<<20)
	written := took(func() { assert.Equal(t, len(large), scan[int](t, conn, "select length($1::text)", large)) })
	assert.GreaterOrEqual(t, written, latency)
	assert.Less(t, written, 50*latency)
	read := took(func() { assert.Equal(t, large, scan[string](t, conn, "select repeat('x', 8 << 20)")) })
	assert.GreaterOrEqual(t, read, latency)
	assert.Less(t, read, 50*latency)

	p.SetLatency(0)
	p.Reset()
	for i := range 100 {
		p.SetLatency(time.Duration(i%3) * 300 * time.Microsecond)
		assert.Equal(t, i, scan[int](t, conn, "select $1::int", i), "while the latency changes")
	}
	assert.Equal(t, 100, p.RoundTrips())
	assert.Len(t, p.Messages(), 500)
}

func TestProxyCut(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	p := db.Proxy()
	p.SetLatency(time.Millisecond)
	pool, err := sql.Open("pgx", p.DSN())
	require.NoError(t, err)
	defer pool.Close()
	const queries = 5
	errs := make(chan error, queries)
	for range queries {
		go func() {
			_, err := pool.ExecContext(ctx, "select pg_sleep($1)", 60)
			errs <- err
		}()
	}
	direct := connect(t, db.DSN())
	sleeping := func() int {
		return scan[int](t, direct, "select count(*) from pg_stat_activity where query = 'select pg_sleep($1)' and wait_event = 'PgSleep'")
	}
	require.Eventually(t, func() bool { return sleeping() == queries }, waitFor, tick)
	p.Cut()
	for range queries {
		assert.Error(t, <-errs)
	}
	p.Cut() // nothing is open
	var one int
	require.NoError(t, pool.QueryRowContext(ctx, "select 1").Scan(&one), "new connections are accepted")
}

func TestProxyCutUnderLoad(t *testing.T) {
	p := pganontest.New(t).Proxy()
	pool, err := sql.Open("pgx", p.DSN())
	require.NoError(t, err)
	defer pool.Close()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = pool.Exec("select $1::int", 1)
				}
			}
		})
	}
	for i := range 100 {
		p.SetLatency(time.Duration(i%2) * 100 * time.Microsecond)
		time.Sleep(2 * time.Millisecond)
		p.Cut()
	}
	close(done)
	wg.Wait()
	var one int
	require.NoError(t, pool.QueryRow("select 1").Scan(&one))
}

func TestProxyDeliversTheServersLastWords(t *testing.T) {
	ctx := context.Background()
	db := pganontest.New(t)
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		p := db.Proxy()
		conn := connect(t, p.DSN())
		pid := conn.PgConn().PID()
		p.SetLatency(latency)
		db.Exec("select pg_terminate_backend($1)", pid)
		_, err := conn.Exec(ctx, "select 1")
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr)
		assert.Equal(t, "57P01", pgErr.Code)
	}
}

func TestProxyClosesWhileTheServerIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	for _, sslmode := range []string{"require", "disable"} {
		p, err := pganontest.NewProxy("postgres://u@" + listener.Addr().String() + "/d?sslmode=" + sslmode)
		require.NoError(t, err)
		connected := make(chan error)
		go func() {
			_, err := pgx.Connect(context.Background(), p.DSN())
			connected <- err
		}()
		server, err := listener.Accept()
		require.NoError(t, err)
		require.NoError(t, p.Close())
		assert.Error(t, <-connected)
		server.Close()
	}
}

func TestProxyLeavesNothingRunning(t *testing.T) {
	db := pganontest.New(t)
	db.Exec("select 1")
	before := runtime.NumGoroutine()
	for _, end := range []func(*pganontest.Proxy){
		func(p *pganontest.Proxy) {},
		func(p *pganontest.Proxy) { p.Cut() },
		func(p *pganontest.Proxy) { require.NoError(t, p.Close()) },
	} {
		p, err := pganontest.NewProxy(db.DSN())
		require.NoError(t, err)
		p.SetLatency(time.Millisecond)
		var conns []*pgx.Conn
		for range 5 {
			conn, err := pgx.Connect(context.Background(), p.DSN())
			require.NoError(t, err)
			conns = append(conns, conn)
		}
		raw, err := net.Dial("tcp", strings.Split(strings.SplitAfter(p.DSN(), "@")[1], "/")[0])
		require.NoError(t, err)
		_, err = raw.Write([]byte{0, 0})
		require.NoError(t, err)
		end(p)
		for _, conn := range conns {
			conn.Close(context.Background())
		}
		raw.Close()
		require.NoError(t, p.Close())
	}
	for end := time.Now().Add(waitFor); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(tick)
	}
	if runtime.NumGoroutine() > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
	}
}

func TestProxyRefusesAnInvalidStartup(t *testing.T) {
	p := pganontest.New(t).Proxy()
	address := strings.Split(strings.SplitAfter(p.DSN(), "@")[1], "/")[0]
	for _, packet := range [][]byte{{0, 0, 0, 4, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, {0, 0, 0x40, 0, 0, 3, 0, 0}} {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		_, err = conn.Write(packet)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitFor)))
		_, err = conn.Read(make([]byte, 1))
		assert.False(t, errors.Is(err, os.ErrDeadlineExceeded), "closed")
		assert.Error(t, err)
		conn.Close()
	}
	assert.Equal(t, 1, scan[int](t, connect(t, p.DSN()), "select 1"))
}

// The server speaks TLS, the client of the proxy does not.
func TestProxyDoesTLSWithTheServer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	root := filepath.Join(t.TempDir(), "root.pem")
	require.NoError(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	answers := make(chan byte, 1)
	go func() {
		for answer := range answers {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 8)
			_, _ = io.ReadFull(conn, request)
			_, _ = conn.Write([]byte{answer})
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
			backend := pgproto3.NewBackend(secure, secure)
			if _, err := backend.ReceiveStartupMessage(); err == nil {
				backend.Send(&pgproto3.AuthenticationOk{})
				backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				_ = backend.Flush()
				_, _ = backend.Receive()
			}
			secure.Close()
		}
	}()
	defer close(answers)
	p, err := pganontest.NewProxy("postgres://u@" + listener.Addr().String() + "/d?sslmode=verify-full&sslrootcert=" + root)
	require.NoError(t, err)
	defer p.Close()
	answers <- 'S'
	conn, err := pgx.Connect(context.Background(), p.DSN())
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.Background()))
	answers <- 'N'
	_, err = pgx.Connect(context.Background(), p.DSN())
	assert.ErrorContains(t, err, "cannot reach the server")

	// As pgx does it, prefer goes on without.
	db := pganontest.New(t)
	preferring, err := pganontest.NewProxy(strings.Replace(db.DSN(), "sslmode=disable", "sslmode=prefer", 1))
	require.NoError(t, err)
	defer preferring.Close()
	assert.Equal(t, 1, scan[int](t, connect(t, preferring.DSN()), "select 1"))
}

func BenchmarkProxy(b *testing.B) {
	db := pganontest.New(b)
	p := db.Proxy()
	p.SetRecording(false)
	for _, c := range []struct {
		name, dsn string
		latency   time.Duration
	}{
		{"direct", db.DSN(), 0}, {"proxy", p.DSN(), 0}, {"proxy 0.5ms", p.DSN(), 500 * time.Microsecond}, {"proxy 2ms", p.DSN(), 2 * time.Millisecond},
	} {
		b.Run(c.name, func(b *testing.B) {
			conn := connect(b, c.dsn)
			p.SetLatency(c.latency)
			for b.Loop() {
				scan[int](b, conn, "select $1::int", 1)
			}
		})
	}
}
