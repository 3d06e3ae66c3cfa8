package hooks_test

import (
	"database/sql"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/hooks"
)

func constant(s string) sql.Null[string] { return sql.Null[string]{V: s, Valid: true} }

func TestParseTag(t *testing.T) {
	for text, want := range map[string]hooks.Tag{
		"encrypt":                                        {Encrypt: true},
		" encrypt , deterministic ":                      {Encrypt: true, Deterministic: true},
		"encrypt,type=bigint":                            {Encrypt: true, Type: "int8"},
		"encrypt,type=text":                              {Encrypt: true, Type: "text"},
		"encrypt,key=app.users.email":                    {Encrypt: true, Key: "app.users.email"},
		"encrypt,key='a,b (c)'":                          {Encrypt: true, Key: "a,b (c)"},
		"encrypt,key=app.Weird Table.ü":                  {Encrypt: true, Key: "app.Weird Table.ü"},
		"encrypt,migrating":                              {Encrypt: true, Migrating: true},
		"encrypt,mask=***":                               {Encrypt: true, Mask: constant("***")},
		"encrypt,mask=''":                                {Encrypt: true, Mask: constant("")},
		"encrypt,mask='it''s, (hidden) '":                {Encrypt: true, Mask: constant("it's, (hidden) ")},
		"encrypt,mask=0,type=int8":                       {Encrypt: true, Type: "int8", Mask: constant("0")},
		"encrypt,mask=a=b":                               {Encrypt: true, Mask: constant("a=b")},
		"encrypt,fold,deterministic":                     {Encrypt: true, Deterministic: true, Fold: true},
		"encrypt,deterministic,type=bool,lowcardinality": {Encrypt: true, Deterministic: true, Type: "bool", LowCardinality: true},
		"encrypt,deterministic,type=numeric,write=aB-_,key=x": {
			Encrypt: true, Deterministic: true, Type: "numeric", Write: "aB-_", Key: "x"},
		"redact":               {Redact: true},
		"mask=anon.fake_email": {MaskFunction: "anon.fake_email"},
		"redact,mask=anon.partial(email, 1, '*,)(', 2)": {Redact: true, MaskFunction: "anon.partial(email, 1, '*,)(', 2)"},
		"mask=f(g(1),h())": {MaskFunction: "f(g(1),h())"},
	} {
		got, err := hooks.ParseTag(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)

		again, err := hooks.ParseTag(got.String())
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again, "round trip of %s", text)
	}
}

func TestParseTagRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "empty option",
		"encrypt,":                        "empty option",
		"encrypted":                       "option encrypted: unknown, did you mean encrypt?",
		"encrypt,determinstic":            "option determinstic: unknown, did you mean deterministic?",
		"Encrypt":                         "option Encrypt: unknown, did you mean encrypt?",
		"encrypt,encrypt":                 "option encrypt: given twice",
		"encrypt,key=a,key=a":             "option key: given twice",
		"tenant":                          "option tenant: reserved, it has no meaning yet",
		"encrypt,tenant":                  "option tenant: reserved, it has no meaning yet",
		"encrypt=yes":                     "option encrypt: takes no value",
		"encrypt,key":                     "option key: needs a value: key=…",
		"encrypt,key=":                    "option key: needs a value: key=…",
		"encrypt,key=''":                  "option key: an empty label",
		"encrypt,key=a(b)":                "option key: put the value into single quotes",
		"encrypt,key='a'b'c'":             "option key: more than one quoted text",
		"encrypt,key='a":                  "a quote ' that is not closed",
		"encrypt,key=(a":                  "a parenthesis that is not closed",
		"encrypt,key=a)":                  "a parenthesis that is not opened",
		"encrypt,key=a\x00":               "a control character in it",
		"encrypt,mask=a\nb":               "a control character in it",
		"encrypt,key=\xff":                "not UTF-8",
		"encrypt,mask":                    "option mask: needs a value: mask=…",
		"encrypt,mask=f(x)":               "option mask: put the constant into single quotes; an encrypted column has no function, only a constant",
		"encrypt,mask=***,type=int8":      "option mask: no value of type int8",
		"encrypt,type=''":                 "option type: empty",
		"encrypt,type=strin":              `option type: unknown type "strin": did you mean bigint?`,
		"encrypt,type=varchar(20)":        `option type: type "varchar(20)": nobody would hold values to a length or precision: write varchar`,
		"encrypt,write=abcd":              "option write: only deterministic columns have a key of their own to write under; others use the ring's first",
		"encrypt,deterministic,write=abc": "option write: want a key's id, four characters of base64url",
		"encrypt,lowcardinality":          "option lowcardinality: says something of deterministic columns only",
		"encrypt,fold,type=int8":          "option fold: values of type int8 have no case",
		"encrypt,fold,type=bytea":         "option fold: values of type bytea have no case",
		"encrypt,redact":                  "option redact: an encrypted column is redacted by itself; take one of the two away",
		"deterministic":                   "option deterministic: says something of encrypted columns only: write encrypt,deterministic",
		"redact,key=a":                    "option key: says something of encrypted columns only: write encrypt,key",
		"mask='***'":                      "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"mask=***":                        "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"mask=f(a)(b)":                    "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"mask=f()x":                       "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"mask=1f":                         "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"mask=a..b":                       "option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns",
		"encrypt,key=" + strings.Repeat("x", 4096): "longer than 4096 bytes",
	} {
		_, err := hooks.ParseTag(text)
		assert.EqualError(t, err, "pganon: parse tag: "+want, "%.60s", text)
	}
	for _, typ := range []string{"json", "jsonb", "float4", "float8", "interval", "timetz", "bpchar", "citext", "bool", "enum"} {
		_, err := hooks.ParseTag("encrypt,type=" + typ)
		assert.NoError(t, err, typ)
		_, err = hooks.ParseTag("encrypt,deterministic,type=" + typ)
		assert.ErrorContains(t, err, "option deterministic: type "+typ, typ)
		_, err = hooks.ParseTag("encrypt,deterministic,lowcardinality,type=" + typ)
		if typ == "bool" || typ == "enum" {
			assert.NoError(t, err, typ)
		} else {
			assert.ErrorContains(t, err, "option deterministic: type "+typ, typ)
		}
	}
}

