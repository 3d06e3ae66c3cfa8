package canon

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

func (t Type) isJSON() bool { return t == jsonType || t == jsonb }

func marshals(v any) bool {
	_, ok := v.(json.Marshaler)
	return ok
}

// appendMarshalled takes what encoding/json makes of v.
func (t Type) appendMarshalled(dst []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, callError(v, "MarshalJSON", err)
	}
	plain, err := t.appendJSON(dst, string(text))
	return plain, t.explain(err, v)
}

// appendJSON takes a JSON text: json keeps it as it is, jsonb gets the one form that PostgreSQL gives it.
func (t Type) appendJSON(dst []byte, s string) ([]byte, error) {
	start := len(dst)
	dst = append(dst, s...)
	text := dst[start:]
	switch {
	case !utf8.Valid(text):
		return nil, errUTF8
	case !json.Valid(text):
		return nil, errText
	case t == jsonType:
		return dst, nil
	case !validEscapes(s):
		return nil, errText
	}
	decoder := json.NewDecoder(strings.NewReader(s))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, errText
	}
	return appendJSONB(dst[:start], v)
}

// validEscapes says whether every \u of a JSON text is a character that PostgreSQL has: no zero byte, no half of a pair.
func validEscapes(s string) bool {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return true
		}
		if s[i+1] != 'u' {
			s = s[i+2:]
			continue
		}
		unit := codeUnit(s[i+2:])
		s = s[i+6:]
		switch {
		case unit == 0, unit >= 0xdc00 && unit <= 0xdfff:
			return false
		case unit >= 0xd800 && unit <= 0xdbff:
			if !strings.HasPrefix(s, `\u`) {
				return false
			}
			if low := codeUnit(s[2:]); low < 0xdc00 || low > 0xdfff {
				return false
			}
			s = s[6:]
		}
	}
}

// codeUnit reads the four hex digits that stand in a valid JSON text after \u.
func codeUnit(s string) (unit int) {
	for i := range 4 {
		unit = unit<<4 | int(unhex(s[i]))
	}
	return unit
}

// maxJSONExponent bounds the zeros that one number of a few characters is written out with.
const maxJSONExponent = 1000

// appendJSONB writes a value as PostgreSQL writes a jsonb: the shortest keys first, of equal keys the last, numbers as numeric does.
func appendJSONB(dst []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return appendBool(dst, v), nil
	case json.Number:
		d, err := parseDecimal(v.String())
		switch {
		case err != nil:
			return nil, err
		case d.exponent < -maxJSONExponent || d.exponent > maxJSONExponent:
			return nil, errRange
		}
		return d.append(dst, false)
	case string:
		return appendJSONString(dst, v), nil
	case []any:
		dst = append(dst, '[')
		for i, element := range v {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if dst, err = appendJSONB(dst, element); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		dst = append(dst, '{')
		for i, key := range keys {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendJSONString(dst, key), ": "...)
			if dst, err = appendJSONB(dst, v[key]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, errText
}

func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		c := s[i]
		if at := strings.IndexByte("\b\f\n\r\t\"\\", c); at >= 0 {
			dst = append(dst, '\\', `bfnrt"\`[at])
		} else if c < ' ' {
			dst = hex.AppendEncode(append(dst, `\u00`...), []byte{c})
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
