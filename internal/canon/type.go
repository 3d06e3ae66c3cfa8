package canon

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon/internal/nearest"
)

// Type is the type of the values in an encrypted column, one of those [ParseType] knows. The zero Type is the column's own:
// [Type.In] says which that is; by itself it is text. Types are compared with ==.
type Type uint8

const (
	own Type = iota
	textType
	varchar
	bpchar
	citext
	enum
	bytea
	boolean
	smallint
	integer
	bigint
	float4
	float8
	numeric
	date
	timeOfDay
	timetz
	timestamp
	timestamptz
	interval
	uuid
	inet
	cidr
	macaddr
	jsonType
	jsonb
)

// A property is what a table row says about a type.
type property struct {
	name  string
	oid   uint32 // 0: it has no fixed one, and text's stands for it
	scan  reflect.Type
	want  string // what a refused value should have been
	equal string // why equal values need not have equal plaintexts
}

var (
	stringScan = reflect.TypeFor[string]()
	timeScan   = reflect.TypeFor[time.Time]()
	floatScan  = reflect.TypeFor[float64]()
)

var properties = [...]property{
	own:         {"", pgtype.TextOID, stringScan, "text", ""},
	textType:    {"text", pgtype.TextOID, stringScan, "text", ""},
	varchar:     {"varchar", pgtype.VarcharOID, stringScan, "text", ""},
	bpchar:      {"bpchar", pgtype.BPCharOID, stringScan, "text", "blanks at the end do not count in PostgreSQL, but do in what is encrypted: use text"},
	citext:      {"citext", 0, stringScan, "text", "case does not count in PostgreSQL, but does in what is encrypted: use text and fold"},
	enum:        {"enum", 0, stringScan, "text", ""},
	bytea:       {"bytea", pgtype.ByteaOID, reflect.TypeFor[[]byte](), "bytes", ""},
	boolean:     {"bool", pgtype.BoolOID, reflect.TypeFor[bool](), "true or false", ""},
	smallint:    {"int2", pgtype.Int2OID, reflect.TypeFor[int16](), "an integer of 2 bytes", ""},
	integer:     {"int4", pgtype.Int4OID, reflect.TypeFor[int32](), "an integer of 4 bytes", ""},
	bigint:      {"int8", pgtype.Int8OID, reflect.TypeFor[int64](), "an integer of 8 bytes", ""},
	float4:      {"float4", pgtype.Float4OID, reflect.TypeFor[float32](), "a floating-point number of 4 bytes", "floating-point numbers are not exact: use numeric"},
	float8:      {"float8", pgtype.Float8OID, floatScan, "a floating-point number of 8 bytes", "floating-point numbers are not exact: use numeric"},
	numeric:     {"numeric", pgtype.NumericOID, floatScan, "a decimal number", ""},
	date:        {"date", pgtype.DateOID, timeScan, "a date as YYYY-MM-DD", ""},
	timeOfDay:   {"time", pgtype.TimeOID, stringScan, "a time of day as HH:MM:SS", ""},
	timetz:      {"timetz", pgtype.TimetzOID, stringScan, "a time of day as HH:MM:SS+HH:MM", "one time of day has many zones: use time or timestamptz"},
	timestamp:   {"timestamp", pgtype.TimestampOID, timeScan, "a time as YYYY-MM-DD HH:MM:SS, without a zone", ""},
	timestamptz: {"timestamptz", pgtype.TimestamptzOID, timeScan, "a time as YYYY-MM-DD HH:MM:SS+HH:MM, with a zone", ""},
	interval:    {"interval", pgtype.IntervalOID, stringScan, "an interval as PostgreSQL writes it", "30 days equal a month in PostgreSQL, but not in what is encrypted: use a number"},
	uuid:        {"uuid", pgtype.UUIDOID, stringScan, "a UUID", ""},
	inet:        {"inet", pgtype.InetOID, stringScan, "an IP address", ""},
	cidr:        {"cidr", pgtype.CIDROID, stringScan, "an IP network", ""},
	macaddr:     {"macaddr", pgtype.MacaddrOID, stringScan, "a MAC address of 6 bytes", ""},
	jsonType:    {"json", pgtype.JSONOID, stringScan, "JSON", "one JSON value has many texts"},
	jsonb:       {"jsonb", pgtype.JSONBOID, stringScan, "JSON", "equal JSON values may differ in how numbers are written"},
}

