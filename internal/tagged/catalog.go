package tagged

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/hooks"
	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/pganon/pganon/internal/sqllex"
	"github.com/pganon/pganon/redact"
)

// catalog is what the server says of relations, domains and functions, before anything is made of it.
type catalog struct {
	path        []string // of the session, with pg_catalog where it is implied
	fingerprint string
	digest      uint64 // of everything that was read

	relations map[uint32]*relation
	domains   map[uint32]*domain
	comments  []columnComment
	// Columns that an encrypted one may not be.
	partitionKeys map[origin]bool
	folding       map[origin]bool      // of a nondeterministic collation
	defaults      map[origin]bool      // DEFAULTs that are not NULL, of columns whose type is a domain
	computed      map[origin][]origin  // generated columns, by those they are made from
	ranges        map[uint32][]uint32  // range and multirange types, by their subtype
	parents       map[uint32][]uint32  // inheritance and partitions
	rules         map[uint32][]ruleUse // by the relation that has the rule; a view has one
	insteadOf     map[uint32]bool      // views with an INSTEAD OF trigger
	definitions   map[uint32]string    // of views that may reach a tagged column
	functions     []function

	names map[string]string // one copy of each
}

// origin is a column of a relation, as RowDescription reports it.
type origin struct {
	table  uint32
	number int16
}

// relation is a table, view or composite type.
type relation struct {
	sqlcols.Relation
	kind          byte
	row, rowArray uint32 // the type of its rows, and the type of arrays of it
	columns       []columnType
}

// columnType is what is read of a column beside what sqlcols.Column holds, in the same order.
type columnType struct {
	oid       uint32
	width     int32 // atttypmod, -1 without
	generated bool
	defaults  bool
}

type domain struct {
	oid          uint32
	schema, name string
	base, array  uint32
	width        int32
	standard     string // its DEFAULT
	comment      string
	checks       []domainCheck
}

type domainCheck struct {
	definition string
	validated  bool
}

type columnComment struct {
	origin
	text string
}

// ruleUse says that a rule uses a relation, or, where number is not 0, a column.
type ruleUse struct {
	origin
	selects bool // it is a view's SELECT
}

type function struct {
	schema, name string
	in           []uint32 // types of the arguments
	result       uint32
	out          []outColumn // of the declared columns of its result, where it has such
}

type outColumn struct {
	name string
	typ  uint32
}

// query is one statement of those that read the catalog, and what takes its rows.
type query struct {
	sql string
	row func(*catalog, [][]byte) error
}

