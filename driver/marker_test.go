package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqlgen"
	"github.com/pganon/pganon/internal/tagged"
	"github.com/pganon/pganon/pganontest"
)

// TestMarkers runs random statements with marked values through the driver, and the same statements on plain pgx against a
// twin database in which nothing is encrypted. After each of them
//
//   - every value in an encrypted column is a token of its label, and no value in another column is one;
//   - no value for an encrypted column has been on the wire, in either direction, and none at all of a statement that was refused;
//   - what came back is what the twin gave back, and the tables, decrypted, are the twin's.
//
// With one key, and with two whose tokens are in the columns side by side.
//
// PGANON_MARKERS is how many statements to run, PGANON_MARKERS_SEED the seed.
func TestMarkers(t *testing.T) {
	t.Parallel()
	count, seed := 500, uint64(1)
	for name, set := range map[string]func(uint64){
		"PGANON_MARKERS":      func(n uint64) { count = int(n) },
		"PGANON_MARKERS_SEED": func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 63)
			require.NoError(t, err, name)
			set(n)
		}
	}
	for _, keys := range []int{1, 2} {
		t.Run(fmt.Sprintf("keys=%d", keys), func(t *testing.T) {
			m := newMarkerWorld(t, seed, keys)
			m.seed()
			g := sqlgen.New(seed + uint64(keys))
			g.Version = sqlgen.Major(m.vault.ParameterStatus("server_version"))
			g.Loose = 40
			started := time.Now()
			for i := 0; i < count/2; i++ {
				text := g.Statement()
				if i%2 == 0 {
					text = g.Query(sqlgen.Det, sqlgen.Rnd, sqlgen.Det)
				}
				m.statement(text, identityModes[i/2%len(identityModes)])
			}
			t.Logf("%d statements in %s: %v", count/2, time.Since(started).Round(time.Millisecond), m.tally)
			for what, share := range map[string]int{"as the twin": 5, "refused": 5, "decrypted": 20, "decrypted, without origin": 400, "encrypted": 20, "changed the tables": 20, "masked": 20} {
				require.Greaterf(t, m.tally[what], (count/2-1)/share, "%s: this has shown nothing", what)
			}
		})
	}
}

// How long one statement may take: some are joins without end.
const markerTimeout = "300ms"

type markerWorld struct {
	t     *testing.T
	rand  *rand.Rand
	proxy *pganontest.Proxy
	keys  map[sqlgen.Kind]*fernet.ColumnKeys

	vault, twin   *pgconn.PgConn // as their owners
	ours, plain   map[string]*sql.DB
	before        *sql.DB // ours with the ring's first key alone
	staff, masked string
	tags          *tagged.Schema

	reset     [2]string // SQL that makes the tables of vault and twin what they were at first
	had       markerDump
	fresh     int
	tally     map[string]int
	marked    *regexp.Regexp
	divergent bool
}

// markerDump is what the tables hold, decrypted.
type markerDump struct {
	rows              []string
	encrypted, others map[string]bool // the marks of values in encrypted columns, and in all others
}

