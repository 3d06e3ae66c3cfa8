package sqllex_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqllex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lex writes a text's tokens one a word: kind:text.
func lex(t *testing.T, o sqllex.Options, text string) string {
	t.Helper()
	var b strings.Builder
	lx := o.Lexer(text)
	for tok := lx.Next(); tok.Kind != sqllex.EOF; tok = lx.Next() {
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		switch tok.Kind {
		case sqllex.Ident, sqllex.Operator, sqllex.Comma, sqllex.Semicolon, sqllex.Colon, sqllex.Dot, sqllex.LeftParen, sqllex.RightParen,
			sqllex.LeftBracket, sqllex.RightBracket, sqllex.TypeCast, sqllex.ColonEquals, sqllex.EqualsGreater, sqllex.DotDot:
			b.WriteString(lx.Text(tok))
		default:
			fmt.Fprintf(&b, "<%v %s>", tok.Kind, lx.Text(tok))
		}
	}
	if err := lx.Err(); err != nil {
		fmt.Fprintf(&b, " %v", err.(*sqllex.Error).Reason)
	}
	return b.String()
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \t\n\r\f\v", ""},
		{"SELECT a, b FROM t;", "SELECT|a|,|b|FROM|t|;"},
		{"été日本 _x a$1 a$b$", "été日本|_x|a$1|a$b$"},
		{"a\u00a0b", "a\u00a0b"}, // no white space to the server, but a letter
		{`"a""b";"" ""`, `<quoted identifier "a""b">|;|<illegal "" ""> zero-length quoted identifier`},
		{`U&"\0061" u&"x"y`, `<Unicode identifier U&"\0061">|<Unicode identifier u&"x">|y`},
		{`U&"!0061" /* */ UESCAPE -- c` + "\n'!' x", `<Unicode identifier U&"!0061" /* */ UESCAPE -- c` + "\n'!'>|x"},
		{`U&'a' uescapes`, `<Unicode string U&'a'>|uescapes`},
		{`U&'a' UESCAPE E'!'`, `<illegal U&'a' UESCAPE E'!'> UESCAPE needs a plain string of one permitted character`},
		{`U&'a' UESCAPE '!!'`, `<illegal U&'a' UESCAPE '!!'> UESCAPE needs a plain string of one permitted character`},
		{`U&'a' UESCAPE 'a'`, `<illegal U&'a' UESCAPE 'a'> UESCAPE needs a plain string of one permitted character`},
		{`U&'a' UESCAPE '!''x'`, `<illegal U&'a' UESCAPE '!''x'> UESCAPE needs a plain string of one permitted character`},
		{"U&'a' UESCAPE '!'\n'x'", "<illegal U&'a' UESCAPE '!'\n'x'> UESCAPE needs a plain string of one permitted character"},
		{"u & 'x' U&x u&", "u|&|<string 'x'>|U|&|x|u|&"},
		{`'it''s' 'a\'`, `<string 'it''s'>|<string 'a\'>`},
		{`E'it\'s' e'\\' 'x`, `<escape string E'it\'s'>|<escape string e'\\'>|<illegal 'x> unterminated string`},
		{`E'\\\'' E'a''b'`, `<escape string E'\\\''>|<escape string E'a''b'>`},
		{`E'\u00e9\U0001F600\ud83d\ude00' E'\u12'`, `<escape string E'\u00e9\U0001F600\ud83d\ude00'>|<illegal E'\u12'> invalid Unicode escape`},
		{`E'\ud83dx'`, `<illegal E'\ud83dx'> invalid Unicode surrogate pair`},
		{`E'\ude00'`, `<illegal E'\ude00'> invalid Unicode surrogate pair`},
		{`E'\'`, `<illegal E'\'> unterminated string`},
		{`E'\`, `<illegal E'\> unterminated string`},
		{`N'x' B'01' X'1F'x'1'`, `<national string N'x'>|<bit string B'01'>|<hex string X'1F'>|<hex string x'1'>`},
		{`B'0''1'`, `<bit string B'0'>|<string '1'>`},
		{`ae'x' e$'\'`, `ae|<string 'x'>|e$|<string '\'>`},
		{"'a'\n'b'", "<string 'a'\n'b'>"},
		{"'a' 'b'", "<string 'a'>|<string 'b'>"},
		{"'a'\r'b'", "<string 'a'\r'b'>"},
		{"'a' -- ;'\n \f-- '\n'b'", "<string 'a' -- ;'\n \f-- '\n'b'>"},
		{"'a' -- ;'\n- 'b'", "<string 'a'>|-|<string 'b'>"},
		{"'a'\n/**/'b'", "<string 'a'>|<string 'b'>"},
		{"'a'\n--", "<string 'a'>"},
		{"'a'\nE'b'", "<string 'a'>|<escape string E'b'>"},
		{"E'a'\n'\\'b'", "<escape string E'a'\n'\\'b'>"},
		{"B'0'\n'1' U&'a'\n'b'", "<bit string B'0'\n'1'>|<Unicode string U&'a'\n'b'>"},
		{"'a'\n'b", "<illegal 'a'\n'b> unterminated string"},
		{"\"a\"\n\"b\"", "<quoted identifier \"a\">|<quoted identifier \"b\">"},
		{"$$a$b$$ $a$ $$ $b$ $a$", "<dollar-quoted string $$a$b$$>|<dollar-quoted string $a$ $$ $b$ $a$>"},
		{"$é1$;$é1$ x$$y", "<dollar-quoted string $é1$;$é1$>|x$$y"},
		{"1$$a$$ $a$$a$", "<integer 1>|<dollar-quoted string $$a$$>|<dollar-quoted string $a$$a$>"},
		{"$a$ $A$", "<illegal $a$ $A$> unterminated dollar-quoted string"},
		{"$a-$", "<illegal $a-$> unexpected character"},
		{"$1 $23 $0001 $1$2", "<parameter $1>|<parameter $23>|<parameter $0001>|<parameter $1>|<parameter $2>"},
		{"$1$$x$$", "<parameter $1>|<dollar-quoted string $$x$$>"},
		{"$2147483647 $2147483648", "<parameter $2147483647>|<illegal $2147483648> parameter number too large"},
		{"$4294967297", "<illegal $4294967297> parameter number too large"},
		{"$1a", "<illegal $1a> trailing junk after parameter"},
		{"$1_0", "<illegal $1_0> trailing junk after parameter"},
		{"1 007 1_000 0x1F 0X_ff 0b01 0o17", "<integer 1>|<integer 007>|<integer 1_000>|<integer 0x1F>|<integer 0X_ff>|<integer 0b01>|<integer 0o17>"},
		{"1. .5 1.5 1e5 1E-5 1.e+5 .5e1_0 1_0.2_0", "<decimal 1.>|<decimal .5>|<decimal 1.5>|<decimal 1e5>|<decimal 1E-5>|<decimal 1.e+5>|<decimal .5e1_0>|<decimal 1_0.2_0>"},
		{"1..10 a.b a..b 1.5.5 -1", "<integer 1>|..|<integer 10>|a|.|b|a|..|b|<decimal 1.5>|<decimal .5>|-|<integer 1>"},
		{"1_0.5$1 1e-5$1", "<decimal 1_0.5>|<parameter $1>|<decimal 1e-5>|<parameter $1>"},
		{"+-*/<>=~!@#%^&|`?", "+-*/<>=~!@#%^&|`?"},
		{"a=-1 a<+-b @- ?-+ <=- *+- =>- =>", "a|=|-|<integer 1>|a|<|+|-|b|@-|?-+|<=|-|*|+|-|=>|-|=>"},
		{"a+/*c*/b*--c\n<", "a|+|b|*|<"},
		{"a@-- c\n/-/**/*/", "a|@|/|-|*/"},
		{"::: := :x :=: ...", "::|:|:=|:|x|:=|:|..|."},
		{strings.Repeat("@", 63), strings.Repeat("@", 63)},
		{strings.Repeat("@", 64), "<illegal " + strings.Repeat("@", 64) + "> operator too long"},
		{strings.Repeat("=", 63) + "-", strings.Repeat("=", 63) + "|-"},
		{"/* a /* b */ c */x/**/y/***/z/*/*/**/*/*/w", "x|y|z|w"},
		{"/* a /* b */ c", "<illegal /* a /* b */ c> unterminated comment"},
		{"-- a\rb -- c", "b"},
		{`a\b`, `a|<illegal \b> unexpected character`},
		{"a{", "a|<illegal {> unexpected character"},
		{"a\x00b", "<illegal a\x00b> NUL byte"},
		{"a \xff", "<illegal a \xff> invalid UTF-8"},
		{"a \xed\xa0\x80", "<illegal a \xed\xa0\x80> invalid UTF-8"},
		{"\ufffd", "\ufffd"},
	} {
		assert.Equal(t, c.want, lex(t, sqllex.Options{}, c.text), "%q", c.text)
	}
	for _, junk := range []string{"1a", "1_", "1__0", "1e", "1e+", "1e_1", "1.a", "1._5", "1.5e", "1e5a", "1e-5a", "0x", "0x_", "0xg", "0x1g", "0b2", "0b12", "0o8", "0b",
		"1e5$1", "0x1F$1", "1_0$1", ".5_0$1", "1.5e3$1", "1e-5_0$1", "1e'x'", "0b'1'", "0x'1'", "1n'x'", "1é"} {
		assert.Contains(t, lex(t, sqllex.Options{}, junk), "trailing junk after number", junk)
	}
}

