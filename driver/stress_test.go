package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// stressTime is for how long TestStress runs; the environment variable PGANON_STRESS says another duration. The other
// exec modes get a fifth of it each.
func stressTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("PGANON_STRESS")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "PGANON_STRESS wants a Go duration")
	return d
}

// TestStress has 64 goroutines run statements of random identities on four connections while contexts end, backends
// die and the network is cut, and compares every answer with the identity that asked.
func TestStress(t *testing.T) {
	runStress(t, "cache_statement", stressTime(t))
}

func TestStressModes(t *testing.T) {
	for _, mode := range []string{"cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) { runStress(t, mode, stressTime(t)/5) })
	}
}

// stressIdentity is an identity and what the database must say of it.
type stressIdentity struct {
	index  int
	in     func(context.Context) context.Context
	who    string // as stress_who gives it
	rows   int    // of stress_rows that its policy shows
	tenant string // of all of them, "" where it sees none or all
	self   string // of its own stress_self
	path   string // of its search_path, where it is not the default
	masked bool   // and may not write
	system bool
}

// mark is what the identity leaves on sessions, an identifier of its own.
func (id *stressIdentity) mark() string { return fmt.Sprintf("left_%02d", id.index) }

const stressTenants = 8

// stressWorld is a database in which every identity sees something else.
type stressWorld struct {
	db         *pganontest.DB
	maskedRole string
	login      string
	ids        []*stressIdentity
	path       string // the session's own search_path
}

// stressWho is the SQL of who a statement runs as; stress_who is the same as a function.
const stressWho = `current_user || '|' || coalesce(current_setting('rls.user_id', true), '') || '|' || coalesce(current_setting('rls.tenant_id', true), '')
 || '|' || coalesce(current_setting('rls.region', true), '') || '|' || coalesce(current_setting('rls.extra_0', true), '')
 || '|' || coalesce(current_setting('rls.extra_1', true), '') || '|' || coalesce(current_setting('shop.basket', true), '')
 || '|' || current_setting('statement_timeout')`