func newMarkerWorld(t *testing.T, seed uint64, keys int) *markerWorld {
	t.Helper()
	vault, twin := pganontest.New(t), pganontest.New(t)
	list := []fernet.Key{fernet.GenerateKey(), fernet.GenerateKey()}[:keys]
	first, err := fernet.NewKeyring(list[0])
	require.NoError(t, err)
	ring, err := fernet.NewKeyring(list...)
	require.NoError(t, err)
	m := &markerWorld{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), keys: map[sqlgen.Kind]*fernet.ColumnKeys{}, tally: map[string]int{},
		ours: map[string]*sql.DB{}, plain: map[string]*sql.DB{}, marked: regexp.MustCompile(`mk[0-9]{6}`),
	}
	login := vault.Role("login", "LOGIN NOINHERIT")
	m.staff, m.masked = vault.Role("staff"), vault.Role("masked")
	for kind, tag := range map[sqlgen.Kind]hooks.Tag{
		sqlgen.Det: {Encrypt: true, Key: "det", Deterministic: true},
		sqlgen.Rnd: {Encrypt: true, Key: "rnd"},
	} {
		text, err := hooks.DomainSQL(hooks.Domain{Schema: "public", Name: "d_" + tag.Key, Tag: tag})
		require.NoError(t, err)
		vault.Exec(text)
		m.keys[kind], err = ring.Derive(tag.Key)
		require.NoError(t, err)
	}
	commands := []string{`create unique index on app.users (id)`, `create unique index on app.audit (user_id)`}
	if keys == 1 { // equal values are equal tokens
		commands = append(commands, `create unique index on app.audit (email)`, `create unique index on app."Weird Table" ("E-Mail")`,
			`create unique index on app.orders (email)`)
	}
	vault.Exec(strings.Join(append(sqlgen.DDL("public.d_det", "public.d_rnd"), commands...), ";"))
	twin.Exec(strings.Join(append(sqlgen.DDL("text", "text"), commands...), ";"))
	vault.Exec(fmt.Sprintf(`grant %[2]s, %[3]s to %[1]s;
comment on role %[3]s is 'pganon:"masked"';
grant usage on schema app, crm to %[2]s, %[3]s;
grant select, insert, update, delete on all tables in schema app, crm to %[2]s;
grant select on all tables in schema app, crm to %[3]s;
alter role %[1]s set search_path = app;
alter role %[1]s set statement_timeout = '%[4]s'`, login, m.staff, m.masked, markerTimeout))

	m.proxy = vault.Proxy()
	m.vault, m.twin = rawConn(t, vault), rawConn(t, twin)
	m.tags, err = tagged.Load(context.Background(), m.vault, tagged.Options{Keys: ring})
	require.NoError(t, err)
	m.before, err = driver.Open(m.proxy.DSNAs(login), driver.Config{Keys: first})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.before.Close() })
	for _, mode := range identityModes {
		m.ours[mode], err = driver.Open(withKeys(m.proxy.DSNAs(login), "default_query_exec_mode="+mode), driver.Config{Keys: ring})
		require.NoError(t, err)
		m.plain[mode], err = sql.Open("pgx", withKeys(twin.DSN(), "default_query_exec_mode="+mode, "search_path=app", "statement_timeout="+markerTimeout))
		require.NoError(t, err)
		for _, db := range []*sql.DB{m.ours[mode], m.plain[mode]} {
			db.SetMaxOpenConns(1)
			t.Cleanup(func() { _ = db.Close() })
		}
	}
	return m
}

// rawConn connects as the database's owner, with sqlgen's search_path.
func rawConn(t *testing.T, db *pganontest.DB) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(db.DSN())
	require.NoError(t, err)
	config.RuntimeParams["search_path"] = "app"
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (m *markerWorld) as(role string) context.Context {
	return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u", Role: role})
}

// poolSize is how many values there are that statements share, so that what one searches is what another has written.
const poolSize = 10

// mark is the part of a value that stands out, wherever it turns up.
func mark(n int) string { return fmt.Sprintf("mk%06d", n) }

// value returns a text: one of the pool, or a new one.
func (m *markerWorld) value() string {
	n := m.rand.IntN(poolSize)
	if m.rand.IntN(3) == 0 {
		m.fresh++
		n = poolSize + m.fresh
	}
	return valueOf(n)
}