func TestFindTag(t *testing.T) {
	for comment, want := range map[string]string{
		"":                             "",
		"the user's address":           "",
		"see github.com/pganon/pganon": "",
		"about pganon":                 "",
		`pganon:"encrypt"`:             "encrypt",
		`pganon:""`:                    "empty option",
		`the address pganon:"encrypt,deterministic", unique`: "encrypt,deterministic",
		"two lines\npganon:\"redact\"\n":                     "redact",
		`json:"email" pganon:"encrypt,mask=\"x\""`:           `encrypt,mask="x"`,
		`pganon pganon:"redact" pganon`:                      "redact",
		`pganon:"redact" pganon:"redact"`:                    "two tags, where there can be one",
		`pganon:encrypt`:                                     `want pganon:"…", quoted as in a Go struct tag`,
		`pganon: "encrypt"`:                                  `want pganon:"…", quoted as in a Go struct tag`,
		`pganon : "encrypt"`:                                 `want pganon:"…", quoted as in a Go struct tag`,
		`PgAnon:"encrypt"`:                                   `want pganon:"…", quoted as in a Go struct tag`,
		"pganon:`encrypt`":                                   `want pganon:"…", quoted as in a Go struct tag`,
		`pganon:'encrypt'`:                                   `want pganon:"…", quoted as in a Go struct tag`,
		`pganon:"encrypt`:                                    `want pganon:"…", quoted as in a Go struct tag`,
		`pganon:"masked"`:                                    "option masked: unknown, did you mean mask?",
	} {
		tag, found, err := hooks.FindTag(comment)
		switch {
		case err != nil:
			assert.EqualError(t, err, "pganon: find tag: "+want, comment)
			assert.True(t, found, comment)
			assert.Zero(t, tag, comment)
		default:
			assert.Equal(t, want, tag.String(), comment)
			assert.Equal(t, want != "", found, comment)
		}
	}
}

// Comments and struct tags have one grammar.
func TestTagComment(t *testing.T) {
	tag, err := hooks.ParseTag(`encrypt,key='"quoted", \back',mask=ü`)
	require.NoError(t, err)
	text, ok := reflect.StructTag(`json:"x" ` + tag.Comment()).Lookup("pganon")
	require.True(t, ok)
	assert.Equal(t, tag.String(), text)
	found, ok, err := hooks.FindTag("some words " + tag.Comment() + ".")
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, tag, found)
}

func FuzzTag(f *testing.F) {
	for _, text := range []string{
		"encrypt,deterministic,type=int8,key=a.b.c,write=abcd,migrating,mask=0,fold,lowcardinality", "redact,mask=f('a', (1))",
		"encrypt,mask='it''s'", "encrypt,key=' x '", `encrypt,key="`, "tenant", `a pganon:"encrypt"`, `pganon:"\u00e9"`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hooks.FindTag(text)
		tag, err := hooks.ParseTag(text)
		if err != nil {
			assert.Zero(t, tag)
			return
		}
		again, err := hooks.ParseTag(tag.String())
		require.NoError(t, err, tag.String())
		require.Equal(t, tag, again)
		require.Equal(t, tag.String(), again.String())
		found, ok, err := hooks.FindTag("before " + tag.Comment() + "after")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, tag, found)
		require.True(t, tag.Encrypt || tag.Redact || tag.MaskFunction != "")
	})
}
