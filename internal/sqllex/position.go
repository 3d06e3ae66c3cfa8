package sqllex

import (
	"strings"
	"unicode/utf8"
)

// Position returns the position PostgreSQL gives to the byte offset of text, counted in characters from 1. An offset outside of
// text is taken for its nearest end, one inside a character for the character's start.
func Position(text string, offset int) int {
	offset = min(max(offset, 0), len(text))
	for offset > 0 && offset < len(text) && !utf8.RuneStart(text[offset]) {
		offset--
	}
	return utf8.RuneCountInString(text[:offset]) + 1
}

// Offset returns the byte offset in text of a position that PostgreSQL reported, which counts characters from 1. The end of
// the text is a position too; false is for one that is outside of it.
func Offset(text string, position int) (int, bool) {
	if position < 1 {
		return 0, false
	}
	n := 1
	for i := range text {
		if n == position {
			return i, true
		}
		n++
	}
	return len(text), n == position
}

// Params returns what Options.Params returns, with default options.
func Params(text string) (uses, highest int, err error) { return Options{}.Params(text) }

// Params returns how often text uses parameters ($1 twice is two uses) and the highest of their numbers, 0 and 0 for none. The error
// is that of the Lexer, an *Error; a text without a dollar sign is not read and has none.
func (o Options) Params(text string) (uses, highest int, err error) {
	if strings.IndexByte(text, '$') < 0 {
		return 0, 0, nil
	}
	lx := o.Lexer(text)
	for t := lx.Next(); t.Kind != EOF; t = lx.Next() {
		if t.Kind == Param {
			uses++
			highest = max(highest, int(t.Param))
		}
	}
	return uses, highest, lx.Err()
}