func TestOptions(t *testing.T) {
	off := sqllex.Options{BackslashStrings: true}
	assert.Equal(t, `<string 'a\'b'>|<national string N'\''>|<escape string E'\''>`, lex(t, off, `'a\'b' N'\'' E'\''`))
	assert.Equal(t, `<bit string B'\'>|<string ' '>`, lex(t, off, `B'\'' '`), "the string that follows B'…' has escapes, B'…' has not")
	assert.Equal(t, `<illegal U&'a'> U& string while standard_conforming_strings is off`, lex(t, off, `U&'a'`))
	assert.Equal(t, `<Unicode identifier U&"a">`, lex(t, off, `U&"a"`))

	assert.Equal(t, "<comment --a>|x|<comment /*b/*c*/*/>|<comment -->", lex(t, sqllex.Options{Comments: true}, "--a\nx/*b/*c*/*/\r--"))

	nested := strings.Repeat("/*", 100) + strings.Repeat("*/", 100)
	assert.Equal(t, "x", lex(t, sqllex.Options{}, nested+"x"))
	assert.Contains(t, lex(t, sqllex.Options{}, "/*"+nested+"*/"), "comments nested too deep")
	assert.Equal(t, "x", lex(t, sqllex.Options{MaxCommentDepth: 1000}, "/*"+nested+"*/x"))
	assert.Contains(t, lex(t, sqllex.Options{MaxCommentDepth: 1}, "/*/**/*/"), "comments nested too deep")
}