func valueOf(n int) string {
	return mark(n) + []string{"", "'", `\`, `"{,}`, " é", "$1", "\n--", "?"}[n%8]
}

// seed fills the tables of both databases.
func (m *markerWorld) seed() {
	m.t.Helper()
	for _, table := range sqlgen.Tables {
		for row := range 5 {
			ours := m.ours[identityModes[0]]
			if row%2 == 0 {
				ours = m.before
			}
			var columns, places []string
			var args []any
			for i, c := range table.Columns {
				columns, places = append(columns, `"`+strings.ReplaceAll(c.Name, `"`, `""`)+`"`), append(places, fmt.Sprintf("$%d", i+1))
				switch c.Kind {
				case sqlgen.Int:
					args = append(args, row)
				case sqlgen.Bool:
					args = append(args, m.rand.IntN(2) == 0)
				case sqlgen.Det:
					args = append(args, valueOf(row))
				default:
					args = append(args, m.value())
				}
			}
			text := fmt.Sprintf(`INSERT INTO %s."%s" (%s) VALUES (%s)`, table.Schema, table.Name, strings.Join(columns, ", "), strings.Join(places, ", "))
			for db, ctx := range map[*sql.DB]context.Context{ours: m.as(m.staff), m.plain[identityModes[0]]: context.Background()} {
				_, err := db.ExecContext(ctx, text, args...)
				require.NoError(m.t, err)
			}
		}
	}
	m.had = m.dump()
	for i, conn := range []*pgconn.PgConn{m.vault, m.twin} {
		for at, result := range m.read(conn) {
			table := sqlgen.Tables[at]
			name := fmt.Sprintf(`%s."%s"`, table.Schema, table.Name)
			m.reset[i] += "TRUNCATE " + name + ";"
			for _, row := range result.Rows {
				cells := make([]string, len(row))
				for c, cell := range row {
					if cells[c] = "NULL"; cell != nil {
						cells[c] = "'" + strings.ReplaceAll(string(cell), "'", "''") + "'"
					}
				}
				m.reset[i] += fmt.Sprintf("INSERT INTO %s VALUES (%s);", name, strings.Join(cells, ", "))
			}
		}
	}
}

func (m *markerWorld) read(conn *pgconn.PgConn) []*pgconn.Result {
	m.t.Helper()
	var query strings.Builder
	for _, table := range sqlgen.Tables {
		fmt.Fprintf(&query, `TABLE %s."%s";`, table.Schema, table.Name)
	}
	results, err := conn.Exec(context.Background(), query.String()).ReadAll()
	require.NoError(m.t, err)
	return results
}

// dump reads the tables, and checks that what is in them is encrypted where it should be, and nowhere else.
func (m *markerWorld) dump() markerDump {
	m.t.Helper()
	d := markerDump{encrypted: map[string]bool{}, others: map[string]bool{}}
	for at, result := range m.read(m.vault) {
		table := sqlgen.Tables[at]
		for _, row := range result.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				column := table.Columns[i]
				switch keys := m.keys[column.Kind]; {
				case cell == nil:
					cells[i] = "NULL"
				case keys != nil:
					plain, err := keys.Decrypt(cell)
					require.NoErrorf(m.t, err, "%s.%s.%s holds what is no token of its label: %.12q…", table.Schema, table.Name, column.Name, cell)
					cells[i] = string(plain)
					d.encrypted[m.marked.FindString(cells[i])] = true
				default:
					require.NotContainsf(m.t, string(cell), "gAAAA", "%s.%s.%s holds a token", table.Schema, table.Name, column.Name)
					cells[i] = string(cell)
					for _, found := range m.marked.FindAllString(cells[i], -1) {
						d.others[found] = true
					}
				}
			}
			d.rows = append(d.rows, fmt.Sprintf("%s.%s: %q", table.Schema, table.Name, cells))
		}
	}
	slices.Sort(d.rows)
	return d
}

// twinRows are the rows of the twin as dump gives them.
func (m *markerWorld) twinRows() []string {
	var rows []string
	for at, result := range m.read(m.twin) {
		table := sqlgen.Tables[at]
		for _, row := range result.Rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				if cells[i] = string(cell); cell == nil {
					cells[i] = "NULL"
				}
			}
			rows = append(rows, fmt.Sprintf("%s.%s: %q", table.Schema, table.Name, cells))
		}
	}
	slices.Sort(rows)
	return rows
}