func newStressWorld(t *testing.T) *stressWorld {
	t.Helper()
	db := pganontest.New(t)
	w := &stressWorld{db: db}
	db.Exec(`create table stress_rows(id int primary key, tenant text not null, body text not null);
insert into stress_rows select 100 * t + i, 't' || t, repeat('x', 20) from generate_series(0, 7) t, generate_series(0, t) i;
alter table stress_rows enable row level security;
create policy stress_tenant on stress_rows using (tenant = nullif(current_setting('rls.tenant_id', true), ''));
create function stress_who() returns text language sql stable as $f$ select ` + stressWho + ` $f$;
create table stress_audit(nonce int8, via text, expected text not null, actual text not null default stress_who());
create table stress_deferred(nonce int8, expected text not null);
create function stress_deferred() returns trigger language plpgsql as $f$
begin
	insert into stress_audit(nonce, via, expected) values (new.nonce, 'deferred', new.expected);
	return null;
end $f$;
create constraint trigger stress_deferred after insert on stress_deferred deferrable initially deferred
	for each row execute function stress_deferred();
create procedure stress_commit() language plpgsql as $f$
begin
	insert into stress_audit(nonce, via, expected) values (0, 'commit', 'never');
	commit;
end $f$;
grant select on stress_rows to public;
grant insert on stress_audit, stress_deferred to public`)
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, db.DSN())
	require.NoError(t, err)
	defer admin.Close(ctx)
	require.NoError(t, admin.QueryRow(ctx, `select session_user, current_setting('search_path')`).Scan(&w.login, &w.path))
	self := func(role, schema string) string {
		db.Exec(fmt.Sprintf(`create schema %[2]s; create table %[2]s.stress_self(who text); insert into %[2]s.stress_self values ('%[1]s');
grant usage on schema %[2]s to %[1]s; grant select on %[2]s.stress_self to %[1]s`, role, schema))
		return role
	}
	db.Exec(`create table public.stress_self(who text); insert into public.stress_self values ('login')`)

	roles := make([]string, 6)
	for i := range roles {
		roles[i] = self2(db.Role(fmt.Sprintf("stress_%d", i)), self)
	}
	moved := db.Role("stress_moved") // resolves names through a search_path of its own
	self(moved, moved+"_own")
	db.Exec("alter role " + moved + " set search_path = " + moved + "_own, public")
	writable := self2(db.Role("stress_masked_writable"), self)
	db.Exec("comment on role " + writable + ` is 'pganon:"masked,writable"'`)
	w.maskedRole = self2(db.Role("stress_masked"), self)
	other := self2(db.Role("stress_masked_other"), self)
	db.Exec("comment on role " + other + ` is 'reads: pganon:"masked"'`)

	all := append(slices.Clone(roles), moved, writable)
	add := func(id stressIdentity) {
		id.index = len(w.ids)
		w.ids = append(w.ids, &id)
	}
	for i := range 44 {
		role := all[i%len(all)]
		who := pganon.Identity{User: fmt.Sprintf("u%d", i), Role: role, Settings: map[string]string{}}
		id := stressIdentity{self: role}
		if role == moved {
			id.path = moved + "_own, public"
		}
		if i%11 != 10 {
			n := i % stressTenants
			who.Tenant = fmt.Sprintf("t%d", n)
			id.tenant, id.rows = who.Tenant, n+1
		}
		setting := func(every int, name, value string) string {
			if i%every != 0 {
				return ""
			}
			who.Settings[name] = value
			return value
		}
		region := setting(3, "region", fmt.Sprintf("region %d", i))
		extra0 := setting(5, "extra_0", fmt.Sprintf("it's %d", i))
		extra1 := setting(7, "rls.extra_1", `back\slash`)
		basket := setting(4, "shop.basket", fmt.Sprint(i))
		timeout := setting(6, "statement_timeout", "7min")
		if timeout == "" {
			timeout = "0"
		}
		id.in = func(ctx context.Context) context.Context { return pganon.WithIdentity(ctx, who) }
		id.who = strings.Join([]string{role, who.User, who.Tenant, region, extra0, extra1, basket, timeout}, "|")
		add(id)
		if i%5 == 0 { // the same identity, masked
			masked := id
			masked.masked, masked.path = true, ""
			masked.self = w.maskedRole
			masked.in = func(ctx context.Context) context.Context { return pganon.Masked(pganon.WithIdentity(ctx, who)) }
			if i%2 == 0 {
				masked.self = other
				masked.in = func(ctx context.Context) context.Context {
					return pganon.WithIdentity(pganon.MaskedAs(ctx, other), who)
				}
			}
			masked.who = strings.Join([]string{masked.self, who.User, who.Tenant, region, extra0, extra1, basket, timeout}, "|")
			add(masked)
		}
	}
	add(stressIdentity{
		in:     func(ctx context.Context) context.Context { return pganon.System(ctx, "stress test") },
		who:    w.login + "|||||||0",
		rows:   stressTenants * (stressTenants + 1) / 2,
		self:   "login",
		system: true,
	})
	return w
}

func self2(role string, self func(role, schema string) string) string { return self(role, role) }

func (w *stressWorld) config() driver.Config {
	return driver.Config{MaskedRole: w.maskedRole, AllowSettings: []string{"statement_timeout"}}
}

// tenants is what string_agg gives of the tenants that id sees.
func (id *stressIdentity) tenants() string {
	if id.system {
		return "t0,t1,t2,t3,t4,t5,t6,t7"
	}
	return id.tenant
}

// stressTexts are queries that all identities share, so that a mix-up of statements or plans would show. Each gives back
// its parameter, who asks, the rows and tenants that it sees, and which of several tables a name means.
var stressTexts = func() []string {
	const tail = `, (select count(*) from stress_rows), (select coalesce(string_agg(distinct tenant, ',' order by tenant), '') from stress_rows), (select who from stress_self)`
	var texts []string
	for i := range 6 {
		texts = append(texts,
			fmt.Sprintf("select $1::int8, %s%s, %d", stressWho, tail, i),
			fmt.Sprintf("select $1::int8, stress_who()%s from (values (%d)) v", tail, i),
		)
	}
	return append(texts,
		"with seen as materialized (select * from stress_rows) select $1::int8, stress_who(), (select count(*) from seen), (select coalesce(string_agg(distinct tenant, ',' order by tenant), '') from seen), (select who from stress_self) -- the last line",
		"select n, stress_who()"+tail+" from (select $1::int8) as t(n) where n = $1 /* nested /* comment */ */;",
	)
}()

