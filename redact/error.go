package redact

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	maxDepth = 32  // of a chain of errors
	maxNodes = 256 // errors in a tree
	gone     = "…" // stands where text was
)

// untouched are compared with == by database/sql and programs, and hold no data.
var untouched = []error{
	io.EOF, sql.ErrNoRows, driver.ErrBadConn, driver.ErrSkip, driver.ErrRemoveArgument, context.Canceled, context.DeadlineExceeded,
	sql.ErrTxDone, sql.ErrConnDone, io.ErrUnexpectedEOF, io.ErrClosedPipe, io.ErrShortWrite, io.ErrNoProgress,
	net.ErrClosed, os.ErrDeadlineExceeded, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed,
	errors.ErrUnsupported, pgconn.ErrConnClosed,
}

func isUntouched(err error) bool {
	for _, known := range untouched {
		if err == known {
			return true
		}
	}
	return false
}

// ErrorOptions say what is known of the statement that failed. The zero value knows nothing.
type ErrorOptions struct {
	// SQL is the statement's text as the server got it: a class 42 error's message then quotes the identifier at its Position.
	SQL string
	// Known says whether the database's schema has an object of this name. A RAISE … USING CONSTRAINT = … keeps such a name, and a
	// double-quoted identifier is shown if it is one. Nil knows none.
	Known func(name string) bool
}

// Error returns err without values of the data, or nil for nil. A server error becomes a new *pgconn.PgError. io.EOF,
// sql.ErrNoRows, the sentinels of database/sql/driver and context, and what Error has returned before, are returned as they are.
// Everything else becomes an error that errors.Is still matches with err's chain, and in which errors.As finds copies
// without values of *pgconn.PgError, net, strconv, time and encoding/json errors.
func Error(err error) error {
	if err == nil {
		return nil
	}
	return ErrorOptions{}.Error(err)
}

// Statement is Error for an error of the statement text: see ErrorOptions.SQL.
func Statement(err error, text string) error {
	if err == nil {
		return nil
	}
	return ErrorOptions{SQL: text}.Error(err)
}

// Error is the function Error with what o knows.
func (o ErrorOptions) Error(err error) error {
	if err == nil {
		return nil
	}
	if isUntouched(err) {
		return err
	}
	s := scrubber{opts: o}
	clean := s.scrub(err, 0)
	if clean.alone {
		switch only := clean.as[0].(type) {
		case *pgconn.PgError, *barrier:
			return only
		}
	}
	return newBarrier(clean.text, clean.as, err)
}

// Notice returns a notice without values of the data, or nil for nil, by the rules for server errors.
func Notice(n *pgconn.Notice) *pgconn.Notice {
	if n == nil {
		return nil
	}
	return (*pgconn.Notice)(ErrorOptions{}.server((*pgconn.PgError)(n)))
}

// Unsafe returns the error that err was before Error, values and all, or err if it was not cleaned. Of a tree it is the first cleaned
// error that has its original. The original of a server error is kept as long as the cleaned one.
func Unsafe(err error) error {
	if b, ok := errors.AsType[*barrier](err); ok && b.original != nil {
		return b.original()
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if original, ok := originals.Load(weak.Make(pg)); ok {
			return original.(func() error)()
		}
	}
	return err
}

// Safe marks err's own text as free of data, so that Error and Handler keep it. It returns nil for nil.
func Safe(err error) error {
	if err == nil {
		return nil
	}
	return &barrier{text: err.Error(), as: []error{err}, original: func() error { return err }}
}

// Panic returns an error for the value that recover returned, without the value itself, or nil for nil. An error goes through
// Error, the runtime's own keep their text, anything else is named by its type. Called by the deferred function that recovers, it
// says which function panicked, and where.
func Panic(v any) error {
	prefix := "pganon: panic" + panicked() + ": "
	switch v := v.(type) {
	case nil:
		return nil
	case error:
		clean := Error(v)
		return newBarrier(prefix+clean.Error(), []error{clean}, v)
	}
	original := func() error { return fmt.Errorf("panic: %v", v) }
	return &barrier{text: prefix + typeName(v), original: original}
}

// panicked returns the function that panicked and its line, with words before it, or "" where no panic is under way.
func panicked() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	inPanic := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			inPanic = true
		case inPanic && !strings.HasPrefix(frame.Function, "runtime."):
			return fmt.Sprintf(" in %s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// barrier is a text, and what errors.As may find behind it. The original is in a closure: no printer looks into one.
type barrier struct {
	text     string
	as       []error
	original func() error
}

func newBarrier(text string, as []error, original error) *barrier {
	return &barrier{text: text, as: as, original: func() error { return original }}
}

func (b *barrier) Error() string   { return b.text }
func (b *barrier) Unwrap() []error { return b.as }

// Is keeps errors.Is for every error of the original's chain: it shows nothing that the asker does not have.
func (b *barrier) Is(target error) bool {
	return b.original != nil && errors.Is(b.original(), target)
}

// As answers pgconn.Timeout, which looks for a type that nobody else can name.
func (b *barrier) As(target any) bool {
	t := reflect.TypeOf(target).Elem()
	return b.original != nil && t.Kind() == reflect.Pointer && t.Elem().Name() == "errTimeout" &&
		t.Elem().PkgPath() == "github.com/jackc/pgx/v5/pgconn" && errors.As(b.original(), target)
}

// SafeToRetry is what pgconn.SafeToRetry asks.
func (b *barrier) SafeToRetry() bool {
	return b.original != nil && pgconn.SafeToRetry(b.original())
}

func (b *barrier) MarshalText() ([]byte, error) { return []byte(b.text), nil }

func (b *barrier) Format(f fmt.State, verb rune) {
	switch {
	case verb == 'v' && f.Flag('#'):
		_, _ = fmt.Fprintf(f, "redact.Error(%q)", b.text)
	case verb == 'q' || verb == 'x' || verb == 'X':
		_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), b.text)
	default:
		_, _ = io.WriteString(f, b.text)
	}
}

