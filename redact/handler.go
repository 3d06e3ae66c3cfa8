package redact

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	maxNesting = 12   // of a logged value
	maxValues  = 2000 // in a record
	minLogKey  = 16   // bytes
)

// Options configure a Handler. The zero value is good.
type Options struct {
	// Names are names of attributes, fields and map keys to star besides the well-known (password, secret, token, authorization,
	// api_key, cookie and so on). A name counts wherever its words occur: "email" stars userEmail and email-address too.
	Names []string
	// Key, at least 16 bytes of secret, has a hash of a value, such as #3f1a90c2d7e4, stand in its place, so that lines can be
	// correlated. Without it, or with a shorter one, stars stand there.
	Key []byte
}

// Handler returns a handler that gives next every record without sensitive values, which are those
//   - under a sensitive name (see Options.Names), in groups, structs and maps too
//   - of a sensitive type: Secret, driver.NamedValue and sql.NamedArg, private keys; errors go through Error, requests through
//     Request, but without reading a body, forms and URLs through Form
//   - of a sensitive shape, in messages too: Fernet tokens, JSON Web Tokens, PEM blocks, payment card numbers, DSNs with a password
//
// A slog.LogValuer is resolved first, wherever it is nested. Structs and maps reach next as map[string]any. What is nested deeper
// than 12, or comes after 2,000 values of a record, is dropped, and so is what a string has after 64 KiB.
func Handler(next slog.Handler, o Options) slog.Handler {
	c := &cleaner{names: newNames(o.Names)}
	if len(o.Key) >= minLogKey {
		c.key = append([]byte(nil), o.Key...)
	}
	return &handler{next: next, clean: c}
}

type handler struct {
	next   slog.Handler
	clean  *cleaner
	hidden bool // inside a group of a sensitive name
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	w := walk{cleaner: h.clean}
	out := slog.NewRecord(r.Time, r.Level, shapes(r.Message, h.clean.star), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(w.attr(a, h.hidden, 0))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	w := walk{cleaner: h.clean}
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = w.attr(a, h.hidden, 0)
	}
	return &handler{h.next.WithAttrs(clean), h.clean, h.hidden}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(shapes(name, h.clean.star)), h.clean, h.hidden || h.clean.names.match(name)}
}

// cleaner is what does not change between records.
type cleaner struct {
	names names
	key   []byte
}

// star returns what stands in text's place.
func (c *cleaner) star(text string) string {
	if c.key == nil {
		return stars
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(text))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:6])
}

// walk cleans the values of one record.
type walk struct {
	*cleaner
	values int
}

func (w *walk) attr(a slog.Attr, hidden bool, depth int) slog.Attr {
	hidden = hidden || w.names.match(a.Key)
	return slog.Attr{Key: shapes(a.Key, w.star), Value: w.value(a.Value, hidden, depth)}
}

func (w *walk) value(v slog.Value, hidden bool, depth int) slog.Value {
	if w.values++; depth > maxNesting || w.values > maxValues {
		return slog.StringValue(gone)
	}
	if v.Kind() == slog.KindLogValuer {
		if s, ok := v.Any().(secret); ok {
			return slog.StringValue(w.hide(s.secretValue()))
		}
		v = v.Resolve()
	}
	switch v.Kind() {
	case slog.KindGroup:
		clean := make([]slog.Attr, 0, len(v.Group()))
		for _, a := range v.Group() {
			clean = append(clean, w.attr(a, hidden, depth+1))
		}
		return slog.GroupValue(clean...)
	case slog.KindAny:
		if hidden {
			return slog.StringValue(w.hide(v.Any()))
		}
		return anyValue(w.any(v.Any(), depth))
	}
	if hidden {
		return slog.StringValue(w.star(v.String()))
	}
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(shapes(v.String(), w.star))
	case slog.KindInt64, slog.KindUint64:
		if text := v.String(); isCard([]byte(text)) {
			return slog.StringValue(w.star(text))
		}
	}
	return v
}

func anyValue(v any) slog.Value {
	if _, ok := v.(slog.LogValuer); ok {
		return slog.StringValue(gone) // nothing clean is one
	}
	return slog.AnyValue(v)
}

// hide returns what stands in v's place; only what is printed alike each time is hashed.
func (w *walk) hide(v any) string {
	switch v := v.(type) {
	case string:
		return w.star(v)
	case []byte:
		return w.star(string(v))
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return w.star(fmt.Sprint(v))
	}
	return stars
}