// stress is one run.
type stress struct {
	t       *testing.T
	world   *stressWorld
	handle  *sql.DB
	stmts   []*sql.Stmt
	started time.Time
	ops     []stressOp
	shakes  []string
	cancels int // of so many contexts one ends at random; none where it is 0
	burst   int // queries of one operation
	// tolerate are further SQLSTATEs that operations may end with.
	tolerate []string

	nonces, checked, refused, tolerated, cancelled, wrong, left atomic.Int64

	mu     sync.Mutex
	acked  map[int64]string // audited writes that were reported as done
	errors map[string]int
	done   map[string]int64 // operations that ended well
}

func newStress(t *testing.T, w *stressWorld, handle *sql.DB) *stress {
	return &stress{t: t, world: w, handle: handle, ops: stressOps, shakes: append(slices.Clone(stressShakes), stressSessionShakes...), cancels: 24, burst: 16,
		acked: map[int64]string{}, errors: map[string]int{}, done: map[string]int64{}}
}

// prepare makes the statements that all goroutines share.
func (s *stress) prepare() {
	for i, text := range stressTexts[:4] {
		stmt, err := s.handle.PrepareContext(s.world.ids[i].in(s.t.Context()), text)
		require.NoError(s.t, err)
		s.stmts = append(s.stmts, stmt)
	}
}

func runStress(t *testing.T, mode string, duration time.Duration) {
	w := newStressWorld(t)
	before := runtime.NumGoroutine()
	proxy, err := pganontest.NewProxy(w.db.DSN())
	require.NoError(t, err)
	proxy.SetRecording(false)
	// Capacities below the number of texts, so that eviction goes on all the time.
	handle, err := driver.Open(stressDSN(proxy.DSN(), mode)+"&statement_cache_capacity=9&description_cache_capacity=9&application_name=stress", w.config())
	require.NoError(t, err)
	const connections, goroutines = 4, 64
	handle.SetMaxOpenConns(connections)
	handle.SetMaxIdleConns(connections)
	s := newStress(t, w, handle)
	s.prepare()

	seed := rand.Uint64()
	t.Logf("seed %d, mode %s, %s", seed, mode, duration)
	s.started = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var workers, chaos sync.WaitGroup
	for i := range goroutines {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		workers.Go(func() {
			for ctx.Err() == nil {
				s.step(rnd)
			}
		})
	}
	var killed, cuts atomic.Int64
	chaos.Go(func() { s.kill(ctx, rand.New(rand.NewPCG(seed, 1000)), &killed) })
	chaos.Go(func() {
		rnd := rand.New(rand.NewPCG(seed, 1001))
		for stressSleep(ctx, time.Duration(300+rnd.IntN(1200))*time.Millisecond) {
			proxy.Cut()
			cuts.Add(1)
		}
	})
	workers.Wait()
	chaos.Wait()
	took := time.Since(s.started)

	// The pool works as before, for every identity.
	during := s.checked.Load()
	require.LessOrEqual(t, handle.Stats().OpenConnections, connections)
	// database/sql rolls a transaction whose context has ended back behind the caller's back.
	require.Eventually(t, func() bool { return handle.Stats().InUse == 0 }, 10*time.Second, 10*time.Millisecond, "connections that nobody has given back")
	for _, id := range w.ids {
		_, err := s.check(t.Context(), handle, id, stressTexts[id.index%len(stressTexts)])
		if err != nil { // the idle connections may be the last cut's: as on plain pgx the first statement finds out
			_, err = s.check(t.Context(), handle, id, stressTexts[0])
		}
		require.NoError(t, err)
	}
	for _, stmt := range s.stmts {
		require.NoError(t, stmt.Close())
	}
	require.NoError(t, handle.Close())
	require.NoError(t, proxy.Close())
	audited := s.audit()

	t.Logf("%s: %d statements checked in %s (%.0f/s), %d writes audited (%d acknowledged), %d refusals checked, %d sessions checked for leftovers, "+
		"%d calls ended by their context, %d by chaos; %d backends killed or cancelled, %d cuts; wrong: %d",
		mode, during, took.Round(time.Millisecond), float64(during)/took.Seconds(), audited, len(s.acked), s.refused.Load(), s.left.Load(),
		s.cancelled.Load(), s.tolerated.Load(), killed.Load(), cuts.Load(), s.wrong.Load())
	t.Log("operations that ended well:", s.done)
	t.Log("errors:", s.errors)
	require.Zero(t, s.wrong.Load(), "statements under a wrong identity, or with a wrong result")
	require.Greater(t, during, int64(duration.Seconds()*20), "too few statements to say anything")
	var ended int64
	for _, n := range s.done {
		ended += n
	}
	if ended > 1000 { // else chance may have left one out
		require.Positive(t, killed.Load())
		require.Positive(t, s.cancelled.Load())
		for _, op := range stressOps {
			require.Positive(t, s.done[op.name], "operation %s has never ended well", op.name)
		}
	}

	deadline := time.Now().Add(20 * time.Second) // pgx gives a connection that it closes behind the caller's back up to 15
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Errorf("%d goroutines before, %d after:\n%s", before, now, stacks.String())
	}
}

