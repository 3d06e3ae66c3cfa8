package sqllex

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Ident returns the name that the identifier t stands for on a UTF8 server: lower-cased (ASCII letters only) or, quoted, as it is; \ and UESCAPE
// escapes of U&"…" decoded; cut to 63 bytes at a character. t is a token of this Lexer. The error is an *Error: t is no
// identifier, or has an escape the server refuses. An unquoted name that needs no change, and a quoted one without "", is not copied.
func (l *Lexer) Ident(t Token) (string, error) {
	switch t.Kind {
	case Ident:
		return truncate(lower(l.text[t.Start:t.End])), nil
	case QuotedIdent:
		return truncate(undouble(l.text[t.Start+1:t.End-1], `"`)), nil
	case UnicodeIdent:
		body := t.Start + len(`U&"`)
		end := identEnd(l.text, body)
		s, err := l.decodeUnicode(undouble(l.text[body:end], `"`), t, end+1)
		return truncate(s), err
	}
	return "", &Error{Reason: WrongKind, Offset: t.Start}
}

// StringValue returns what the string constant t stands for on a UTF8 server: its parts on several lines joined, quotes undoubled,
// escapes decoded; of B'…' and X'…' the digits as written. t is a token of this Lexer. The error is an *Error: t is no string, or
// has an escape the server refuses, or is no UTF-8 once its escapes are decoded.
func (l *Lexer) StringValue(t Token) (string, error) {
	text := l.text
	switch t.Kind {
	case DollarString:
		tag := strings.IndexByte(text[t.Start+1:], '$') + 2
		return text[t.Start+tag : t.End-tag], nil
	case String, NationalString:
		body := t.Start + 1
		if t.Kind == NationalString {
			body++
		}
		if l.backslash {
			return decodeBackslashes(text[:t.End], body)
		}
		return joined(text[:t.End], body, true), nil
	case EscapeString:
		return decodeBackslashes(text[:t.End], t.Start+2)
	case BitString, HexString:
		return joined(text[:t.End], t.Start+2, false), nil
	case UnicodeString:
		body := t.Start + len("U&'")
		return l.decodeUnicode(joined(text[:t.End], body, true), t, stringEnd(text[:t.End], body, true))
	}
	return "", &Error{Reason: WrongKind, Offset: t.Start}
}

