package canon

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// chars is text, however a program holds it.
type chars interface{ ~string | ~[]byte }

// isText says whether PostgreSQL takes b for a text: UTF-8 without zero bytes. It looks at eight bytes at a time as long as they are
// ASCII.
func isText(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		// Taking 1 from each byte sets the high bit of one that is zero.
		if w := binary.LittleEndian.Uint64(b); (w|(w-ones))&highs != 0 {
			break
		}
		b = b[8:]
	}
	for i, c := range b {
		if c == 0 || c >= utf8.RuneSelf {
			return utf8.Valid(b[i:]) && bytes.IndexByte(b[i:], 0) < 0
		}
	}
	return true
}

// appendChars appends s if it is a text.
func appendChars[S chars](dst []byte, s S, fold bool) ([]byte, error) {
	start := len(dst)
	dst = append(dst, s...)
	text := dst[start:]
	if !isText(text) {
		return nil, errUTF8
	}
	if !fold {
		return dst, nil
	}
	for i, c := range text {
		switch {
		case c >= utf8.RuneSelf:
			return append(dst[:start], strings.ToLower(string(text))...), nil
		case 'A' <= c && c <= 'Z':
			text[i] = c + 'a' - 'A'
		}
	}
	return dst, nil
}

// appendEscaped appends the bytes that a text means for bytea: \x and hex digits, or characters of which a backslash is written
// double and any byte as a backslash and three octal digits.
func appendEscaped(dst []byte, s string) ([]byte, error) {
	if !isText([]byte(s)) {
		return nil, errUTF8
	}
	if digits, ok := strings.CutPrefix(s, `\x`); ok {
		return appendHex(dst, digits)
	}
	for {
		plain, rest, found := strings.Cut(s, `\`)
		dst = append(dst, plain...)
		switch {
		case !found:
			return dst, nil
		case rest != "" && rest[0] == '\\':
			dst = append(dst, '\\')
			s = rest[1:]
		case len(rest) >= 3 && '0' <= rest[0] && rest[0] <= '3' && isOctal(rest[1]) && isOctal(rest[2]):
			dst = append(dst, (rest[0]-'0')<<6|(rest[1]-'0')<<3|(rest[2]-'0'))
			s = rest[3:]
		default:
			return nil, errText
		}
	}
}

func isOctal(c byte) bool { return '0' <= c && c <= '7' }

// appendHex appends the bytes of pairs of hex digits; between pairs there may be white space.
func appendHex(dst []byte, s string) ([]byte, error) {
	for s != "" {
		switch s[0] {
		case ' ', '\t', '\n', '\r':
			s = s[1:]
			continue
		}
		if len(s) < 2 {
			return nil, errText
		}
		high, low := unhex(s[0]), unhex(s[1])
		if high|low > 15 {
			return nil, errText
		}
		dst = append(dst, high<<4|low)
		s = s[2:]
	}
	return dst, nil
}

// trim takes away what PostgreSQL's scalar types take for white space around a value.
func trim(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// parseBool reads a bool as PostgreSQL does: true, yes, on, 1 and their opposites, in any case, shortened while they stay distinct.
func parseBool(s string) (bool, error) {
	s = trim(s)
	is := func(word string, least int) bool {
		return least <= len(s) && len(s) <= len(word) && strings.EqualFold(s, word[:len(s)])
	}
	switch {
	case is("true", 1), is("yes", 1), is("on", 2), s == "1":
		return true, nil
	case is("false", 1), is("no", 1), is("off", 2), s == "0":
		return false, nil
	}
	return false, errText
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

// parseUUID reads 32 hex digits; a dash may follow each fourth of them, braces may stand around all.
func parseUUID(s string) (id [16]byte, err error) {
	if inner, ok := strings.CutPrefix(s, "{"); ok {
		if s, ok = strings.CutSuffix(inner, "}"); !ok {
			return id, errText
		}
	}
	for i := range id {
		if len(s) < 2 {
			return id, errText
		}
		high, low := unhex(s[0]), unhex(s[1])
		if high|low > 15 {
			return id, errText
		}
		id[i] = high<<4 | low
		if s = s[2:]; i%2 == 1 && i < 15 {
			s = strings.TrimPrefix(s, "-")
		}
	}
	if s != "" {
		return id, errText
	}
	return id, nil
}

// unhex returns the value of a hex digit, or more than 15.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

func appendUUID(dst []byte, id [16]byte) []byte {
	for i, group := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, group)
	}
	return dst
}
