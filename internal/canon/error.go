package canon

import (
	"errors"
	"fmt"
	"io"
)

// CallError says that a method of the program's own failed: Value, MarshalJSON or one of pgtype's. Its text names the method
// and the type. What the method said may hold the value: no printer shows it, errors.Is and errors.As do not find it, only
// [CallError.Cause] gives it, to a caller that knows where to put it.
type CallError struct {
	text  string
	cause func() error // a closure: printers look into none
}

func callError(v any, method string, cause error) error {
	return &CallError{fmt.Sprintf("method %s of %T failed", method, v), func() error { return cause }}
}

// Error names the method and the type.
func (e *CallError) Error() string { return e.text }

// Format writes what Error returns, whatever the verb.
func (e *CallError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.text) }

// Cause returns what the method returned. It may hold the value.
func (e *CallError) Cause() error { return e.cause() }

var errTooDeep = errors.New("more pointers or Value methods between the argument and its value than pgx follows")

// What the functions of this package say to each other; explain makes texts of it.
var (
	errNull  = errors.New("NULL")
	errType  = errors.New("no value of the type can be had from this Go type")
	errText  = errors.New("text cannot be read")
	errRange = errors.New("out of the type's range")
	errUTF8  = errors.New("text is not UTF-8, or has a zero byte")
)

// explain says what was wanted in place of v.
func (t Type) explain(err error, v any) error {
	switch err {
	case errType:
		return fmt.Errorf("want %s, got %T", t.is().want, v)
	case errText:
		return fmt.Errorf("want %s, got %T that is none", t.is().want, v)
	case errRange:
		return fmt.Errorf("want %s, got %T out of range", t.is().want, v)
	case errUTF8:
		return fmt.Errorf("want UTF-8 without zero bytes, got %T that is not", v)
	}
	return err
}