func lower(s string) string {
	for i := range len(s) {
		if s[i]-'A' < 26 {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i]-'A' < 26 {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func truncate(s string) string {
	if len(s) < nameDataLen {
		return s
	}
	n := nameDataLen - 1
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func undouble(s, quote string) string {
	if !strings.Contains(s, quote) {
		return s
	}
	return strings.ReplaceAll(s, quote+quote, quote)
}

// identEnd returns the place of the closing quote of the quoted identifier whose text starts at i.
func identEnd(text string, i int) int {
	for {
		i += strings.IndexByte(text[i:], '"')
		if i+1 < len(text) && text[i+1] == '"' {
			i += 2
			continue
		}
		return i
	}
}

// joined returns the value of a string without backslash escapes whose text starts at i.
func joined(text string, i int, doubled bool) string {
	var b []byte
	part := i
	for {
		i += strings.IndexByte(text[i:], '\'') + 1
		if doubled && i < len(text) && text[i] == '\'' {
			b = append(b, text[part:i]...) // one of the two
			i++
			part = i
			continue
		}
		next := continued(text, i)
		if next < 0 {
			if b == nil {
				return text[part : i-1]
			}
			return string(append(b, text[part:i-1]...))
		}
		b = append(b, text[part:i-1]...)
		if b == nil {
			b = []byte{}
		}
		i, part = next, next
	}
}

// decodeBackslashes returns the value of the string with backslash escapes whose text starts at i. Next has found it well formed.
func decodeBackslashes(text string, i int) (string, error) {
	start := i
	var b []byte
	bytesMade := false // escapes wrote bytes that need not be characters
	for {
		switch c := text[i]; c {
		case '\'':
			i++
			if i < len(text) && text[i] == '\'' {
				b = append(b, c)
				i++
				continue
			}
			next := continued(text, i)
			if next >= 0 {
				i = next
				continue
			}
			if bytesMade && (!utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0) {
				return "", &Error{Reason: InvalidUTF8, Offset: start}
			}
			return string(b), nil
		case '\\':
			at := i
			i++
			c = text[i]
			i++
			switch c {
			case 'b':
				b = append(b, '\b')
			case 'f':
				b = append(b, '\f')
			case 'n':
				b = append(b, '\n')
			case 'r':
				b = append(b, '\r')
			case 't':
				b = append(b, '\t')
			case 'v':
				b = append(b, '\v')
			case '0', '1', '2', '3', '4', '5', '6', '7':
				v := c - '0'
				for n := 0; n < 2 && text[i] >= '0' && text[i] <= '7'; n++ {
					v = v<<3 | (text[i] - '0') // the server, too, lets \777 overflow its byte
					i++
				}
				b = append(b, v)
				bytesMade = true
			case 'x':
				v, n := byte(0), 0
				for ; n < 2 && classes[text[i]]&hexDigit != 0; n++ {
					v = v<<4 | hexValue(text[i])
					i++
				}
				if n == 0 {
					b = append(b, 'x')
					break
				}
				b = append(b, v)
				bytesMade = true
			case 'u', 'U':
				r, end, reason := escapedRune(text, at)
				if reason != 0 {
					return "", &Error{Reason: reason, Offset: end}
				}
				if !isCharacter(r) {
					return "", &Error{Reason: InvalidEscape, Offset: at}
				}
				b = utf8.AppendRune(b, r)
				i = end
			default:
				b = append(b, c)
			}
		default:
			b = append(b, c)
			i++
		}
	}
}

// escapedRune reads \uXXXX or \UXXXXXXXX at i, or two of them that make a surrogate pair, and returns the place behind, or with a reason
// the place the server points at.
func escapedRune(text string, i int) (rune, int, Reason) {
	first, end, ok := hexRune(text, i)
	switch {
	case !ok:
		return 0, i, InvalidEscape
	case isLowSurrogate(first):
		return 0, i, InvalidSurrogate
	case !isHighSurrogate(first):
		return first, end, 0
	}
	second, pairEnd, ok := hexRune(text, end)
	switch {
	case !ok && len(text)-end >= 2 && text[end] == '\\' && text[end+1]|0x20 == 'u':
		return 0, end, InvalidEscape
	case !ok || !isLowSurrogate(second):
		return 0, end, InvalidSurrogate
	}
	return surrogatePair(first, second), pairEnd, 0
}

func hexRune(text string, i int) (rune, int, bool) {
	if len(text)-i < 2 || text[i] != '\\' || text[i+1]|0x20 != 'u' {
		return 0, 0, false
	}
	n := 4
	if text[i+1] == 'U' {
		n = 8
	}
	return hexDigits(text, i+2, n)
}

func hexDigits(text string, i, n int) (r rune, end int, ok bool) {
	if len(text)-i < n {
		return 0, 0, false
	}
	var v uint32
	for _, c := range []byte(text[i : i+n]) {
		if classes[c]&hexDigit == 0 {
			return 0, 0, false
		}
		v = v<<4 | uint32(hexValue(c))
	}
	return rune(v), i + n, true
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func isHighSurrogate(r rune) bool { return r >= 0xd800 && r < 0xdc00 }
func isLowSurrogate(r rune) bool  { return r >= 0xdc00 && r < 0xe000 }
func isCharacter(r rune) bool     { return r > 0 && r <= utf8.MaxRune }

func surrogatePair(high, low rune) rune { return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00) }

// decodeUnicode decodes the escapes of the U& token t whose text is s, quotes undoubled, and reaches to end.
func (l *Lexer) decodeUnicode(s string, t Token, end int) (string, error) {
	escape := byte('\\')
	if end < t.End {
		escape = l.text[t.End-2] // UESCAPE '!'
	}
	if strings.IndexByte(s, escape) < 0 {
		return s, nil
	}
	fail := func(r Reason) (string, error) { return "", &Error{Reason: r, Offset: t.Start} }
	b := make([]byte, 0, len(s))
	var high rune // first half of a surrogate pair
	for i := 0; i < len(s); {
		c := s[i]
		doubled := c == escape && i+1 < len(s) && s[i+1] == c
		if c != escape || doubled {
			if high != 0 {
				return fail(InvalidSurrogate)
			}
			b = append(b, c)
			i++
			if doubled {
				i++
			}
			continue
		}
		r, end, ok := hexDigits(s, i+1, 4)
		if !ok && i+1 < len(s) && s[i+1] == '+' {
			r, end, ok = hexDigits(s, i+2, 6)
		}
		switch {
		case !ok || !isCharacter(r):
			return fail(InvalidEscape)
		case high != 0 && isLowSurrogate(r):
			b = utf8.AppendRune(b, surrogatePair(high, r))
			high = 0
		case high != 0 || isLowSurrogate(r):
			return fail(InvalidSurrogate)
		case isHighSurrogate(r):
			high = r
		default:
			b = utf8.AppendRune(b, r)
		}
		i = end
	}
	if high != 0 {
		return fail(InvalidSurrogate)
	}
	return string(b), nil
}