// names are all names that types have.
var names = func() map[string]Type {
	all := map[string]Type{
		"character varying": varchar, "character": bpchar, "char": bpchar,
		"boolean": boolean, "smallint": smallint, "integer": integer, "int": integer, "bigint": bigint,
		"real": float4, "double precision": float8, "float": float8, "decimal": numeric,
		"time without time zone": timeOfDay, "time with time zone": timetz,
		"timestamp without time zone": timestamp, "timestamp with time zone": timestamptz,
	}
	for t, p := range properties {
		if p.name != "" {
			all[p.name] = Type(t)
		}
	}
	return all
}()

// ParseType returns the type that name means: PostgreSQL's names and their aliases, in any case, without length or precision.
// The empty name is the zero Type.
func ParseType(name string) (Type, error) {
	folded := strings.ToLower(strings.Join(strings.Fields(name), " "))
	if folded == "" {
		return own, nil
	}
	if t, ok := names[folded]; ok {
		return t, nil
	}
	bare, _, found := strings.Cut(folded, "(")
	if t, ok := names[strings.TrimSpace(bare)]; ok && found {
		return own, fmt.Errorf("type %q: nobody would hold values to a length or precision: write %s", name, t)
	}
	if t, ok := names[strings.TrimSuffix(folded, "[]")]; ok {
		return own, fmt.Errorf("type %q: arrays are not supported, only %s", name, t)
	}
	return own, fmt.Errorf("unknown type %q: did you mean %s?", name, meant(folded))
}

// goNames are Go's names, which are not as near to PostgreSQL's as they look.
var goNames = map[string]Type{
	"string": textType, "[]byte": bytea, "int16": smallint, "int32": integer, "int64": bigint, "float32": float4, "float64": float8,
	"time.time": timestamptz, "datetime": timestamptz, "duration": interval, "time.duration": interval,
}

// meant is the type that a Go name means, or the known name with the fewest edits to name.
func meant(name string) string {
	if t, ok := goNames[name]; ok {
		return t.String()
	}
	return nearest.Of(name, slices.Collect(maps.Keys(names))...)
}

func (t Type) is() *property { return &properties[t] }

// String returns the name as pgx and pg_type have it, int8 for bigint; it is empty for the zero Type.
func (t Type) String() string { return t.is().name }

// In returns the type of the values in a column whose type, or whose domain's base type, is oid: t, or for the zero Type bytea in a bytea
// column and text in every other.
func (t Type) In(oid uint32) Type {
	switch {
	case t != own:
		return t
	case oid == pgtype.ByteaOID:
		return bytea
	}
	return textType
}

// ErrLowCardinality is why a bool or enum column should not be deterministic: its values are so few that counting equal tokens
// gives them away. The option lowcardinality of a tag accepts that.
var ErrLowCardinality = errors.New("it has so few values that counting equal tokens gives them away")

// Deterministic says why a deterministic column may not have this type, or nil. An error that is [ErrLowCardinality] may be
// overruled by the tag, no other.
func (t Type) Deterministic() error {
	switch p := t.is(); {
	case p.equal != "":
		return fmt.Errorf("type %s cannot be deterministic: %s", t, p.equal)
	case t == boolean || t == enum:
		return fmt.Errorf("type %s should not be deterministic: %w", t, ErrLowCardinality)
	}
	return nil
}

// Folds says whether [Options].Fold has a meaning: whether the values are text.
func (t Type) Folds() bool { return t <= enum }

// OID returns the OID by which pgtype knows the type; text's for citext and enum, which have none of their own.
func (t Type) OID() uint32 {
	if oid := t.is().oid; oid != 0 {
		return oid
	}
	return pgtype.TextOID
}

// Format returns the format in which a plaintext is a value of the type [Type.OID]: pgtype.BinaryFormatCode for bytea, else
// pgtype.TextFormatCode. So pgtype's Map can scan a plaintext.
func (t Type) Format() int16 {
	if t == bytea {
		return pgtype.BinaryFormatCode
	}
	return pgtype.TextFormatCode
}

// DatabaseTypeName returns what pgx's stdlib calls a column of this type.
func (t Type) DatabaseTypeName() string {
	switch t {
	case own:
		return textType.DatabaseTypeName()
	case timetz: // unknown to pgx
		return strconv.Itoa(pgtype.TimetzOID)
	}
	return strings.ToUpper(t.String())
}

// ScanType returns the Go type that pgx's stdlib names for a column of this type.
func (t Type) ScanType() reflect.Type { return t.is().scan }