// again makes both databases what they were at first.
func (m *markerWorld) again() {
	m.t.Helper()
	for i, conn := range []*pgconn.PgConn{m.vault, m.twin} {
		_, err := conn.Exec(context.Background(), m.reset[i]).ReadAll()
		require.NoError(m.t, err)
	}
	m.had = m.dump()
	m.divergent = false
}

// unsteady matches what may have more than one right answer.
var unsteady = regexp.MustCompile(`LIMIT|row_number|array_agg|ARRAY\(|^(WITH .* )?UPDATE .* FROM |MERGE|\bDISTINCT ON\b`)

// perhaps are the errors that depend on the order in which PostgreSQL looks at things, or on its speed.
var perhaps = map[string]bool{"21000": true, "22P02": true, "57014": true}

// An outcome is what a program sees of a statement.
type markerOutcome struct {
	rows     []string
	cells    [][]string // by column
	affected int64
	err      error
}

// code is the SQLSTATE of an error of the server's.
func (o markerOutcome) code() string {
	of, ok := errors.AsType[*pgconn.PgError](o.err)
	switch {
	case ok:
		return of.Code
	case o.err != nil:
		return ofClient
	}
	return ""
}

const ofClient = "of the client"

func (o markerOutcome) refused() bool {
	return o.err != nil && strings.HasPrefix(o.err.Error(), "pganon: encrypt statement: ")
}

// statement runs one statement, some of them several times.
func (m *markerWorld) statement(text, mode string) {
	sd, invalid := m.vault.Prepare(context.Background(), "", text, nil)
	path := []string{"pg_catalog", "app"}
	analysis, _ := sqlcols.Analyze(text, m.tags.View(path))
	_, refusal := m.tags.Plan(text, path, false)
	refused := refusal != nil && m.tags.MayName(text)
	for range 1 + m.rand.IntN(2) {
		if m.divergent || len(m.had.rows) > 70 {
			m.again()
		}
		args, secret, open := m.arguments(text, sd, analysis)
		rows := sd != nil && len(sd.Fields) > 0 || invalid != nil && m.rand.IntN(2) == 0
		how := []string{"", "", "prepared", "in a transaction"}[m.rand.IntN(4)]
		about := fmt.Sprintf("%s %s\n%s\n%q", mode, how, text, args)
		twinHow := how
		if mode == "simple_protocol" && how == "prepared" { // plain pgx has the server prepare it all the same
			twinHow = ""
		}

		m.proxy.Reset()
		got := run(m.as(m.staff), m.ours[mode], how, text, args, rows)
		m.wire(about, got.err, secret, open)
		m.tally["ran"]++
		if got.refused() && strings.Contains(got.err.Error(), ": PostgreSQL takes $") {
			m.tally["refused by the second witness"]++
			continue
		}
		if got.err != nil && got.code() == "57014" && strings.HasPrefix(got.err.Error(), "pganon: read tags: ") { // markerTimeout is for that too
			m.tally["too slow to read the tags"]++
			continue
		}
		require.Equalf(m.t, refused, got.refused(), "%s\nplan %v\ngot %v", about, refusal, got.err)
		if got.refused() {
			m.tally["ran"]--
			m.tally["refused"]++
			continue
		}
		require.NotEqualf(m.t, "23514", got.code(), "%s\nplaintext has reached a column", about)
		if len(secret) > 0 {
			m.tally["encrypted"]++
		}
		m.compare(about, text, analysis, sd, sd == nil && (mode == "exec" || mode == "simple_protocol"), got, run(context.Background(), m.plain[mode], twinHow, text, args, rows))
		if rows && got.err == nil && m.rand.IntN(3) == 0 && strings.HasPrefix(text, "SELECT") {
			m.proxy.Reset()
			m.hidden(about, run(m.as(m.masked), m.ours[mode], how, text, args, rows), open)
			m.wire(about, nil, secret, open)
		}
	}
}