func stressDSN(dsn, mode string) string {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return dsn + separator + "default_query_exec_mode=" + mode
}

func stressSleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// kill terminates random backends of the run, and cancels what others are at.
func (s *stress) kill(ctx context.Context, rnd *rand.Rand, killed *atomic.Int64) {
	admin, err := pgx.Connect(context.Background(), s.world.db.DSN())
	if err != nil {
		s.t.Error(err)
		return
	}
	defer admin.Close(context.Background())
	for stressSleep(ctx, time.Duration(50+rnd.IntN(500))*time.Millisecond) {
		function := "pg_terminate_backend"
		if rnd.IntN(3) == 0 {
			function = "pg_cancel_backend"
		}
		tag, err := admin.Exec(context.Background(), "select "+function+"(pid) from pg_stat_activity where datname = current_database() and application_name = 'stress' order by random() limit 1")
		if err != nil {
			s.t.Error(err)
			return
		}
		killed.Add(tag.RowsAffected())
	}
}

// audit waits for the backends to end and calls auditRows.
func (s *stress) audit() int {
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, s.world.db.DSN())
	require.NoError(s.t, err)
	defer admin.Close(ctx)
	// What was cut off may be at it still.
	require.Eventually(s.t, func() bool {
		var n int
		err := admin.QueryRow(ctx, "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'stress'").Scan(&n)
		return err == nil && n == 0
	}, 30*time.Second, 20*time.Millisecond, "backends outlive the pool")
	return s.auditRows()
}

// auditRows reads what the writes have left behind: each was made by whom it says, and no more than once.
func (s *stress) auditRows() int {
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, s.world.db.DSN())
	require.NoError(s.t, err)
	defer admin.Close(ctx)
	rows, err := admin.Query(ctx, "select nonce, via, expected, actual from stress_audit")
	require.NoError(s.t, err)
	seen := map[string]int{}
	n := 0
	var nonce int64
	var via, expected, actual string
	_, err = pgx.ForEachRow(rows, []any{&nonce, &via, &expected, &actual}, func() error {
		n++
		if expected != actual {
			s.bad("audit %d by %s: expected %s, was %s", nonce, via, expected, actual)
		}
		seen[fmt.Sprint(nonce, via)]++
		return nil
	})
	require.NoError(s.t, err)
	for key, times := range seen {
		if times > 1 {
			s.bad("write %s was made %d times", key, times)
		}
	}
	for nonce, via := range s.acked {
		if seen[fmt.Sprint(nonce, via)] == 0 {
			s.bad("write %d %s was reported as done, and is not there", nonce, via)
		}
	}
	return n
}

func (s *stress) bad(format string, args ...any) {
	if s.wrong.Add(1) <= 20 {
		s.t.Errorf(format, args...)
	}
}

func (s *stress) ack(nonce int64, via string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked[nonce] = via
}

type stressOp struct {
	name   string
	weight int
	run    func(*stress, context.Context, *stressIdentity, *rand.Rand) error
}

// stressOps are the operations of a run, with the weight of their chance.
var stressOps []stressOp

func init() { // the operations refer to stressOps
	stressOps = []stressOp{
		{"query", 30, (*stress).opQuery},
		{"stmt", 12, (*stress).opStmt},
		{"exec", 10, (*stress).opExec},
		{"rows", 8, (*stress).opRows},
		{"several", 6, (*stress).opSeveral},
		{"block", 6, (*stress).opBlock},
		{"escape", 4, (*stress).opEscape},
		{"tx", 12, (*stress).opTx},
		{"conn", 4, (*stress).opConn},
		{"leave", 4, (*stress).opLeave},
		{"leftovers", 6, (*stress).opLeftovers},
		{"error", 3, (*stress).opError},
	}
}