// A planted operator, function or type would run as the login role: search_path is pg_catalog while these run, tables and types are
// written with their schema, since a temporary one would be found first.
var catalogQueries = []query{
	{`select pg_catalog.unnest(pg_catalog.current_schemas(true))`, func(c *catalog, row [][]byte) error {
		c.path = append(c.path, string(row[0]))
		return nil
	}},
	{`select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)`, nil},
	{fingerprintSQL, func(c *catalog, row [][]byte) error {
		c.fingerprint = string(row[0])
		return nil
	}},
	{`select c.oid, n.nspname, c.relname, c.relkind, c.relnatts, c.reltype, coalesce(t.typarray, 0)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace left join pg_catalog.pg_type t on t.oid = c.reltype
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and n.nspname !~ '^pg_toast'`, (*catalog).addRelation},
	{`select a.attrelid, a.attnum, a.attname, a.atttypid, nullif(a.atttypmod, -1), case when a.attgenerated <> '' then 'g' when a.atthasdef then 'd' end
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')`, (*catalog).addColumn},
	{`select t.oid, n.nspname, t.typname, t.typbasetype, t.typtypmod, t.typarray, t.typdefault, d.description
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_description d on d.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objoid = t.oid and d.objsubid = 0
where t.typtype = 'd'`, (*catalog).addDomain},
	{`select contypid, convalidated, pg_catalog.pg_get_constraintdef(oid) from pg_catalog.pg_constraint
where contypid <> 0 and contype = 'c' order by oid`, func(c *catalog, row [][]byte) error {
		if d := c.domains[parseOID(row[0])]; d != nil {
			d.checks = append(d.checks, domainCheck{validated: row[1][0] == 't', definition: string(row[2])})
		}
		return nil
	}},
	{`select objoid, objsubid, description from pg_catalog.pg_description
where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and objsubid > 0 and pg_catalog.lower(description) like '%pganon%' order by 1, 2`,
		func(c *catalog, row [][]byte) error {
			c.comments = append(c.comments, columnComment{parseOrigin(row), string(row[2])})
			return nil
		}},
	{`select partrelid, k from pg_catalog.pg_partitioned_table, pg_catalog.unnest(partattrs::pg_catalog.int2[]) k where k > 0
union select d.objid, d.objsubid from pg_catalog.pg_depend d join pg_catalog.pg_partitioned_table p on p.partrelid = d.objid
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = d.classid and d.refobjid = d.objid and d.deptype = 'i'
	and d.objsubid > 0 and d.refobjsubid = 0`, func(c *catalog, row [][]byte) error {
		c.partitionKeys[parseOrigin(row)] = true
		return nil
	}},
	{`select a.attrelid, a.attnum from pg_catalog.pg_attribute a join pg_catalog.pg_collation c on c.oid = a.attcollation
where not c.collisdeterministic and a.attnum > 0`, func(c *catalog, row [][]byte) error {
		c.folding[parseOrigin(row)] = true
		return nil
	}},
	// pg_get_expr would wait for whoever has locked the table.
	{`select f.adrelid, f.adnum from pg_catalog.pg_attrdef f join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
join pg_catalog.pg_type t on t.oid = a.atttypid and t.typtype = 'd'
where f.adbin::pg_catalog.text !~ '^[{]((COERCETODOMAIN|RELABELTYPE) :arg [{])*CONST [^{}]*:constisnull true'`, func(c *catalog, row [][]byte) error {
		c.defaults[parseOrigin(row)] = true
		return nil
	}},
	// Before PostgreSQL 15 it is the column that depends on the others, since then its expression.
	{`select f.adrelid, f.adnum, d.refobjsubid
from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = a.attrelid and d.refobjsubid > 0
	and d.refobjsubid <> a.attnum and (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = f.oid
		or d.classid = d.refclassid and d.objid = a.attrelid and d.objsubid = a.attnum)
where a.attgenerated <> ''`, func(c *catalog, row [][]byte) error {
		o := parseOrigin(row)
		c.computed[o] = append(c.computed[o], origin{o.table, parseNumber(row[2])})
		return nil
	}},
	// Multiranges came with PostgreSQL 14.
	{`select rngsubtype, rngtypid, coalesce(pg_catalog.to_jsonb(r) ->> 'rngmultitypid', '0') from pg_catalog.pg_range r where rngtypid >= 16384`,
		func(c *catalog, row [][]byte) error {
			subtype := parseOID(row[0])
			c.ranges[subtype] = append(c.ranges[subtype], parseOID(row[1]), parseOID(row[2]))
			return nil
		}},
	{`select inhrelid, inhparent from pg_catalog.pg_inherits order by 1, inhseqno`, func(c *catalog, row [][]byte) error {
		child := parseOID(row[0])
		c.parents[child] = append(c.parents[child], parseOID(row[1]))
		return nil
	}},
	{`select d.refobjid, d.refobjsubid, r.ev_class, r.ev_type from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d on d.objid = r.oid
where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
	and d.deptype = 'n' and r.ev_class >= 16384 and d.refobjid >= 16384 order by 3, 1, 2`, func(c *catalog, row [][]byte) error {
		owner := parseOID(row[2])
		c.rules[owner] = append(c.rules[owner], ruleUse{origin: parseOrigin(row), selects: row[3][0] == '1'})
		return nil
	}},
	{`select distinct tgrelid from pg_catalog.pg_trigger where tgtype & 64 <> 0`, func(c *catalog, row [][]byte) error {
		c.insteadOf[parseOID(row[0])] = true
		return nil
	}},
	{`select n.nspname, p.proname, p.proargtypes, p.prorettype, pg_catalog.to_json(p.proallargtypes), pg_catalog.to_json(p.proargmodes),
	pg_catalog.to_json(p.proargnames)
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
	and (p.oid >= 16384 or p.proname in (select proname from pg_catalog.pg_proc where oid >= 16384)) order by p.oid`, (*catalog).addFunction},
}

// viewQueries ask for the definitions of the views that reach what has a tag, by its type, by comment, or by one of the models' tables. The
// server locks the tables of a view to write its definition: a migration that has locked one is not waited for long.
func viewQueries(models []hooks.ModelColumn) []query {
	var tables []string
	for _, m := range models {
		if table := sqllex.QuoteString(m.Table); !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
	}
	return []query{
		{`select pg_catalog.set_config('lock_timeout', '1s', true)`, nil},
		{`with recursive kinds as (
	select objoid as oid from pg_catalog.pg_description
	where classoid = 'pg_catalog.pg_type'::pg_catalog.regclass and objsubid = 0 and pg_catalog.lower(description) like '%pganon%'
	union select t.oid from kinds join pg_catalog.pg_type t on t.typbasetype = kinds.oid and t.typtype = 'd'
), reached as (
	select d.objid as oid from kinds join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid = kinds.oid
	where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid > 0
	union select objoid from pg_catalog.pg_description
	where classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and objsubid > 0 and pg_catalog.lower(description) like '%pganon%'
	union select oid from pg_catalog.pg_class where relname::pg_catalog.text = any (array[` + strings.Join(tables, ", ") + `]::pg_catalog.text[])
	union select n.oid from reached, lateral (
		select w.ev_class from pg_catalog.pg_depend d join pg_catalog.pg_rewrite w on w.oid = d.objid
		where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = reached.oid
			and d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.deptype = 'n'
		union all select inhrelid from pg_catalog.pg_inherits where inhparent = reached.oid) n (oid)
) select c.oid, pg_catalog.pg_get_viewdef(c.oid) from reached join pg_catalog.pg_class c on c.oid = reached.oid
where c.relkind in ('v', 'm') and c.oid >= 16384`,
			func(c *catalog, row [][]byte) error {
				c.definitions[parseOID(row[0])] = string(row[1])
				return nil
			}},
	}
}