// arguments makes arguments of the types that the server wants, of a text that it does not take by looks. secret are the marks
// of those that meet an encrypted column, open those of the others.
func (m *markerWorld) arguments(text string, sd *pgconn.StatementDescription, analysis *sqlcols.Analysis) (args []any, secret, open map[string]bool) {
	n := 0
	for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
		i, _ := strconv.Atoi(found[1])
		n = max(n, i)
	}
	secret, open = map[string]bool{}, map[string]bool{}
	for i := range n {
		oid := uint32(pgtype.TextOID)
		switch {
		case sd != nil && i < len(sd.ParamOIDs):
			oid = sd.ParamOIDs[i]
		case strings.Contains(text, fmt.Sprintf("$%d::bigint", i+1)):
			oid = pgtype.Int8OID
		case strings.Contains(text, fmt.Sprintf("$%d/*c*/::text[]", i+1)):
			oid = pgtype.TextArrayOID
		}
		into := open
		if analysis != nil && i < len(analysis.Parameters) && analysis.Parameters[i].Key != nil {
			into = secret
		}
		one := func() string {
			v := m.value()
			into[m.marked.FindString(v)] = true
			return v
		}
		var arg any
		switch oid {
		case pgtype.Int8OID, pgtype.Int4OID:
			arg = int64(m.rand.IntN(9))
		case pgtype.BoolOID:
			arg = true
		case pgtype.TextArrayOID, pgtype.VarcharArrayOID:
			list := make([]*string, m.rand.IntN(4))
			for i := range list {
				if m.rand.IntN(8) > 0 {
					list[i] = new(one())
				}
			}
			arg = list
		default:
			switch m.rand.IntN(12) {
			case 0:
				arg = nil
			case 1:
				arg = ""
			case 2:
				arg = new(one())
			case 3:
				arg = sql.NullString{String: one(), Valid: true}
			default:
				arg = one()
			}
		}
		args = append(args, arg)
	}
	return args, secret, open
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

// run runs a statement and takes all of its result.
func run(ctx context.Context, db *sql.DB, how, text string, args []any, wantRows bool) (o markerOutcome) {
	var q interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	} = db
	exec, query := q.ExecContext, q.QueryContext
	commit := func() error { return nil }
	switch how {
	case "prepared":
		st, err := db.PrepareContext(ctx, text)
		if err != nil {
			return markerOutcome{err: err}
		}
		defer st.Close()
		exec = func(ctx context.Context, _ string, args ...any) (sql.Result, error) {
			return st.ExecContext(ctx, args...)
		}
		query = func(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
			return st.QueryContext(ctx, args...)
		}
	case "in a transaction":
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return markerOutcome{err: err}
		}
		defer tx.Rollback()
		exec, query, commit = tx.ExecContext, tx.QueryContext, tx.Commit
	}
	if !wantRows {
		result, err := exec(ctx, text, args...)
		if err != nil {
			return markerOutcome{err: err}
		}
		o.affected, o.err = result.RowsAffected()
	} else if o = collect(query(ctx, text, args...)); o.err != nil {
		return o
	}
	o.err = errors.Join(o.err, commit())
	return o
}

func collect(rows *sql.Rows, err error) (o markerOutcome) {
	if err != nil {
		return markerOutcome{err: err}
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return markerOutcome{err: err}
	}
	o.cells = make([][]string, len(columns))
	cells, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return markerOutcome{err: err}
		}
		o.rows = append(o.rows, fmt.Sprintf("%q", cells))
		for i, cell := range cells {
			o.cells[i] = append(o.cells[i], fmt.Sprint(cell))
		}
	}
	o.err = rows.Err()
	slices.Sort(o.rows)
	return o
}

