package sqlcols_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqlgen"
	"github.com/pganon/pganon/pganontest"
)

// The oracle is PostgreSQL itself. In one database the encrypted columns have base types of their own: then the type that it finds for a
// parameter says which columns the parameter meets, its types of outputs say which outputs hold what, and most of what must not be mixed
// it refuses. In another they are text: that says whether a statement is one at all.
//
// It is stricter than the rules: no cast makes text one of these types, so a value on its way (VALUES, CTE, UNION, unnest, ::text) is text
// for it. There the statement is asked again with the types written behind the parameters that Analyze says are encrypted.
// It is blind to rules that are no matter of types; mayRefuse lists them.
//
// PGANON_ORACLE is how many statements to ask about, PGANON_ORACLE_SEED the first of their seeds.
func TestOracle(t *testing.T) {
	count, seed := 3000, uint64(1)
	if text := os.Getenv("PGANON_ORACLE"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		count = n
	}
	if text := os.Getenv("PGANON_ORACLE_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	plain, typed := pganontest.New(t), pganontest.New(t)
	types, err := os.ReadFile("testdata/oracle-types.sql")
	require.NoError(t, err)
	for _, text := range sqlgen.DDL("text", "text") {
		plain.Exec(text)
	}
	var super bool
	conn := connect(t, typed)
	result := conn.ExecParams(context.Background(), "select rolsuper from pg_roles where rolname = current_user", nil, nil, nil, nil).Read()
	require.NoError(t, result.Err)
	if super = string(result.Rows[0][0]) == "t"; !super {
		t.Skip("base types are made by a superuser only: name one in PGANON_TEST_DSN")
	}
	_, err = conn.Exec(context.Background(), string(types)).ReadAll()
	require.NoError(t, err)
	for _, text := range append([]string{
		// Without these an assignment would turn their values into text.
		"CREATE CAST (enc_d AS text) WITHOUT FUNCTION", "CREATE CAST (enc_r AS text) WITHOUT FUNCTION",
	}, sqlgen.DDL("public.enc_d", "public.enc_r")...) {
		typed.Exec(text)
	}

	var all tally
	var wait sync.WaitGroup
	started := time.Now()
	workers := runtime.GOMAXPROCS(0)
	for i := range workers {
		o := newOracle(t, plain, typed)
		wait.Go(func() {
			for done := 0; done < count/workers && o.tally.differ < 10; done += batch {
				o.ask(t, seed+uint64(i*1_000_000+done))
			}
			all.add(&o.tally)
		})
	}
	wait.Wait()
	t.Logf("%d statements in %s: %v", all.statements, time.Since(started).Round(time.Second), all.of)
}

const batch = 200

// tally counts what became of statements.
type tally struct {
	sync.Mutex
	statements int
	differ     int
	of         map[string]int
}

func (t *tally) add(o *tally) {
	t.Lock()
	defer t.Unlock()
	if t.of == nil {
		t.of = map[string]int{}
	}
	t.statements += o.statements
	for what, n := range o.of {
		t.of[what] += n
	}
}

type oracle struct {
	plain, typed *pgconn.PgConn
	version      int // of the server, its major one
	schema       *schema
	relations    map[uint32]string // of typed, by OID
	types        map[uint32]string
	tally        tally
}

func connect(t *testing.T, db *pganontest.DB) *pgconn.PgConn {
	config, err := pgconn.ParseConfig(db.DSN())
	require.NoError(t, err)
	config.RuntimeParams["search_path"] = "app, public"
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func newOracle(t *testing.T, plain, typed *pganontest.DB) *oracle {
	o := &oracle{
		plain: connect(t, plain), typed: connect(t, typed), relations: map[uint32]string{}, types: map[uint32]string{},
		tally: tally{of: map[string]int{}},
	}
	o.version = sqlgen.Major(o.plain.ParameterStatus("server_version"))
	o.schema = newSchema(keyD, keyR, nil, tables()...)
	read := func(sql string, into map[uint32]string) {
		result := o.typed.ExecParams(context.Background(), sql, nil, nil, nil, nil).Read()
		require.NoError(t, result.Err)
		for _, row := range result.Rows {
			oid, err := strconv.ParseUint(string(row[0]), 10, 32)
			require.NoError(t, err)
			into[uint32(oid)] = string(row[1])
		}
	}
	read("select oid, relnamespace::regnamespace::text || '.' || relname from pg_class where relnamespace in ('app'::regnamespace, 'crm'::regnamespace)", o.relations)
	read("select oid, case typname when 'enc_d' then 'D' when 'enc_r' then 'R' when '_enc_d' then 'D[]' when '_enc_r' then 'R[]' else '' end from pg_type", o.types)
	return o
}

// tables are those of the generator, for newSchema.
func tables() (relations []string) {
	for _, table := range sqlgen.Tables {
		columns := make([]string, len(table.Columns))
		for i, c := range table.Columns {
			columns[i] = c.Name
			switch c.Kind {
			case sqlgen.Det:
				columns[i] += " D"
			case sqlgen.Rnd:
				columns[i] += " R"
			}
		}
		relations = append(relations, table.Schema+"."+table.Name+": "+strings.Join(columns, ", "))
	}
	return relations
}

// described is what PostgreSQL says of a statement.
type described struct {
	*pgconn.StatementDescription
	err *pgconn.PgError
}

// describe prepares statements, all in one flight.
func describe(t *testing.T, conn *pgconn.PgConn, texts []string) []described {
	ctx := context.Background()
	answers := make([]described, 0, len(texts))
	pipeline := conn.StartPipeline(ctx)
	for _, text := range texts {
		pipeline.SendPrepare("", text, nil)
		if err := pipeline.Sync(); err != nil {
			t.Error(err)
			return nil
		}
	}
	for len(answers) < len(texts) {
		var one described
		result, err := pipeline.GetResults()
		if err != nil {
			if !errors.As(err, &one.err) {
				t.Error(err)
				return nil
			}
		} else if sd, ok := result.(*pgconn.StatementDescription); ok {
			one.StatementDescription = sd
		} else {
			continue // of a Sync
		}
		answers = append(answers, one)
	}
	if err := pipeline.Close(); err != nil {
		var of *pgconn.PgError
		if !errors.As(err, &of) {
			t.Error(err)
		}
	}
	return answers
}

var (
	parameters = regexp.MustCompile(`\$(\d+)((?:` + regexp.QuoteMeta(sqlgen.Cast) + `::(?:text|varchar)(\[\])?)?)`)
	casts      = regexp.MustCompile(regexp.QuoteMeta(sqlgen.Cast) + `::(text|varchar)(\[\])?`)
)

// typedText is the statement with the types of encrypted parameters behind them.
func typedText(text string, a *sqlcols.Analysis) string {
	return parameters.ReplaceAllStringFunc(text, func(found string) string {
		parts := parameters.FindStringSubmatch(found)
		n, _ := strconv.Atoi(parts[1])
		if p := a.Parameters[n-1]; p.Key != nil {
			array := ""
			if p.Meetings[0].Array {
				array = "[]"
			}
			return "$" + parts[1] + "::" + map[string]string{"D": "enc_d", "R": "enc_r"}[p.Key.Label] + array
		}
		return strings.ReplaceAll(found, sqlgen.Cast, "/*kept*/")
	})
}

// What the oracle does not know of: rules that are no matter of types.
var mayRefuse = regexp.MustCompile(`literal assigned|compared with a literal|mixed with a literal|: ORDER BY$` + // a literal has any type
	`|ON CONFLICT, and|used as a condition` + // which the server looks at when it plans
	`|output ".*" is (a row with it|computed from it)|of a row with it|computed value of it (compared|copied)` +
	`|of an array of it|as one value and as an array of values` + // a parameter without type may be an array anywhere
	`|argument of (array_agg|to_jsonb|json_object|json_array)\(\)|for (to_jsonb|json_object|json_array)\(\)|taken for a row|operator \|\||and for "\|\|"` + // of any type
	`|is used for .* and for (output|ORDER BY|a value that may be a literal)` +
	`|is used for .* and for "(=|<>|\\|\\||IN|= ANY|<> ALL|NULLIF|CASE|USING|IS (NOT )?DISTINCT FROM)"$`) // $1 = $2: both may be of the column's type

// ask compares what Analyze and the oracle say of a batch of statements.
func (o *oracle) ask(t *testing.T, seed uint64) {
	g := sqlgen.New(seed)
	g.Version = o.version
	texts := make([]string, batch)
	for i := range texts {
		texts[i] = g.Statement()
	}
	plain, typed := describe(t, o.plain, texts), describe(t, o.typed, texts)
	differ := func(format string, args ...any) {
		t.Errorf(format, args...)
		o.tally.differ++
	}
	if plain == nil || typed == nil {
		o.tally.differ = batch
		return
	}
	var again []int
	var againTexts, bareTexts []string
	analyses := make([]*sqlcols.Analysis, batch)
	for i, text := range texts {
		o.tally.statements++
		a, err := sqlcols.Analyze(text, o.schema)
		analyses[i] = a
		var refused *sqlcols.Error
		errors.As(err, &refused)
		if plain[i].err != nil {
			switch plain[i].err.Code {
			case "42703", "42P01", "42702", "42P09": // unknown or ambiguous column, unknown or ambiguous table
				// Of outputs with one name, Analyze takes all for meant.
				if err == nil && !strings.HasPrefix(plain[i].err.Message, "ORDER BY") {
					differ("%s\nthe server knows no such name: %v", text, plain[i].err.Message)
				}
				o.tally.of["wrong names"]++
			default:
				o.tally.of["no statement: "+plain[i].err.Code]++
			}
			continue
		}
		switch {
		case refused != nil && refused.Syntax:
			differ("%s\n%v at %d", text, err, refused.Position)
		case refused != nil && refused.Unknown:
			differ("%s\nthe server knows the names: %v at %d", text, err, refused.Position)
		case refused != nil && typed[i].err != nil:
			o.tally.of["both refuse"]++
		case refused != nil && strings.Contains(text, sqlgen.Cast): // does it take it without casts of columns to text?
			bareTexts = append(bareTexts, casts.ReplaceAllString(text, ""))
		case refused != nil:
			o.refused(t, text, err)
		case typed[i].err == nil && !strings.Contains(text, sqlgen.Cast):
			o.compare(t, text, text, a, typed[i])
			o.tally.of["both take"]++
		default:
			again, againTexts = append(again, i), append(againTexts, typedText(text, a))
			againTexts = append(againTexts, casts.ReplaceAllString(againTexts[len(againTexts)-1], "")) // and without casts of columns to text
		}
	}
	for j, d := range describe(t, o.typed, bareTexts) {
		if d.err != nil {
			o.tally.of["both refuse"]++
		} else if _, err := sqlcols.Analyze(bareTexts[j], o.schema); err != nil {
			o.refused(t, bareTexts[j], err)
		}
	}
	answers := describe(t, o.typed, againTexts)
	for j := 0; j < len(answers); j += 2 {
		text, d, asked := texts[again[j/2]], answers[j+1], againTexts[j+1]
		if d.err != nil {
			d, asked = answers[j], againTexts[j]
		}
		if d.err != nil {
			differ("%s\n%s\nthe oracle refuses it: %v at %d", text, asked, d.err.Message, d.err.Position)
			continue
		}
		o.compare(t, text, asked, analyses[again[j/2]], d)
		o.tally.of["both take, with types"]++
	}
}

// refused checks why a statement was refused that the oracle takes.
func (o *oracle) refused(t *testing.T, text string, err error) {
	o.tally.of["refused by a rule that is none of types"]++
	for reason := range strings.SplitSeq(err.Error(), "; ") {
		if !mayRefuse.MatchString(reason) {
			t.Errorf("%s\nthe oracle takes it: %v", text, err)
			o.tally.differ++
			return
		}
	}
}

// compare compares types of parameters and outputs.
func (o *oracle) compare(t *testing.T, text, asked string, a *sqlcols.Analysis, d described) {
	fail := func(format string, args ...any) {
		t.Errorf("%s\n%s\n%s", text, asked, fmt.Sprintf(format, args...))
		o.tally.differ++
	}
	for n, oid := range d.ParamOIDs {
		want := ""
		if n < len(a.Parameters) {
			if p := a.Parameters[n]; p.Key != nil {
				if want = p.Key.Label; p.Meetings[0].Array {
					want += "[]"
				}
			}
		}
		if o.types[oid] != want {
			fail("$%d is %q for the oracle, %q for us", n+1, o.types[oid], want)
		}
	}
	if len(d.Fields) != len(a.Outputs) {
		fail("%d outputs for the oracle, %d for us", len(d.Fields), len(a.Outputs))
		return
	}
	for i, field := range d.Fields {
		output := a.Outputs[i]
		want := ""
		if output.Key != nil {
			if want = output.Key.Label; output.Array {
				want += "[]"
			}
		}
		if o.types[field.DataTypeOID] != want {
			fail("output %d is %q for the oracle, %q for us", i+1, o.types[field.DataTypeOID], want)
		}
		if field.Name != output.Name && !(o.version < 15 && field.Name == "bool" && output.Name == "?column?") { // TRUE and FALSE
			fail("output %d is called %q by the oracle, %q by us", i+1, field.Name, output.Name)
		}
		if name := o.relations[field.TableOID]; name != "" && output.Key != nil {
			if !slices.ContainsFunc(output.Origins, func(c sqlcols.Origin) bool {
				return c.Relation.Schema+"."+c.Relation.Name == name && c.Column.Number == int16(field.TableAttributeNumber)
			}) {
				fail("output %d comes from column %d of %s for the oracle, from %v for us", i+1, field.TableAttributeNumber, name, output.Origins)
			}
		}
	}
}