// step runs one random operation as a random identity, with a context that may end at any moment of it.
func (s *stress) step(rnd *rand.Rand) {
	id := s.world.ids[rnd.IntN(len(s.world.ids))]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if s.cancels > 0 && rnd.IntN(s.cancels) == 0 {
		after := time.Duration(rnd.ExpFloat64() * float64(5*time.Millisecond))
		if rnd.IntN(2) == 0 {
			timer := time.AfterFunc(after, cancel)
			defer timer.Stop()
		} else {
			ctx, cancel = context.WithTimeout(ctx, after)
			defer cancel()
		}
	}
	weight := 0
	for _, op := range s.ops {
		weight += op.weight
	}
	at := rnd.IntN(weight)
	var op stressOp
	for _, op = range s.ops {
		if at -= op.weight; at < 0 {
			break
		}
	}
	err := op.run(s, ctx, id, rnd)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.done[op.name]++
		return
	}
	kind, ok := stressTolerable(err)
	ok = ok || slices.Contains(s.tolerate, kind)
	s.errors[kind]++
	switch {
	case !ok:
		s.bad("%s as %s: %v", op.name, id.who, err)
	case ctx.Err() != nil:
		s.cancelled.Add(1)
	default:
		s.tolerated.Add(1)
	}
}

// stressTolerable says whether an error is one that the run itself provokes, and its kind.
func stressTolerable(err error) (kind string, ok bool) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "57P01", "57014":
			return pgErr.Code, true
		}
		return pgErr.Code, false
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, sqldriver.ErrBadConn, sql.ErrTxDone, sql.ErrConnDone, io.ErrUnexpectedEOF, io.EOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error(), true
		}
	}
	var netErr net.Error
	if errors.As(err, &netErr) {
		return "net.Error", true
	}
	if text := err.Error(); strings.Contains(text, "conn closed") || strings.Contains(text, "connection reset") {
		return "conn closed", true
	}
	return err.Error(), false
}

// stressQueryer is answered by *sql.DB, *sql.Conn and *sql.Tx.
type stressQueryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

// check runs text as id and compares the answer.
func (s *stress) check(ctx context.Context, q stressQueryer, id *stressIdentity, text string) (bool, error) {
	nonce := s.nonces.Add(1)
	return s.compare(id, nonce, text, q.QueryRowContext(id.in(ctx), text, nonce))
}

func (s *stress) compare(id *stressIdentity, nonce int64, what string, row *sql.Row) (bool, error) {
	var got struct {
		nonce              int64
		who, tenants, self string
		rows               int
	}
	dest := []any{&got.nonce, &got.who, &got.rows, &got.tenants, &got.self}
	if strings.HasPrefix(what, "select $1::int8, current_user") {
		dest = append(dest, new(int))
	}
	if err := row.Scan(dest...); err != nil {
		return false, err
	}
	s.checked.Add(1)
	if got.nonce != nonce || got.who != id.who || got.rows != id.rows || got.tenants != id.tenants() || got.self != id.self {
		s.bad("statement %d as %s (%d rows of %q, self %s) was answered as %d %s (%d rows of %q, self %s): %.60s",
			nonce, id.who, id.rows, id.tenants(), id.self, got.nonce, got.who, got.rows, got.tenants, got.self, what)
		return false, nil
	}
	return true, nil
}

func stressText(rnd *rand.Rand) string { return stressTexts[rnd.IntN(len(stressTexts))] }

// opQuery runs the shared texts as one identity after the other.
func (s *stress) opQuery(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	for range s.burst {
		if _, err := s.check(ctx, s.handle, id, stressText(rnd)); err != nil {
			return err
		}
		id = s.world.ids[rnd.IntN(len(s.world.ids))]
	}
	return nil
}

func (s *stress) opStmt(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	if len(s.stmts) == 0 {
		return s.opQuery(ctx, id, rnd)
	}
	for range 1 + s.burst/4 {
		i := rnd.IntN(len(s.stmts))
		nonce := s.nonces.Add(1)
		if _, err := s.compare(id, nonce, stressTexts[i], s.stmts[i].QueryRowContext(id.in(ctx), nonce)); err != nil {
			return err
		}
		id = s.world.ids[rnd.IntN(len(s.world.ids))]
	}
	return nil
}