// wire looks for what must not have been on the wire: of a statement that never left all marks, else those of values for encrypted
// columns and of values in them.
func (m *markerWorld) wire(about string, err error, secret, open map[string]bool) {
	m.t.Helper()
	sent, received := m.proxy.Sent(), m.proxy.Received()
	_, byServer := errors.AsType[*pgconn.PgError](err)
	for mark := range secret {
		if !open[mark] {
			require.Falsef(m.t, occurs(sent, mark), "%s\na value for an encrypted column was sent", about)
		}
	}
	if err != nil && !byServer {
		for mark := range open {
			require.Falsef(m.t, occurs(sent, mark), "%s\na value of a refused statement was sent: %v", about, err)
		}
	}
	if err != nil {
		for mark := range secret {
			require.Falsef(m.t, !open[mark] && strings.Contains(err.Error(), mark), "%s\na value is in the error", about)
		}
	}
	for mark := range m.had.encrypted {
		if !m.had.others[mark] && !open[mark] {
			require.Falsef(m.t, occurs(received, mark), "%s\na value of an encrypted column came over the wire", about)
		}
	}
}

func occurs(wire []byte, mark string) bool {
	return mark != "" && (bytes.Contains(wire, []byte(mark)) || bytes.Contains(wire, []byte(hex.EncodeToString([]byte(mark)))))
}

// compare holds an outcome against the twin's. untyped is true of a text whose parameters have no type by itself: in the modes exec
// and simple_protocol plain pgx does not ask for one and gives it that of the argument or none, while this driver asks where the text
// names an encrypted table.
func (m *markerWorld) compare(about, text string, analysis *sqlcols.Analysis, sd *pgconn.StatementDescription, untyped bool, got, want markerOutcome) {
	m.t.Helper()
	before := m.had
	m.had = m.dump()
	if !slices.Equal(before.rows, m.had.rows) {
		m.tally["changed the tables"]++
	}
	if got.code() != want.code() {
		m.divergent = true
		excused := untyped || got.err != nil && (want.err != nil || sd == nil) || // a domain is another type than text
			got.code() == "0A000" && strings.Contains(text, "FULL JOIN") // on = $1, which for several tokens is = ANY
		require.Truef(m.t, excused || perhaps[got.code()] || perhaps[want.code()] || unsteady.MatchString(text), "%s\ngot  %v\nwant %v", about, got.err, want.err)
		m.tally["errors may differ"]++
		return
	}
	if got.err != nil {
		m.tally["the server refused: "+got.code()]++
		return
	}
	for _, row := range got.rows {
		require.NotContainsf(m.t, row, "gAAAA", "%s\na token came back", about)
	}
	for i, output := range analysis.Outputs {
		if what := "decrypted"; output.Key != nil && slices.ContainsFunc(got.cells[i], func(cell string) bool { return m.marked.MatchString(cell) }) {
			if sd != nil && i < len(sd.Fields) && sd.Fields[i].TableOID == 0 {
				what = "decrypted, without origin"
			}
			m.tally[what]++
		}
	}
	twin := m.twinRows()
	m.divergent = !slices.Equal(m.had.rows, twin)
	if unsteady.MatchString(text) {
		m.tally["unsteady"]++
		return
	}
	require.Lenf(m.t, got.cells, len(want.cells), "%s", about)
	require.Equalf(m.t, want.affected, got.affected, "%s", about)
	require.Equalf(m.t, want.rows, got.rows, "%s", about)
	require.Equalf(m.t, twin, m.had.rows, "%s", about)
	m.tally["as the twin"]++
}

// hidden looks at what a masked role was given.
func (m *markerWorld) hidden(about string, got markerOutcome, open map[string]bool) {
	m.t.Helper()
	if got.err != nil {
		m.tally["refused to a masked role"]++
		return
	}
	seen := maps.Clone(m.had.others)
	maps.Copy(seen, open)
	for _, row := range got.rows {
		require.NotContainsf(m.t, row, "gAAAA", "%s\na token came back to a masked role", about)
		for _, mark := range m.marked.FindAllString(row, -1) {
			require.Truef(m.t, seen[mark], "%s\na masked role sees a value of an encrypted column", about)
		}
	}
	m.tally["masked"]++
}
