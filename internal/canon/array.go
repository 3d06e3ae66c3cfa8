package canon

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// Elements returns the elements of an array that is an argument: those of a slice or array, of pgtype.Array and FlatArray, or of an
// array literal that is a string or []byte, which is what the Value of lib/pq's arrays gives. An element that is NULL in a literal is
// nil; all others are as they were, for [Type.AppendPlain]. An array that is NULL is nil with isNull, an empty one empty
// without. Arrays of more than one dimension are refused.
func Elements(v any) (elems []any, isNull bool, err error) {
	elems, err = elements(v, 0)
	return elems, err == errNull, unlessNull(err)
}

func elements(v any, depth int) ([]any, error) {
	switch v := v.(type) {
	case nil:
		return nil, errNull
	case string:
		return parseArray(v)
	case []string:
		return list(v)
	case []int64:
		return list(v)
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	rv := reflect.ValueOf(v)
	valuer, _ := v.(driver.Valuer)
	if isNil(rv) && !calledOnNil(rv, valuer) {
		return nil, errNull
	}
	if array, ok := v.(pgtype.ArrayGetter); ok && !isNil(rv) {
		return getElements(array)
	}
	switch {
	case valuer != nil:
		next, err := valuer.Value()
		if err != nil {
			return nil, callError(v, "Value", err)
		}
		return elements(next, depth+1)
	case rv.Kind() == reflect.Pointer:
		return elements(rv.Elem().Interface(), depth+1)
	case rv.Kind() == reflect.String:
		return parseArray(rv.String())
	case rv.Type().AssignableTo(bytesType):
		return parseArray(string(rv.Bytes()))
	case rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array || rv.Type().Elem() == reflect.TypeFor[byte]():
		return nil, fmt.Errorf("want an array, got %T", v)
	}
	elems := make([]any, rv.Len())
	for i := range elems {
		elems[i] = rv.Index(i).Interface()
	}
	return oneDimension(elems)
}

func list[E any](from []E) ([]any, error) {
	if from == nil {
		return nil, errNull
	}
	elems := make([]any, len(from))
	for i, e := range from {
		elems[i] = e
	}
	return elems, nil
}

func getElements(array pgtype.ArrayGetter) ([]any, error) {
	dimensions := array.Dimensions()
	switch {
	case dimensions == nil:
		return nil, errNull
	case len(dimensions) > 1:
		return nil, errDimensions
	case len(dimensions) == 0:
		return []any{}, nil
	}
	elems := make([]any, max(0, dimensions[0].Length))
	for i := range elems {
		elems[i] = array.Index(i)
	}
	return oneDimension(elems)
}

var errDimensions = errors.New("want an array of one dimension, got one of more")

// oneDimension refuses elements that are lists themselves. Bytes are no list.
func oneDimension(elems []any) ([]any, error) {
	for _, e := range elems {
		switch e.(type) {
		case nil, string, []byte, driver.Valuer:
			continue
		}
		switch t := reflect.TypeOf(e); t.Kind() {
		case reflect.Slice:
			if !t.AssignableTo(bytesType) {
				return nil, errDimensions
			}
		case reflect.Array:
			if t.Elem().Kind() != reflect.Uint8 {
				return nil, errDimensions
			}
		}
	}
	return elems, nil
}

var errLiteral = errors.New("want an array, got a text that is no array literal")

// isSpace says what PostgreSQL's array literals take for white space.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func skipSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// parseArray reads an array literal of one dimension.
func parseArray(s string) ([]any, error) {
	s, ok := strings.CutPrefix(skipSpace(s), "{")
	if !ok {
		return nil, errLiteral
	}
	elems := []any{}
	s = skipSpace(s)
	for empty := strings.HasPrefix(s, "}"); !empty; {
		s = skipSpace(s)
		if strings.HasPrefix(s, "{") {
			return nil, errDimensions
		}
		var elem any
		var err error
		if strings.HasPrefix(s, `"`) {
			elem, s, err = cutQuoted(s[1:])
		} else {
			elem, s, err = cutUnquoted(s)
		}
		if err != nil {
			return nil, err
		}
		elems = append(elems, elem)
		if s = skipSpace(s); !strings.HasPrefix(s, ",") {
			break
		}
		s = s[1:]
	}
	if s, ok = strings.CutPrefix(s, "}"); !ok || skipSpace(s) != "" {
		return nil, errLiteral
	}
	return elems, nil
}

// cutQuoted cuts off an element up to the quote that ends it.
func cutQuoted(s string) (elem any, rest string, err error) {
	var b strings.Builder
	for {
		i := strings.IndexAny(s, `"\`)
		if i < 0 {
			return nil, "", errLiteral
		}
		b.WriteString(s[:i])
		if s[i] == '"' {
			return b.String(), s[i+1:], nil
		}
		if i+1 == len(s) {
			return nil, "", errLiteral
		}
		b.WriteByte(s[i+1])
		s = s[i+2:]
	}
}

// cutUnquoted cuts off an element without quotes. White space around it does not count, unless it is escaped.
func cutUnquoted(s string) (elem any, rest string, err error) {
	var b strings.Builder
	kept, escaped := 0, false // kept is where the white space at the end begins
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ',', '}':
			text := b.String()[:kept]
			switch {
			case text == "":
				return nil, "", errLiteral
			case !escaped && strings.EqualFold(text, "NULL"):
				return nil, s[i:], nil
			}
			return text, s[i:], nil
		case '"', '{':
			return nil, "", errLiteral
		case '\\':
			if i++; i == len(s) {
				return nil, "", errLiteral
			}
			b.WriteByte(s[i])
			kept, escaped = b.Len(), true
		default:
			b.WriteByte(c)
			if !isSpace(c) {
				kept = b.Len()
			}
		}
	}
	return nil, "", errLiteral
}

// AppendArray appends the array literal of elems, of which nil is NULL.
func AppendArray(dst []byte, elems [][]byte) []byte {
	dst = append(dst, '{')
	for i, e := range elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case e == nil:
			dst = append(dst, "NULL"...)
		case isBare(e):
			dst = append(dst, e...)
		default:
			dst = append(dst, '"')
			for _, c := range e {
				if c == '"' || c == '\\' {
					dst = append(dst, '\\')
				}
				dst = append(dst, c)
			}
			dst = append(dst, '"')
		}
	}
	return append(dst, '}')
}

// isBare says whether e needs no quotes, as no token does.
func isBare(e []byte) bool {
	if len(e) == 0 || bytes.EqualFold(e, []byte("NULL")) {
		return false
	}
	for _, c := range e {
		switch {
		case isSpace(c), c == '{', c == '}', c == ',', c == '"', c == '\\':
			return false
		}
	}
	return true
}