// fingerprintSQL asks for what tags come from: domains with their comments and CHECKs, what uses them as a type, comments on columns,
// views and rules, children; and the comment on a schema pganon, which means nothing, so that it can be changed to have everybody read again.
const fingerprintSQL = `select pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(pg_catalog.hashtextextended(x, 0)), 0) from (
select pg_catalog.concat_ws(' ', 'domain', t.oid, t.typnamespace, t.typname, t.typbasetype, d.description) x
from pg_catalog.pg_type t left join pg_catalog.pg_description d
	on d.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objoid = t.oid and d.objsubid = 0
where t.typtype = 'd' and t.oid >= 16384
union all select pg_catalog.concat_ws(' ', 'check', oid, contypid, convalidated, xmin) from pg_catalog.pg_constraint where contypid >= 16384
union all select pg_catalog.concat_ws(' ', 'use', t.oid, d.classid, d.objid, d.objsubid)
from pg_catalog.pg_type t join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.refobjid = t.oid
where t.typtype = 'd' and t.oid >= 16384
union all select pg_catalog.concat_ws(' ', 'comment', c.oid, c.relnamespace, c.relname, d.objsubid, d.description)
from pg_catalog.pg_description d join pg_catalog.pg_class c on c.oid = d.objoid
where d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid > 0 and pg_catalog.lower(d.description) like '%pganon%'
union all select pg_catalog.concat_ws(' ', 'rule', oid, ev_class, ev_type, xmin) from pg_catalog.pg_rewrite where ev_class >= 16384
union all select pg_catalog.concat_ws(' ', 'child', inhrelid, inhparent) from pg_catalog.pg_inherits
union all select pg_catalog.concat_ws(' ', 'version', pg_catalog.obj_description(oid, 'pg_namespace'))
from pg_catalog.pg_namespace where nspname = 'pganon') s`

// Fingerprint asks the server, in one round trip, for a text that is another one once a tag has changed; [Schema.Fingerprint] is what it
// was. It is cheap enough to be asked every ten seconds.
func Fingerprint(ctx context.Context, pg *pgconn.PgConn) (string, error) {
	c := new(catalog)
	if err := c.read(ctx, pg, catalogQueries[1:3]); err != nil {
		return "", fmt.Errorf("pganon: read fingerprint of tags: %w", err)
	}
	return c.fingerprint, nil
}

func newCatalog() *catalog {
	return &catalog{
		relations: make(map[uint32]*relation), domains: make(map[uint32]*domain),
		partitionKeys: make(map[origin]bool), folding: make(map[origin]bool), defaults: make(map[origin]bool), computed: make(map[origin][]origin),
		ranges: make(map[uint32][]uint32), parents: make(map[uint32][]uint32), rules: make(map[uint32][]ruleUse), insteadOf: make(map[uint32]bool),
		definitions: make(map[uint32]string),
		names:       make(map[string]string),
	}
}

// read runs queries in one round trip. They see one state of the database, in a transaction the one that its isolation level shows, and leave
// nothing behind, whatever comes of them.
func (c *catalog) read(ctx context.Context, pg *pgconn.PgConn, queries []query) error {
	if encoding := pg.ParameterStatus("client_encoding"); encoding != "UTF8" {
		return redact.Safe(fmt.Errorf("client_encoding is %s, want UTF8", encoding))
	}
	const savepoint = "pganon_tags"
	before, after := query{sql: "set transaction isolation level repeatable read, read only"}, query{}
	switch pg.TxStatus() {
	case 'I':
	case 'T':
		before.sql, after.sql = "savepoint "+savepoint, "rollback to savepoint "+savepoint+"; release savepoint "+savepoint
	default:
		return redact.Safe(errors.New("the transaction has failed"))
	}
	var sql strings.Builder
	sql.WriteString(before.sql)
	for _, q := range queries {
		sql.WriteString(";\n")
		sql.WriteString(q.sql)
	}
	if after.sql != "" {
		sql.WriteString(";\n")
		sql.WriteString(after.sql)
	}
	err := c.rows(pg.Exec(ctx, sql.String()), queries)
	if err != nil && pg.TxStatus() == 'E' {
		if _, undo := pg.Exec(ctx, after.sql).ReadAll(); undo != nil {
			err = errors.Join(err, undo)
		}
	}
	return err
}

