package redact

import (
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// stars is what stands where a value was.
const stars = "********"

var errSecret = errors.New("pganon: encode secret: not in gob or binary: Reveal it where it must leave")

// Secret holds a value that no printer shows: every verb of fmt, encoding/json, encoding/xml, text marshalers, log/slog and templates
// write ********, encoding/gob is refused. It can be a field of a model: it is a driver.Valuer and a sql.Scanner for its value.
// The zero Secret holds T's zero value. Secrets cannot be compared with ==; see Equal.
type Secret[T any] struct {
	// A closure, since printers of unexported fields follow pointers but look into no closure.
	reveal func() T
}

var (
	_ fmt.Formatter          = Secret[string]{}
	_ fmt.Stringer           = Secret[string]{}
	_ slog.LogValuer         = Secret[string]{}
	_ json.Marshaler         = Secret[string]{}
	_ json.Unmarshaler       = (*Secret[string])(nil)
	_ encoding.TextMarshaler = Secret[string]{}
	_ driver.Valuer          = Secret[string]{}
	_ sql.Scanner            = (*Secret[string])(nil)
)

// NewSecret returns a Secret that holds v.
func NewSecret[T any](v T) Secret[T] { return Secret[T]{func() T { return v }} }

// Reveal returns the value.
func (s Secret[T]) Reveal() T {
	if s.reveal == nil {
		var zero T
		return zero
	}
	return s.reveal()
}

// Equal says whether both hold deeply equal values. It does not take constant time.
func (s Secret[T]) Equal(other Secret[T]) bool { return reflect.DeepEqual(s.Reveal(), other.Reveal()) }

// Format writes ********, whatever the verb and flags.
func (s Secret[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, stars) }

// String returns ********.
func (s Secret[T]) String() string { return stars }

// LogValue returns ********.
func (s Secret[T]) LogValue() slog.Value { return slog.StringValue(stars) }

// MarshalText returns ********.
func (s Secret[T]) MarshalText() ([]byte, error) { return []byte(stars), nil }

// MarshalJSON returns ******** as a JSON string.
func (s Secret[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + stars + `"`), nil }

// UnmarshalJSON reads the value as encoding/json reads a T. It refuses ********, which MarshalJSON wrote over a value.
func (s *Secret[T]) UnmarshalJSON(b []byte) error {
	if string(b) == `"`+stars+`"` {
		return errors.New("pganon: read secret: the value was replaced by stars when it was written")
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("pganon: read secret: %w", Error(err))
	}
	*s = NewSecret(v)
	return nil
}

// GobEncode is refused.
func (s Secret[T]) GobEncode() ([]byte, error) { return nil, errSecret }

// GobDecode is refused.
func (s *Secret[T]) GobDecode([]byte) error { return errSecret }

// MarshalBinary is refused.
func (s Secret[T]) MarshalBinary() ([]byte, error) { return nil, errSecret }

// Value returns the value for the database, converted as database/sql does where it can; the driver decides on other types.
func (s Secret[T]) Value() (driver.Value, error) {
	v := any(s.Reveal())
	converted, err := driver.DefaultParameterConverter.ConvertValue(v)
	if err == nil {
		return converted, nil
	}
	if _, ok := v.(driver.Valuer); ok {
		return nil, Error(err)
	}
	return v, nil
}

// Scan reads the value as database/sql scans into a T. NULL is an error unless a T can hold it.
func (s *Secret[T]) Scan(src any) error {
	var v sql.Null[T]
	if scanner, ok := any(&v.V).(sql.Scanner); ok {
		if err := scanner.Scan(src); err != nil {
			return fmt.Errorf("pganon: scan secret: %w", Error(err))
		}
		*s = NewSecret(v.V)
		return nil
	}
	if src == nil {
		switch reflect.TypeFor[T]().Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		default:
			return fmt.Errorf("pganon: scan secret: NULL into %T", *s)
		}
	}
	if err := v.Scan(src); err != nil {
		return fmt.Errorf("pganon: scan secret: %w", Error(err))
	}
	*s = NewSecret(v.V)
	return nil
}

// secret is what Handler knows a Secret by.
type secret interface{ secretValue() any }

func (s Secret[T]) secretValue() any { return s.Reveal() }