// any returns v as nil, a bool, number, string, time, error text, []any or map[string]any without sensitive values.
func (w *walk) any(v any, depth int) (clean any) {
	defer func() {
		if recover() != nil { // out of somebody's method
			clean = "!PANIC in " + typeName(v)
		}
	}()
	if w.values++; depth > maxNesting || w.values > maxValues {
		return gone
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil
	}
	switch v := v.(type) {
	case nil, bool, float32, float64, int8, int16, int32, uint8, uint16, uint32, time.Time, time.Duration, slog.Level:
		return v
	case string:
		return shapes(v, w.star)
	case []byte:
		return w.bytes(v)
	case json.RawMessage:
		return w.json(v, depth)
	case json.Number:
		return w.number(v, string(v))
	case int, int64, uint, uint64, uintptr:
		return w.number(v, fmt.Sprint(v))
	case secret:
		return w.hide(v.secretValue())
	case slog.Attr:
		return map[string]any{shapes(v.Key, w.star): plain(w.attr(v, false, depth+1).Value)}
	case []slog.Attr:
		return plain(w.value(slog.GroupValue(v...), false, depth+1))
	case slog.Value:
		return plain(w.value(v, false, depth+1))
	case slog.LogValuer:
		return plain(w.value(slog.AnyValue(v), false, depth+1))
	case *pgconn.PgError:
		return Error(v).Error()
	case *pgconn.Notice:
		return Notice(v).Message
	case error:
		return Error(v).Error()
	case driver.NamedValue:
		return w.named(v.Name, v.Ordinal, v.Value)
	case *driver.NamedValue:
		return w.named(v.Name, v.Ordinal, v.Value)
	case sql.NamedArg:
		return w.named(v.Name, 0, v.Value)
	case *http.Request:
		return plain(w.value(describe(v, w.names, w.star, false).LogValue(), false, depth+1))
	case url.Values:
		return w.any(map[string][]string(form(v, w.names, w.star)), depth+1)
	case http.Header:
		return w.any(map[string][]string(header(v, w.names, w.star)), depth+1)
	case *url.URL:
		return location(v, w.names, w.star)
	case url.URL:
		return location(&v, w.names, w.star)
	case *url.Userinfo, *http.Cookie, http.Cookie:
		return stars
	case interface{ Public() crypto.PublicKey }: // a private key
		return stars
	case json.Marshaler:
		if text, err := v.MarshalJSON(); err == nil {
			return w.json(text, depth)
		}
		return stars
	case encoding.TextMarshaler:
		if text, err := v.MarshalText(); err == nil {
			return shapes(string(text), w.star)
		}
		return stars
	}
	return w.reflect(reflect.ValueOf(v), depth)
}

func (w *walk) number(v any, text string) any {
	if isCard([]byte(text)) {
		return w.star(text)
	}
	return v
}

func (w *walk) bytes(b []byte) string {
	if !utf8.Valid(b) {
		return "[" + strconv.Itoa(len(b)) + " bytes]"
	}
	return shapes(string(b), w.star)
}

func (w *walk) named(name string, ordinal int, value any) string {
	if name == "" {
		name = "$" + strconv.Itoa(ordinal)
	}
	return shapes(name, w.star) + "=" + w.hide(value)
}

// json cleans a JSON text; what is none is dropped.
func (w *walk) json(text []byte, depth int) any {
	if len(text) > maxText {
		return gone
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil || decoder.More() {
		return gone
	}
	return w.any(v, depth+1)
}

func (w *walk) reflect(v reflect.Value, depth int) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return w.any(v.Elem().Interface(), depth+1)
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return shapes(v.String(), w.star)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return shapes(s.String(), w.star)
		}
		return w.number(v.Int(), strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return shapes(s.String(), w.star)
		}
		return w.number(v.Uint(), strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			reflect.Copy(reflect.ValueOf(b), v)
			return w.bytes(b)
		}
		all := make([]any, 0, min(v.Len(), maxValues))
		for i := 0; i < v.Len(); i++ {
			if w.values > maxValues {
				return append(all, gone)
			}
			all = append(all, w.any(v.Index(i).Interface(), depth+1))
		}
		return all
	case reflect.Map:
		all := make(map[string]any, min(v.Len(), maxValues))
		for entries := v.MapRange(); entries.Next(); {
			if w.values > maxValues {
				all[gone] = gone
				return all
			}
			key := fmt.Sprint(w.any(entries.Key().Interface(), depth+1))
			all[key] = w.member(key, entries.Value().Interface(), depth)
		}
		return all
	case reflect.Struct:
		all := make(map[string]any, v.NumField())
		w.fields(v, all, depth)
		if len(all) > 0 {
			return all
		}
		if s, ok := v.Interface().(fmt.Stringer); ok {
			return shapes(s.String(), w.star)
		}
		return typeName(v.Interface())
	}
	return typeName(v.Interface()) // functions, channels, complex numbers
}

func (w *walk) fields(v reflect.Value, all map[string]any, depth int) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case tag == "-" && field.Tag.Get("json") == "-":
			continue
		case field.Anonymous && tag == "" && field.Type.Kind() == reflect.Struct && depth < maxNesting:
			if w.names.match(field.Name) {
				all[field.Name] = stars
				continue
			}
			w.fields(v.Field(i), all, depth+1)
			continue
		}
		name := field.Name
		hidden := w.names.match(name)
		if tag != "" {
			name = tag
		}
		if hidden {
			all[name] = w.hide(v.Field(i).Interface())
			continue
		}
		all[name] = w.member(name, v.Field(i).Interface(), depth)
	}
}

// member cleans what is held under name.
func (w *walk) member(name string, v any, depth int) any {
	if w.names.match(name) {
		return w.hide(v)
	}
	return w.any(v, depth+1)
}

// plain returns a clean slog.Value for what is no slog.Handler.
func plain(v slog.Value) any {
	if v.Kind() != slog.KindGroup {
		return v.Any()
	}
	all := make(map[string]any, len(v.Group()))
	for _, a := range v.Group() {
		all[a.Key] = plain(a.Value)
	}
	return all
}