func TestEndStaysTheEnd(t *testing.T) {
	for _, text := range []string{"", "a", "'", "a\x00"} {
		lx := sqllex.New(text)
		for lx.Next().Kind != sqllex.EOF {
		}
		for range 3 {
			tok := lx.Next()
			assert.Equal(t, sqllex.Token{Start: len(text), End: len(text)}, tok)
		}
	}
}

func TestErrorOffset(t *testing.T) {
	for text, want := range map[string]int{
		"a 'b": 2, "é /*": 3, `E'abc\u12'`: 5, `E'\ud83d'`: 8, `E'\ude00'`: 2, `E'\ud83d\u12'`: 8, "a\xff": 1, "ab\x00": 2, "a 1b": 2, `U&'x' UESCAPE 1`: 6, "a \uFFFD\xff": 5,
	} {
		lx := sqllex.New(text)
		for lx.Next().Kind != sqllex.EOF {
		}
		var e *sqllex.Error
		require.ErrorAs(t, lx.Err(), &e, text)
		assert.Equal(t, want, e.Offset, "%q", text)
		assert.Regexp(t, `^pganon: read SQL text: [a-zA-Z0-9& _-]+ at byte \d+$`, e.Error())
	}
}

func TestIdent(t *testing.T) {
	long := strings.Repeat("x", 62)
	for _, c := range []struct{ text, want string }{
		{"SELECT", "select"}, {"aBc_1$", "abc_1$"}, {"ÉA", "Éa"}, {`"ÉA b"`, "ÉA b"}, {`"a""b"""`, `a"b"`}, {`""""`, `"`},
		{long + "YY", long + "y"}, {long + "é", long}, {long[1:] + "éé", long[1:] + "é"}, {`"` + long + `日本"`, long}, {`"` + long + `YY"`, long + "Y"},
		{`"` + strings.Repeat("日", 22) + `"`, strings.Repeat("日", 21)},
		{`U&"\0065mail"`, "email"}, {`U&"!0065m\ail" UESCAPE '!'`, `em\ail`}, {`u&"\+01F600\\""x"`, `😀\"x`}, {`U&"\d83d\de00"`, "😀"}, {`U&"\D83D\+00DE00"`, "😀"},
		{`U&"` + long + `\00e9"`, long}, {`U&"AbC"`, "AbC"},
	} {
		lx := sqllex.New(c.text)
		tok := lx.Next()
		require.Equal(t, len(c.text), tok.End, c.text)
		got, err := lx.Ident(tok)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, got, c.text)
	}
	for text, want := range map[string]sqllex.Reason{
		`U&"\006"`: sqllex.InvalidEscape, `U&"\x"`: sqllex.InvalidEscape, `U&"\"`: sqllex.InvalidEscape, `U&"\+12345"`: sqllex.InvalidEscape, `U&"\+110000"`: sqllex.InvalidEscape,
		`U&"\0000"`: sqllex.InvalidEscape, `U&"\d83d"`: sqllex.InvalidSurrogate, `U&"\d83dx"`: sqllex.InvalidSurrogate, `U&"\de00"`: sqllex.InvalidSurrogate,
		`U&"\d83d\0061"`: sqllex.InvalidSurrogate, `U&"\d83d\\"`: sqllex.InvalidSurrogate, `'x'`: sqllex.WrongKind, `,`: sqllex.WrongKind,
	} {
		lx := sqllex.New(text)
		got, err := lx.Ident(lx.Next())
		var e *sqllex.Error
		require.ErrorAs(t, err, &e, text)
		assert.Equal(t, want, e.Reason, text)
		assert.Empty(t, got)
	}
}