// write records who makes it. Of a masked identity it must be refused.
func (s *stress) write(ctx context.Context, q stressQueryer, id *stressIdentity, table, expected string) (int64, error) {
	nonce := s.nonces.Add(1)
	text := "insert into stress_audit(nonce, via, expected) values ($1, 'exec', $2)"
	if table == "stress_deferred" {
		text = "insert into stress_deferred(nonce, expected) values ($1, $2)"
	}
	result, err := q.ExecContext(id.in(ctx), text, nonce, expected)
	if id.masked {
		return 0, s.refusedWith(id, "25006", "a write", err)
	}
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		s.bad("insert %d of %s affected %d rows: %v", nonce, id.who, n, err)
	}
	return nonce, nil
}

// refusedWith wants err to be of the SQLSTATE, or one that the run provokes.
func (s *stress) refusedWith(id *stressIdentity, code, what string, err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		s.bad("%s of %s was not refused", what, id.who)
	case errors.As(err, &pgErr) && pgErr.Code == code:
		s.refused.Add(1)
		return nil
	}
	return err
}

func (s *stress) opExec(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	table, via := "stress_audit", "exec"
	if rnd.IntN(3) == 0 {
		table, via = "stress_deferred", "deferred" // its trigger runs at the Sync
	}
	nonce, err := s.write(ctx, s.handle, id, table, id.who)
	if err == nil && nonce != 0 {
		s.ack(nonce, via)
	}
	return err
}

// opRows reads many rows, or closes after a few of them.
func (s *stress) opRows(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	if id.system {
		return s.opQuery(ctx, id, rnd)
	}
	nonce := s.nonces.Add(1)
	const perRow = 100
	rows, err := s.handle.QueryContext(id.in(ctx), "select $1::int8, stress_who(), tenant, g from stress_rows, generate_series(1, 100) g", nonce)
	if err != nil {
		return err
	}
	defer rows.Close()
	most := id.rows * perRow
	if rnd.IntN(2) == 0 {
		most = rnd.IntN(most + 1)
	}
	n := 0
	for n < most && rows.Next() {
		var gotNonce int64
		var who, tenant string
		var g int
		if err := rows.Scan(&gotNonce, &who, &tenant, &g); err != nil {
			return err
		}
		if gotNonce != nonce || who != id.who || tenant != id.tenant {
			s.bad("row of %d as %s: %d as %s of %q", nonce, id.who, gotNonce, who, tenant)
			return nil
		}
		n++
	}
	if n < most || n == id.rows*perRow && rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		s.bad("%d of %d rows as %s", n, id.rows*perRow, id.who)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	s.checked.Add(1)
	return nil
}

// stressShakes are the texts that could shake the identity off; none of them ends the transaction.
var stressShakes = []string{
	"reset role", "set role none", "set local role none", "reset all", "set session authorization default",
	"select set_config('role', 'none', true)", "set local rls.user_id = 'mallory'", "reset rls.user_id",
	"with shaken as materialized (select set_config('role', 'none', true)) select * from shaken",
	"do $$ begin execute 'reset role'; end $$", "select set_config('rls.region', 'elsewhere', true)",
}

// stressSessionShakes are those that stay on the session.
var stressSessionShakes = []string{
	"select set_config('role', 'none', false)", "do $$ begin perform set_config('role', 'none', false); end $$",
	"select set_config('rls.tenant_id', 't5', false)", "set rls.tenant_id = 't6'", "set shop.basket = 'stolen'",
}

// opSeveral sends several commands in one text, every other of which tries to shake the identity off.
func (s *stress) opSeveral(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	nonce := s.nonces.Add(1)
	var text strings.Builder
	writes := 1 + rnd.IntN(3)
	committed := false
	for i := range writes {
		fmt.Fprintf(&text, "insert into stress_audit(nonce, via, expected) values (%d, 'several%d', '%s');\n", nonce, i, strings.ReplaceAll(id.who, "'", "''"))
		switch shake := rnd.IntN(len(s.shakes) + 2); {
		case id.system: // what it sets on a connection that no identity has used is its own affair
		case shake < len(s.shakes):
			fmt.Fprintf(&text, "%s;", s.shakes[shake])
		case !committed:
			text.WriteString("begin; reset role; commit;")
			committed = true
		}
	}
	_, err := s.handle.ExecContext(id.in(ctx), text.String())
	if id.masked {
		return s.refusedWith(id, "25006", "a write of several", err)
	}
	if err != nil {
		return err
	}
	s.ack(nonce, "several0")
	return nil
}

