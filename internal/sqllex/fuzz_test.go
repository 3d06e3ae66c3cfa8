package sqllex_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pganon/pganon/internal/sqllex"
)

func seed(f *testing.F) {
	for _, c := range commands {
		f.Add(c.text, uint8(0))
	}
	for _, s := range append(append([]string{}, commandPieces...), noisePieces...) {
		f.Add("SELECT "+s+";"+s, uint8(1))
	}
}

func optionsOf(bits uint8) sqllex.Options {
	return sqllex.Options{BackslashStrings: bits&1 != 0, Comments: bits&2 != 0, MaxCommentDepth: int(bits >> 4)}
}

// blank says whether s is nothing but white space and, where they are no tokens, comments.
func blank(s string, comments bool) bool {
	for s = strings.Trim(s, " \t\n\r\f\v"); s != "" && comments; s = strings.Trim(s, " \t\n\r\f\v") {
		switch {
		case strings.HasPrefix(s, "--"):
			end := strings.IndexAny(s, "\n\r")
			if end < 0 {
				return true
			}
			s = s[end:]
		case strings.HasPrefix(s, "/*"):
			depth, i := 0, 0
			for ok := true; ok; ok = depth > 0 {
				switch {
				case i+1 >= len(s):
					return false
				case s[i:i+2] == "/*":
					depth++
					i += 2
				case s[i:i+2] == "*/":
					depth--
					i += 2
				default:
					i++
				}
			}
			s = s[i:]
		default:
			return false
		}
	}
	return s == ""
}

func FuzzLexer(f *testing.F) {
	seed(f)
	f.Fuzz(checkLexer)
}

// checkLexer: tokens and what is skipped tile the text, and every token is what it is by itself.
func checkLexer(t *testing.T, text string, bits uint8) {
	o := optionsOf(bits)
	lx := o.Lexer(text)
	end, uses, highest := 0, 0, 0
	for {
		tok := lx.Next()
		if tok.Start < end || tok.End < tok.Start || tok.End > len(text) {
			t.Fatalf("token %v after %d", tok, end)
		}
		if !blank(text[end:tok.Start], !o.Comments) {
			t.Fatalf("skipped %q", text[end:tok.Start])
		}
		end = tok.End
		if tok.Kind == sqllex.EOF {
			break
		}
		if tok.Start == tok.End {
			t.Fatalf("empty token %v", tok)
		}
		ident, err := lx.Ident(tok)
		if ok := err == nil; tok.Kind.IsIdent() && (ok && (ident == "" || len(ident) > 63 || !utf8.ValidString(ident)) || !ok && tok.Kind != sqllex.UnicodeIdent) || !tok.Kind.IsIdent() && ok {
			t.Fatalf("%v: name %q %v", tok, ident, err)
		}
		value, err := lx.StringValue(tok)
		if ok := err == nil; ok && (!tok.Kind.IsString() || !utf8.ValidString(value) || strings.Contains(value, "\x00")) || !ok && value != "" {
			t.Fatalf("%v: value %q %v", tok, value, err)
		}
		switch tok.Kind {
		case sqllex.Illegal:
			if lx.Err() == nil || tok.End != len(text) {
				t.Fatalf("illegal %v: %v", tok, lx.Err())
			}
		case sqllex.Param:
			uses++
			highest = max(highest, int(tok.Param))
		}
		// A token read alone is the same token: nothing before it decides how it is read.
		if tok.Kind != sqllex.Illegal {
			alone := o.Lexer(text[tok.Start:tok.End])
			if got := alone.Next(); got.Kind != tok.Kind || got.End != tok.End-tok.Start || alone.Next().Kind != sqllex.EOF {
				t.Fatalf("%v alone is %v", tok, got)
			}
		}
	}
	if end != len(text) && !blank(text[end:], !o.Comments) {
		t.Fatalf("ends at %d", end)
	}
	if lx.Err() == nil && (!utf8.ValidString(text) || strings.Contains(text, "\x00")) {
		t.Fatal("not UTF-8, or NUL")
	}
	gotUses, gotHighest, err := o.Params(text)
	if gotUses != uses || gotHighest != highest || err == nil != (lx.Err() == nil) && strings.Contains(text, "$") {
		t.Fatalf("params %d %d %v", gotUses, gotHighest, err)
	}
	for offset := range len(text) + 1 {
		if offset == len(text) || utf8.RuneStart(text[offset]) {
			if back, ok := sqllex.Offset(text, sqllex.Position(text, offset)); utf8.ValidString(text) && (!ok || back != offset) {
				t.Fatalf("offset %d back is %d", offset, back)
			}
		}
	}
}

func FuzzSplit(f *testing.F) {
	seed(f)
	f.Fuzz(checkSplit)
}

// checkSplit: commands and separators tile the text, a command alone is the same command, and the count is right.
func checkSplit(t *testing.T, text string, bits uint8) {
	o := optionsOf(bits)
	_, count := o.Classify(text)
	all, err := o.Split(text)
	if err != nil {
		if all != nil {
			t.Fatal("commands and an error")
		}
		return
	}
	if want := min(sqllex.None+sqllex.Count(len(all)), sqllex.Several); count != want {
		t.Fatalf("%v, split %d", count, len(all))
	}
	end := 0
	for i, s := range all {
		if s.Start < end || s.End <= s.Start || s.End > len(text) {
			t.Fatalf("piece %v after %d", s, end)
		}
		gap := text[end:s.Start]
		if i > 0 && !strings.Contains(gap, ";") || !semicolons(o, gap) {
			t.Fatalf("between: %q", gap)
		}
		piece := text[s.Start:s.End]
		command, count := o.Classify(piece)
		again, err := o.Split(piece)
		if err != nil || len(again) != 1 || again[0] != (sqllex.Statement{End: len(piece), Command: s.Command}) || command != s.Command || count != sqllex.One {
			t.Fatalf("piece %q alone: %v %v %v", piece, again, command, err)
		}
		end = s.End
	}
	if !semicolons(o, text[end:]) {
		t.Fatalf("behind: %q", text[end:])
	}
}

// TestRandomTexts checks what the fuzz tests check on texts made of what is tricky.
func TestRandomTexts(t *testing.T) {
	r := random(t)
	pieces := slices.Concat(commandPieces, atomicPieces)
	for range rounds(5000) {
		text := severalCommands(r, pieces)
		if r.IntN(2) == 0 {
			text = ""
			for range r.IntN(15) {
				text += pick(r, noisePieces)
			}
		}
		bits := uint8(r.IntN(256))
		checkLexer(t, text, bits)
		checkSplit(t, text, bits)
	}
}

// semicolons says whether s is nothing but semicolons, white space and comments.
func semicolons(o sqllex.Options, s string) bool {
	lx := o.Lexer(s)
	for {
		switch tok := lx.Next(); tok.Kind {
		case sqllex.EOF:
			return true
		case sqllex.Semicolon, sqllex.Comment:
		default:
			return false
		}
	}
}