func TestStringValue(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`''`, ""}, {`'it''s'`, "it's"}, {`'a\n'`, `a\n`}, {"'a'\n'b' -- '\n '''c'", "ab'c"}, {"''\n''", ""}, {`N'x''y'`, "x'y"}, {"N'x'\n'y'", "xy"},
		{`E'\b\f\n\r\t\v\a\'\\\x\"'`, "\b\f\n\r\t\va'\\x\""}, {`E'\101\60\1a\x41\x4g\x0A41'`, "A0\x01aA\x04g\n41"}, {`E'\703\251'`, "é"},
		{`E'\303\251\xe2\x82\xac'`, "é€"}, {`E'\u20ac\U0001F600\ud83d\ude00\uD83D\U0000DE00'`, "€😀😀😀"}, {"E'a'\n'\\n'", "a\n"}, {`E''''`, "'"}, {`E'\é'`, "é"}, {`E''`, ""},
		{`U&'d\0061t\+000061'`, "data"}, {`U&'d!0061\' UESCAPE '!'`, `da\`}, {"U&'\\00'\n'61'", "a"}, {`U&'\d83d\de00''\\'`, `😀'\`},
		{`B'101'`, "101"}, {"X'1'\n'F'", "1F"}, {`$$a''\$x$$`, `a''\$x`}, {`$q$$$ $Q$$q$`, `$$ $Q$`}, {`$$$$`, ""},
	} {
		lx := sqllex.New(c.text)
		tok := lx.Next()
		require.Equal(t, len(c.text), tok.End, c.text)
		got, err := lx.StringValue(tok)
		require.NoError(t, err, c.text)
		assert.Equal(t, c.want, got, c.text)
	}
	lx := sqllex.Options{BackslashStrings: true}.Lexer(`'\'\n' N'\t'`)
	got, err := lx.StringValue(lx.Next())
	require.NoError(t, err)
	assert.Equal(t, "'\n", got)
	got, err = lx.StringValue(lx.Next())
	require.NoError(t, err)
	assert.Equal(t, "\t", got)

	for text, want := range map[string]sqllex.Reason{
		`E'\0'`: sqllex.InvalidUTF8, `E'\xff'`: sqllex.InvalidUTF8, `E'\777'`: sqllex.InvalidUTF8, `E'\x00'`: sqllex.InvalidUTF8, `E'\xed\xa0\x80'`: sqllex.InvalidUTF8, `E'é\303'`: sqllex.InvalidUTF8, `E'\u0000'`: sqllex.InvalidEscape,
		`E'\U00110000'`: sqllex.InvalidEscape, `E'\UFFFFFFFF'`: sqllex.InvalidEscape, `U&'\12'`: sqllex.InvalidEscape, `U&'\d83d'`: sqllex.InvalidSurrogate, `a`: sqllex.WrongKind, `$1`: sqllex.WrongKind,
	} {
		lx := sqllex.New(text)
		got, err := lx.StringValue(lx.Next())
		var e *sqllex.Error
		require.ErrorAs(t, err, &e, text)
		assert.Equal(t, want, e.Reason, text)
		assert.Empty(t, got)
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{"select": true, "SELECT": true, "SeLeCt": true, `"select"`: false, "selec": false, "selects": false, "ſelect": false, "'select'": false} {
		lx := sqllex.New(text)
		assert.Equal(t, want, lx.Is(lx.Next(), "select"), text)
	}
	lx := sqllex.New("LINK K") // U+212A folds to k in Unicode
	assert.True(t, lx.Is(lx.Next(), "link"))
	lx = sqllex.New("LIN\u212a")
	assert.False(t, lx.Is(lx.Next(), "link"))
}