// originals holds func() error by weak.Pointer[pgconn.PgError]: a PgError has no room for it that a printer would not see.
var originals sync.Map

func remember(clean, original *pgconn.PgError) {
	key := weak.Make(clean)
	originals.Store(key, func() error { return original })
	runtime.AddCleanup(clean, func(key weak.Pointer[pgconn.PgError]) { originals.Delete(key) }, key)
}

// cleaned is an error without values: its text, what errors.As may find, and whether as[0] can stand for it alone.
type cleaned struct {
	text  string
	as    []error
	alone bool
}

func alone(err error) cleaned { return cleaned{err.Error(), []error{err}, true} }

type scrubber struct {
	opts  ErrorOptions
	nodes int
}

func (s *scrubber) scrub(err error, depth int) cleaned {
	if s.nodes++; depth > maxDepth || s.nodes > maxNodes || err == nil {
		return cleaned{text: gone}
	}
	if isUntouched(err) {
		return alone(err)
	}
	switch e := err.(type) {
	case *barrier:
		if e != nil {
			return alone(err)
		}
	case *pgconn.PgError:
		if e != nil {
			if _, done := originals.Load(weak.Make(e)); done {
				return alone(err)
			}
			clean := s.opts.server(e)
			remember(clean, e)
			return alone(clean)
		}
	case *pgconn.PrepareError:
		if e != nil && e.Unwrap() != nil {
			return s.scrub(e.Unwrap(), depth+1) // it says nothing that its cause does not
		}
	}
	if isNil(err) {
		return cleaned{text: typeName(err)}
	}
	if clean, known := s.client(err, depth); known {
		return clean
	}
	return s.wrapper(err, depth)
}

func isNil(err error) bool {
	v := reflect.ValueOf(err)
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return v.IsNil()
	}
	return false
}

// children returns what err wraps.
func children(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return []error{inner}
		}
	case interface{ Unwrap() []error }:
		return slices.DeleteFunc(slices.Clone(e.Unwrap()), func(inner error) bool { return inner == nil })
	}
	return nil
}

// wrapper cleans an error of a type that is not known, or whose only content is text.
func (s *scrubber) wrapper(err error, depth int) cleaned {
	inner := children(err)
	if len(inner) > maxNodes {
		inner = inner[:maxNodes]
	}
	clean := cleaned{}
	var texts []string
	for _, child := range inner {
		c := s.scrub(child, depth+1)
		texts = append(texts, c.text)
		clean.as = append(clean.as, c.as...)
	}
	text := textOf(err)
	if known := s.quoting(text, inner, texts); known != "" {
		clean.text = known
		return clean
	}
	switch kept, ok := keptText(text, inner, texts, ours(err)); {
	case ok:
		clean.text = kept
	case len(inner) == 0:
		clean.text = "redacted " + typeName(err)
	default:
		clean.text = gone + ": " + strings.Join(texts, "; ")
		if isJoined(err) {
			clean.text = strings.Join(texts, "; ")
		}
	}
	if n, ok := err.(net.Error); ok && len(inner) == 0 {
		clean.as = append(clean.as, timeoutError{n.Timeout()})
	}
	return clean
}

func isJoined(err error) bool { return reflect.TypeOf(err).String() == "*errors.joinError" }

// textOf is err.Error, which may be anybody's code.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	return err.Error()
}

// ours says whether err's type is of this module, whose own types hold no values in their texts.
func ours(err error) bool {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath()+"/", "github.com/pganon/pganon/") && !strings.HasSuffix(t.PkgPath(), "_test")
}

// keptText returns text with those of its children replaced, if what stands around them is known to hold no data.
func keptText(text string, inner []error, clean []string, ours bool) (string, bool) {
	if safeText(text) {
		return text, true
	}
	trusted := strings.HasPrefix(text, "pganon: ")
	if !trusted && len(inner) != 1 {
		return "", false
	}
	// From the end, where %w mostly stands.
	rest, out := text, ""
	for i := len(inner) - 1; i >= 0; i-- {
		raw := textOf(inner[i])
		at := strings.LastIndex(rest, raw)
		if at < 0 || raw == "" {
			if trusted && ours && !strings.Contains(text, "\n") {
				continue // a type of ours that leaves its cause out
			}
			return "", false
		}
		if !trusted && at+len(raw) != len(rest) {
			return "", false
		}
		out = clean[i] + hold(rest[at+len(raw):], inner, clean) + out
		rest = rest[:at]
	}
	if !trusted && !safePrefix(rest) {
		return "", false
	}
	return hold(rest, inner, clean) + out, true
}

// hold returns segment, unless a child's text that had to be cleaned stands there too.
func hold(segment string, inner []error, clean []string) string {
	for i, child := range inner {
		if raw := textOf(child); raw != "" && raw != clean[i] && strings.Contains(segment, raw) {
			return gone
		}
	}
	return segment
}

// typeName returns the name of v's type, which is the program's, not the data's.
func typeName(v any) string {
	name := fmt.Sprintf("%T", v)
	if len(name) > 100 {
		return reflect.TypeOf(v).Kind().String()
	}
	return name
}

// timeoutError keeps net.Error's answer.
type timeoutError struct{ timeout bool }

func (e timeoutError) Error() string {
	if e.timeout {
		return "timeout"
	}
	return "network error"
}
func (e timeoutError) Timeout() bool   { return e.timeout }
func (e timeoutError) Temporary() bool { return e.timeout }