func (s *stress) opBlock(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	nonce := s.nonces.Add(1)
	_, err := s.handle.ExecContext(id.in(ctx), fmt.Sprintf("do $$ begin insert into stress_audit(nonce, via, expected) values (%d, 'block', '%s'); end $$",
		nonce, strings.ReplaceAll(id.who, "'", "''")))
	if id.masked {
		return s.refusedWith(id, "25006", "a write of a block", err)
	}
	if err != nil {
		return err
	}
	s.ack(nonce, "block")
	return nil
}

// opEscape runs blocks that end the transaction from within, to go on as the login role.
func (s *stress) opEscape(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	if id.system {
		return s.opQuery(ctx, id, rnd)
	}
	texts := []string{
		"do $$ begin insert into stress_audit values (0, 'escape', 'never'); commit; end $$",
		"do $$ begin commit; insert into stress_audit values (0, 'escape', 'never'); end $$",
		"do $$ begin rollback; insert into stress_audit values (0, 'escape', 'never'); end $$",
		"call stress_commit()",
	}
	i := rnd.IntN(len(texts))
	code := "2D000"
	if id.masked && (i == 0 || i == 3) {
		code = "25006"
	}
	_, err := s.handle.ExecContext(id.in(ctx), texts[i])
	return s.refusedWith(id, code, "an escape", err)
}

// opError runs statements that fail at each stage; the connection goes on as before.
func (s *stress) opError(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	failures := []struct{ text, code string }{
		{"select 1/0", "22012"}, {"selec 1", "42601"}, {"select * from stress_nowhere", "42P01"}, {"select 1; select 1/0", "22012"},
		{"select 1/(g - 90) from generate_series(1, 100) g", "22012"},
	}
	failure := failures[rnd.IntN(len(failures))]
	_, err := s.handle.ExecContext(id.in(ctx), failure.text)
	return s.refusedWith(id, failure.code, failure.text, err)
}

// opConn keeps one connection for several identities, and prepares as one of them what others run.
func (s *stress) opConn(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	conn, err := s.handle.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	text := stressText(rnd)
	stmt, err := conn.PrepareContext(id.in(ctx), text)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for range 2 + rnd.IntN(4) {
		if !id.system && rnd.IntN(4) == 0 {
			if _, err := conn.ExecContext(id.in(ctx), s.shakes[rnd.IntN(len(s.shakes))]); err != nil {
				return err
			}
		}
		id = s.world.ids[rnd.IntN(len(s.world.ids))]
		nonce := s.nonces.Add(1)
		if _, err := s.compare(id, nonce, text, stmt.QueryRowContext(id.in(ctx), nonce)); err != nil {
			return err
		}
		if _, err := s.check(ctx, conn, id, stressText(rnd)); err != nil {
			return err
		}
	}
	return nil
}