func TestPositions(t *testing.T) {
	text := "aé日😀b"
	for i, c := range []struct{ offset, position int }{{0, 1}, {1, 2}, {3, 3}, {6, 4}, {10, 5}, {11, 6}} {
		assert.Equal(t, c.position, sqllex.Position(text, c.offset), i)
		offset, ok := sqllex.Offset(text, c.position)
		assert.True(t, ok)
		assert.Equal(t, c.offset, offset, i)
	}
	assert.Equal(t, 1, sqllex.Position(text, -1))
	assert.Equal(t, 6, sqllex.Position(text, 100))
	assert.Equal(t, 4, sqllex.Position(text, 8), "inside of a character")
	for _, position := range []int{-1, 0, 7, 100} {
		_, ok := sqllex.Offset(text, position)
		assert.False(t, ok, position)
	}
	offset, ok := sqllex.Offset("", 1)
	assert.True(t, ok)
	assert.Zero(t, offset)
}

func TestParams(t *testing.T) {
	for _, c := range []struct {
		text          string
		uses, highest int
	}{
		{"", 0, 0}, {"SELECT 1", 0, 0}, {"SELECT $1, $2, $1", 3, 2}, {"SELECT '$1', $$ $2 $$, \"$3\", a$4 -- $5\n/* $6 */, $7", 1, 7}, {"$0", 1, 0},
	} {
		uses, highest, err := sqllex.Params(c.text)
		require.NoError(t, err)
		assert.Equal(t, []int{c.uses, c.highest}, []int{uses, highest}, c.text)
	}
	_, _, err := sqllex.Params("SELECT $1, '")
	assert.Error(t, err)
	_, highest, err := sqllex.Options{BackslashStrings: true}.Params(`SELECT '\'$2', $1`)
	require.NoError(t, err)
	assert.Equal(t, 1, highest)
}

func TestNoAllocation(t *testing.T) {
	text := strings.Repeat(`SELECT "a", 'b', E'c', $$d$$, $1, 1.5, x::int /* e */ FROM t WHERE a <> b; `, 10)
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		lx := sqllex.New(text)
		for tok := lx.Next(); tok.Kind != sqllex.EOF; tok = lx.Next() {
		}
		_, _ = sqllex.Classify(text)
		_, _, _ = sqllex.Params(text)
		lx = sqllex.New(`abc "abc" 'abc' $$abc$$`)
		for tok := lx.Next(); tok.Kind != sqllex.EOF; tok = lx.Next() {
			if tok.Kind.IsIdent() {
				_, _ = lx.Ident(tok)
			} else {
				_, _ = lx.StringValue(tok)
			}
		}
	}))
}