func (c *catalog) rows(results *pgconn.MultiResultReader, queries []query) error {
	var hash maphash.Hash
	hash.SetSeed(digestSeed)
	var failed error
	for i := -1; results.NextResult(); i++ { // the first has no rows, those behind the queries neither
		for rows := results.ResultReader(); rows.NextRow(); {
			row := rows.Values()
			hash.Reset()
			hash.WriteByte(byte(i))
			for _, value := range row {
				hash.Write(value)
				hash.WriteByte(0) // no text of the server's has one in it
				if value == nil {
					hash.WriteByte(0)
				}
			}
			c.digest += hash.Sum64() // rows may come in any order
			if failed == nil && i >= 0 && i < len(queries) && queries[i].row != nil {
				failed = queries[i].row(c, row)
			}
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	return failed
}

var digestSeed = maphash.MakeSeed()

func (c *catalog) name(b []byte) string {
	name, ok := c.names[string(b)]
	if !ok {
		name = string(b)
		c.names[name] = name
	}
	return name
}

func (c *catalog) addRelation(row [][]byte) error {
	r := &relation{kind: row[3][0], row: parseOID(row[5]), rowArray: parseOID(row[6])}
	r.OID, r.Schema, r.Name = parseOID(row[0]), c.name(row[1]), c.name(row[2])
	n := int(parseNumber(row[4]))
	r.Columns, r.columns = make([]sqlcols.Column, 0, n), make([]columnType, 0, n)
	c.relations[r.OID] = r
	return nil
}

func (c *catalog) addColumn(row [][]byte) error {
	r := c.relations[parseOID(row[0])]
	if r == nil {
		return nil // TOAST
	}
	column := sqlcols.Column{Name: c.name(row[2]), Number: parseNumber(row[1])}
	typ := columnType{oid: parseOID(row[3]), width: -1}
	if row[4] != nil {
		width, err := strconv.ParseInt(string(row[4]), 10, 32)
		if err != nil {
			return err
		}
		typ.width = int32(width)
	}
	if row[5] != nil {
		typ.generated, typ.defaults = row[5][0] == 'g', row[5][0] == 'd'
	}
	// Rows come nearly in order.
	at := len(r.Columns)
	for at > 0 && r.Columns[at-1].Number > column.Number {
		at--
	}
	r.Columns, r.columns = slices.Insert(r.Columns, at, column), slices.Insert(r.columns, at, typ)
	return nil
}

func (c *catalog) addDomain(row [][]byte) error {
	width, err := strconv.ParseInt(string(row[4]), 10, 32)
	if err != nil {
		return err
	}
	d := &domain{
		oid: parseOID(row[0]), schema: c.name(row[1]), name: c.name(row[2]), base: parseOID(row[3]), width: int32(width), array: parseOID(row[5]),
		standard: string(row[6]), comment: string(row[7]),
	}
	c.domains[d.oid] = d
	return nil
}

func (c *catalog) addFunction(row [][]byte) error {
	f := function{schema: c.name(row[0]), name: c.name(row[1]), result: parseOID(row[3])}
	for _, oid := range strings.Fields(string(row[2])) {
		f.in = append(f.in, parseOID([]byte(oid)))
	}
	if row[4] != nil {
		var types []string
		var modes, names []string
		for i, into := range []*[]string{&types, &modes, &names} {
			if text := row[4+i]; text != nil {
				if err := json.Unmarshal(text, into); err != nil {
					return err
				}
			}
		}
		for i, typ := range types {
			if i < len(modes) && strings.Contains("obt", modes[i]) {
				column := outColumn{typ: parseOID([]byte(typ))}
				if i < len(names) {
					column.name = c.name([]byte(names[i]))
				}
				f.out = append(f.out, column)
			}
		}
	}
	c.functions = append(c.functions, f)
	return nil
}

// parseOID reads what the server has written as an oid; 0 for what is none.
func parseOID(b []byte) uint32 {
	oid, err := strconv.ParseUint(string(b), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(oid)
}

func parseNumber(b []byte) int16 {
	n, err := strconv.ParseInt(string(b), 10, 16)
	if err != nil {
		return 0
	}
	return int16(n)
}

func parseOrigin(row [][]byte) origin { return origin{parseOID(row[0]), parseNumber(row[1])} }

// nullDefault is a domain's DEFAULT that is NULL.
var nullDefault = regexp.MustCompile(`^NULL(::[^'()]*(\(\d+\))?)?$`)
