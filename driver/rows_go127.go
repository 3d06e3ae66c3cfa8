//go:build go1.27

package driver

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Since Go 1.27 database/sql lets rows scan each column by themselves; pgx's stdlib scans arrays into slices so, and so
// do these rows. Interceptors see rows through Next only: where there are any, arrays come as text.
var _ driver.RowsColumnScanner = (*rows)(nil)

// NextRow goes to the next row, or says io.EOF.
func (r *rows) NextRow() error { return r.advance() }

// ScanColumn scans what database/sql has rules for by these, all else by pgx's type map.
func (r *rows) ScanColumn(scanCtx driver.ScanContext, index int, dest any) error {
	if dest == nil {
		return errors.New("destination not a pointer")
	}
	rv := reflect.ValueOf(dest)
	if rv.Kind() == reflect.Pointer && rv.IsNil() {
		return errors.New("destination pointer is nil")
	}
	if sqlScans(rv.Type()) {
		value, err := r.value(index)
		if err != nil {
			return err
		}
		return sql.ConvertAssign(scanCtx, dest, value)
	}
	fd := r.fields[index]
	return r.conn.pgx.TypeMap().Scan(fd.DataTypeOID, fd.Format, r.current[index], dest)
}

var sqlScansCache sync.Map // reflect.Type → bool

// sqlScans says whether database/sql itself scans into t, nullable pointers to such types included. It is decided before
// scanning: to try again after a failure could call user code twice.
func sqlScans(t reflect.Type) bool {
	if known, ok := sqlScansCache.Load(t); ok {
		return known.(bool)
	}
	scans := sqlScansUncached(t)
	sqlScansCache.Store(t, scans)
	return scans
}

func sqlScansUncached(t reflect.Type) bool {
	seen := make(map[reflect.Type]bool) // a defined pointer type can point to itself
	for {
		if t.Implements(reflect.TypeFor[sql.Scanner]()) {
			return true
		}
		if t.Implements(reflect.TypeFor[pgtype.ArraySetter]()) || t.Implements(reflect.TypeFor[pgtype.BytesScanner]()) {
			return false
		}
		if t.Kind() != reflect.Pointer {
			break
		}
		if seen[t] {
			return false
		}
		seen[t] = true
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.String, reflect.Interface:
		return true
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8
	case reflect.Struct:
		return t.ConvertibleTo(reflect.TypeFor[time.Time]())
	}
	return false
}
