package canon_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/canon"
)

var allTypes = []string{
	"", "text", "varchar", "bpchar", "citext", "enum", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric",
	"date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "inet", "cidr", "macaddr", "json", "jsonb",
}

func TestParseType(t *testing.T) {
	for _, name := range allTypes {
		typ := mustType(t, name)
		assert.Equal(t, name, typ.String())
	}
	for alias, name := range map[string]string{
		" BigInt ": "int8", "integer": "int4", "int": "int4", "smallint": "int2", "boolean": "bool", "real": "float4", "double  precision": "float8",
		"float": "float8", "decimal": "numeric", "character varying": "varchar", "char": "bpchar", "character": "bpchar",
		"Timestamp With Time Zone": "timestamptz", "timestamp without time zone": "timestamp", "time with time zone": "timetz", "time without time zone": "time",
	} {
		assert.Equal(t, name, mustType(t, alias).String(), alias)
	}
	for name, want := range map[string]string{
		"int64":         `unknown type "int64": did you mean int8?`,
		"[]byte":        `unknown type "[]byte": did you mean bytea?`,
		"timestampz":    `unknown type "timestampz": did you mean timestamp`,
		"datetime":      `unknown type "datetime": did you mean timestamptz?`,
		"UIID":          `unknown type "UIID": did you mean uuid?`,
		"x.y":           `unknown type "x.y": did you mean `,
		"numeric(10,2)": `type "numeric(10,2)": nobody would hold values to a length or precision: write numeric`,
		"varchar (30)":  `type "varchar (30)": nobody would hold values to a length or precision: write varchar`,
		"bigint[]":      `type "bigint[]": arrays are not supported, only int8`,
	} {
		typ, err := canon.ParseType(name)
		assert.ErrorContains(t, err, want)
		assert.Zero(t, typ)
	}
}

func TestIn(t *testing.T) {
	var own canon.Type
	assert.Equal(t, "bytea", own.In(pgtype.ByteaOID).String())
	assert.Equal(t, "text", own.In(pgtype.TextOID).String())
	assert.Equal(t, "text", own.In(pgtype.VarcharOID).String())
	assert.Equal(t, "int8", mustType(t, "int8").In(pgtype.ByteaOID).String())
}

func TestDeterministicTypes(t *testing.T) {
	refused := map[string]string{
		"bpchar": "blanks", "citext": "fold", "float4": "numeric", "float8": "numeric", "timetz": "zones", "interval": "month",
		"json": "many texts", "jsonb": "numbers",
	}
	for _, name := range allTypes {
		err := mustType(t, name).Deterministic()
		switch why, no := refused[name]; {
		case no:
			require.ErrorContains(t, err, why)
			assert.ErrorContains(t, err, name)
			assert.NotErrorIs(t, err, canon.ErrLowCardinality)
		case name == "bool" || name == "enum":
			assert.ErrorIs(t, err, canon.ErrLowCardinality)
		default:
			assert.NoError(t, err)
		}
	}
}

func TestFolds(t *testing.T) {
	folds := map[string]bool{"": true, "text": true, "varchar": true, "bpchar": true, "citext": true, "enum": true}
	for _, name := range allTypes {
		assert.Equal(t, folds[name], mustType(t, name).Folds(), name)
	}
}