// opTx runs a transaction with savepoints, shakes and statements of other identities in it.
func (s *stress) opTx(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	var opts *sql.TxOptions
	readOnly := id.masked
	switch rnd.IntN(8) {
	case 0:
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
	case 1:
		opts, readOnly = &sql.TxOptions{ReadOnly: true}, true
	}
	tx, err := s.handle.BeginTx(id.in(ctx), opts)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	own := *id
	if rnd.IntN(2) == 0 {
		own.in = func(ctx context.Context) context.Context { return ctx } // the transaction's
	}
	exec := func(text string) error {
		_, err := tx.ExecContext(own.in(ctx), text)
		return err
	}
	shake := func() error {
		if id.system {
			return nil
		}
		return exec(s.shakes[rnd.IntN(len(s.shakes))])
	}
	written := map[int64]string{}
	for range 1 + rnd.IntN(5) {
		var err error
		switch rnd.IntN(8) {
		case 0:
			other := s.world.ids[rnd.IntN(len(s.world.ids))]
			_, err = s.check(ctx, tx, other, stressText(rnd))
		case 1:
			err = shake()
		case 2, 3: // as GORM nests transactions
			if err = exec("savepoint nested"); err != nil {
				break
			}
			if err = shake(); err != nil {
				break
			}
			if _, err = s.check(ctx, tx, &own, stressText(rnd)); err != nil {
				break
			}
			if rnd.IntN(2) == 0 {
				if err = s.refusedWith(id, "22012", "division by zero", exec("select 1/0")); err != nil {
					break
				}
			} else if rnd.IntN(2) == 0 {
				err = exec("release savepoint nested")
				break
			}
			err = exec("rollback to savepoint nested")
		case 4:
			if readOnly {
				break
			}
			var nonce int64
			table, via := "stress_audit", "exec"
			if rnd.IntN(2) == 0 {
				table, via = "stress_deferred", "deferred"
			}
			if nonce, err = s.write(ctx, tx, &own, table, id.who); err == nil {
				written[nonce] = via
			}
		case 5:
			if len(s.stmts) == 0 {
				break
			}
			i := rnd.IntN(len(s.stmts))
			nonce := s.nonces.Add(1)
			_, err = s.compare(id, nonce, stressTexts[i], tx.StmtContext(own.in(ctx), s.stmts[i]).QueryRowContext(own.in(ctx), nonce))
		case 6:
			if readOnly {
				break
			}
			// Reads a masked row in a transaction that writes.
			masked := s.world.ids[rnd.IntN(len(s.world.ids))]
			if masked.masked {
				_, err = s.check(ctx, tx, masked, stressText(rnd))
			}
		default:
			_, err = s.check(ctx, tx, &own, stressText(rnd))
		}
		if err != nil {
			return err
		}
	}
	switch rnd.IntN(6) {
	case 0:
		return tx.Rollback()
	case 1: // the end in text; what comes then runs as the identity all the same
		if err := exec([]string{"commit", "commit and chain", "rollback", "rollback and chain", "end"}[rnd.IntN(5)]); err != nil {
			return err
		}
		if _, err := s.check(ctx, tx, &own, stressText(rnd)); err != nil {
			return err
		}
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for nonce, via := range written {
		s.ack(nonce, via)
	}
	return nil
}

// opLeave leaves something on the session that the next identity must not find.
func (s *stress) opLeave(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	mark := id.mark()
	texts := []string{
		"set app.leftover = '" + mark + "'",
		"select set_config('app.leftover', '" + mark + "', false)",
		"create temp table if not exists " + mark + "(id int)",
		"create temporary view " + mark + "_view as select 1 as one",
		"declare " + mark + " cursor with hold for select * from stress_rows",
		"listen " + mark,
		fmt.Sprintf("select pg_advisory_lock_shared(%d)", id.index),
		"set search_path = \"$user\", public, " + mark,
		"prepare " + mark + " as select 1",
	}
	_, err := s.handle.ExecContext(id.in(ctx), texts[rnd.IntN(len(texts))])
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "42P03", "42P05", "42P07": // the same identity has left it here before
			return nil
		case "25006":
			if id.masked {
				return nil
			}
		}
	}
	return err
}

// opLeftovers looks for what others have left on the session.
func (s *stress) opLeftovers(ctx context.Context, id *stressIdentity, rnd *rand.Rand) error {
	found := make([]string, 7)
	var who string
	dest := []any{&who}
	for i := range found {
		dest = append(dest, &found[i])
	}
	err := s.handle.QueryRowContext(id.in(ctx), `select stress_who(), coalesce(current_setting('app.leftover', true), ''),
 coalesce((select string_agg(relname, ',') from pg_class where relnamespace = pg_my_temp_schema()), ''),
 coalesce((select string_agg(name, ',') from pg_cursors where name like 'left%'), ''),
 coalesce((select string_agg(c, ',') from pg_listening_channels() c), ''),
 coalesce((select string_agg('left_' || to_char(objid::int, 'FM00'), ',') from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()), ''),
 coalesce((select string_agg(name, ',') from pg_prepared_statements where name like 'left%'), ''),
 current_setting('search_path')`).Scan(dest...)
	if err != nil {
		return err
	}
	s.checked.Add(1)
	s.left.Add(1)
	if who != id.who {
		s.bad("leftovers as %s were answered as %s", id.who, who)
	}
	path := found[len(found)-1]
	if path == s.world.path || path == id.path {
		found = found[:len(found)-1]
	} else {
		_, found[len(found)-1], _ = strings.Cut(path, "public, ")
	}
	for i, names := range found {
		if names == "" {
			continue
		}
		for name := range strings.SplitSeq(names, ",") {
			if strings.TrimSuffix(name, "_view") != id.mark() {
				s.bad("%s finds what another identity has left: %q, kind %d", id.who, name, i)
			}
		}
	}
	return nil
}
