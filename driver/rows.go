package driver

import (
	"database/sql/driver"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon/internal/tagged"
)

// resultFormats are the types that database/sql gets in binary, the same as on pgx's stdlib.
var resultFormats = pgx.QueryResultFormatsByOID{
	pgtype.BoolOID:        1,
	pgtype.ByteaOID:       1,
	pgtype.CIDOID:         1,
	pgtype.DateOID:        1,
	pgtype.Float4OID:      1,
	pgtype.Float8OID:      1,
	pgtype.Int2OID:        1,
	pgtype.Int4OID:        1,
	pgtype.Int8OID:        1,
	pgtype.OIDOID:         1,
	pgtype.TimestampOID:   1,
	pgtype.TimestamptzOID: 1,
	pgtype.XIDOID:         1,
}

// rows are the result of a query, from pgx's own rows or from a flight.
type rows struct {
	conn   *conn
	plain  pgx.Rows
	flight *flight
	finish func(pgconn.CommandTag, error) error // runs once, when all of the result has been read

	desc    *described // whose fields and funcs serve this result too; nil where they may differ
	fields  []pgconn.FieldDescription
	funcs   []valueFunc
	names   []string
	current [][]byte

	decoding atomic.Pointer[decoding] // where desc is nil

	peeked, more bool // the first row is read before database/sql asks for it, so that errors show at once
	closed       bool
	tag          pgconn.CommandTag
	err          error
}

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ Origins                               = (*rows)(nil)
)

// Origins is answered by the rows that interceptors see: where the values of a column come from, by this execution's
// description. Table is the OID of a table or view and attribute the column's number in it; both are 0 for a value that
// is computed.
type Origins interface {
	ColumnOrigin(index int) (table uint32, attribute uint16)
}

func (r *rows) ColumnOrigin(index int) (table uint32, attribute uint16) {
	return r.fields[index].TableOID, r.fields[index].TableAttributeNumber
}

// originless are rows of which nothing is known but how many columns they have.
func originless(columns int) *rows { return &rows{fields: make([]pgconn.FieldDescription, columns)} }

// start reads up to the first row and the description of the columns.
func (r *rows) start() error {
	r.more = r.read()
	r.peeked = true
	if !r.more && r.err != nil {
		return r.err
	}
	return nil
}

// read goes to the next row; where there is none the result has been read to its end, the Sync included.
func (r *rows) read() bool {
	if r.closed {
		return false
	}
	if r.plain != nil {
		if r.plain.Next() {
			r.describe(r.plain.FieldDescriptions())
			r.current = r.plain.RawValues()
			return true
		}
		r.describe(r.plain.FieldDescriptions())
	} else {
		r.describe(r.flight.rows.FieldDescriptions())
		if r.flight.rows.NextRow() {
			r.current = r.flight.rows.Values()
			return true
		}
	}
	r.close()
	return false
}

func (r *rows) describe(fields []pgconn.FieldDescription) {
	switch {
	case r.fields != nil:
	case r.desc != nil && r.desc.fields != nil:
		r.fields = r.desc.fields
	default:
		// The slice belongs to the connection, which reads on.
		r.fields = append([]pgconn.FieldDescription{}, fields...)
		if r.desc != nil {
			r.desc.fields = r.fields
		}
	}
}

func (r *rows) close() {
	if r.closed {
		return
	}
	r.closed = true
	r.current = nil
	var err error
	if r.plain != nil {
		r.plain.Close()
		r.tag, err = r.plain.CommandTag(), r.plain.Err()
	} else {
		r.flight.end()
		r.tag, err = r.flight.tag, r.flight.err
	}
	r.err = r.finish(r.tag, err)
}

func (r *rows) Close() error {
	r.close()
	return r.err
}

func (r *rows) Columns() []string {
	if r.names == nil { // not kept for the next result: the caller may change it
		r.names = make([]string, len(r.fields))
		for i := range r.fields {
			r.names[i] = r.fields[i].Name
		}
	}
	return r.names
}

// advance goes to the next row, or says io.EOF, or why there is none.
func (r *rows) advance() error {
	more := r.more
	if r.peeked {
		r.peeked = false
	} else {
		more = r.read()
	}
	switch {
	case more:
		return nil
	case r.err != nil:
		return r.err
	}
	return io.EOF
}

func (r *rows) Next(dest []driver.Value) error { return r.next(dest, nil) }

// next is Next with the columns decoded that have a decoder.
func (r *rows) next(dest []driver.Value, decoders []*tagged.Decoder) error {
	if err := r.advance(); err != nil {
		return err
	}
	for i := range r.current {
		var err error
		if decoders == nil || decoders[i] == nil {
			if dest[i], err = r.value(i); err != nil {
				return fmt.Errorf("convert field %d failed: %w", i, err)
			}
		} else if dest[i], err = r.decoded(i, decoders[i]); err != nil {
			return err
		}
	}
	return nil
}

// decoded is value for an encrypted column.
func (r *rows) decoded(i int, d *tagged.Decoder) (driver.Value, error) {
	if r.verbatim(i) {
		return d.Text(r.current[i])
	}
	token, err := r.value(i)
	if err != nil {
		return nil, err
	}
	return d.Value(token)
}

// verbatim says whether a column's values come over the wire as they are.
func (r *rows) verbatim(i int) bool {
	switch f := &r.fields[i]; f.DataTypeOID {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.TextArrayOID, pgtype.VarcharArrayOID:
		return f.Format == pgtype.TextFormatCode
	case pgtype.ByteaOID:
		return f.Format == pgtype.BinaryFormatCode
	}
	return false
}

// value is that of a column of the current row.
func (r *rows) value(i int) (driver.Value, error) {
	src := r.current[i]
	if src == nil {
		return nil, nil
	}
	if r.funcs == nil {
		r.prepare()
	}
	if i >= len(r.funcs) {
		return nil, errProtocol
	}
	return r.funcs[i](src)
}

func (r *rows) prepare() {
	if r.desc != nil && r.desc.funcs != nil {
		r.funcs = r.desc.funcs
		return
	}
	r.funcs = valueFuncs(r.conn.pgx.TypeMap(), r.fields)
	if r.desc != nil {
		r.desc.funcs = r.funcs
	}
}

// HasNextResultSet is false always: a query has one result, as on pgx's stdlib.
func (r *rows) HasNextResultSet() bool { return false }

// NextResultSet says io.EOF always.
func (r *rows) NextResultSet() error { return io.EOF }

func (r *rows) ColumnTypeDatabaseTypeName(index int) string {
	oid := r.fields[index].DataTypeOID
	if dt, ok := r.conn.pgx.TypeMap().TypeForOID(oid); ok {
		return strings.ToUpper(dt.Name)
	}
	return strconv.FormatInt(int64(oid), 10)
}

const varHeaderSize = 4

func (r *rows) ColumnTypeLength(index int) (int64, bool) {
	switch fd := r.fields[index]; fd.DataTypeOID {
	case pgtype.TextOID, pgtype.ByteaOID:
		return math.MaxInt64, true
	case pgtype.VarcharOID, pgtype.BPCharOID:
		return int64(fd.TypeModifier - varHeaderSize), true
	case pgtype.VarbitOID:
		return int64(fd.TypeModifier), true
	}
	return 0, false
}

func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	fd := r.fields[index]
	if fd.DataTypeOID != pgtype.NumericOID {
		return 0, 0, false
	}
	mod := fd.TypeModifier - varHeaderSize
	return int64((mod >> 16) & 0xffff), int64(mod & 0xffff), true
}

// ColumnTypeNullable does not know: the protocol does not tell.
func (r *rows) ColumnTypeNullable(int) (nullable, ok bool) { return false, false }

func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	switch r.fields[index].DataTypeOID {
	case pgtype.Float8OID, pgtype.NumericOID:
		return reflect.TypeFor[float64]()
	case pgtype.Float4OID:
		return reflect.TypeFor[float32]()
	case pgtype.Int8OID:
		return reflect.TypeFor[int64]()
	case pgtype.Int4OID:
		return reflect.TypeFor[int32]()
	case pgtype.Int2OID:
		return reflect.TypeFor[int16]()
	case pgtype.BoolOID:
		return reflect.TypeFor[bool]()
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return reflect.TypeFor[time.Time]()
	case pgtype.ByteaOID:
		return reflect.TypeFor[[]byte]()
	}
	return reflect.TypeFor[string]()
}

// A valueFunc turns what came over the wire into the value that pgx's stdlib gives for it.
type valueFunc func(src []byte) (driver.Value, error)

func valueFuncs(m *pgtype.Map, fields []pgconn.FieldDescription) []valueFunc {
	funcs := make([]valueFunc, len(fields))
	for i, fd := range fields {
		switch fd.DataTypeOID {
		case pgtype.BoolOID:
			funcs[i] = scanned[bool](m, fd)
		case pgtype.ByteaOID, pgtype.JSONOID, pgtype.JSONBOID, pgtype.XMLOID:
			funcs[i] = scanned[[]byte](m, fd)
		case pgtype.CIDOID, pgtype.OIDOID, pgtype.XIDOID:
			funcs[i] = valued[pgtype.Uint32](m, fd)
		case pgtype.DateOID:
			funcs[i] = valued[pgtype.Date](m, fd)
		case pgtype.Float4OID:
			funcs[i] = converted[float32, float64](m, fd)
		case pgtype.Float8OID:
			funcs[i] = scanned[float64](m, fd)
		case pgtype.Int2OID:
			funcs[i] = converted[int16, int64](m, fd)
		case pgtype.Int4OID:
			funcs[i] = converted[int32, int64](m, fd)
		case pgtype.Int8OID:
			funcs[i] = scanned[int64](m, fd)
		case pgtype.TimestampOID:
			funcs[i] = valued[pgtype.Timestamp](m, fd)
		case pgtype.TimestamptzOID:
			funcs[i] = valued[pgtype.Timestamptz](m, fd)
		default:
			funcs[i] = scanned[string](m, fd)
		}
	}
	return funcs
}

func scanned[T any](m *pgtype.Map, fd pgconn.FieldDescription) valueFunc {
	d := new(T)
	plan := m.PlanScan(fd.DataTypeOID, fd.Format, d)
	return func(src []byte) (driver.Value, error) {
		if err := plan.Scan(src, d); err != nil {
			return nil, err
		}
		return *d, nil
	}
}

func converted[T int16 | int32 | float32, V int64 | float64](m *pgtype.Map, fd pgconn.FieldDescription) valueFunc {
	d := new(T)
	plan := m.PlanScan(fd.DataTypeOID, fd.Format, d)
	return func(src []byte) (driver.Value, error) {
		if err := plan.Scan(src, d); err != nil {
			return nil, err
		}
		return V(*d), nil
	}
}

func valued[T driver.Valuer](m *pgtype.Map, fd pgconn.FieldDescription) valueFunc {
	d := new(T)
	plan := m.PlanScan(fd.DataTypeOID, fd.Format, d)
	return func(src []byte) (driver.Value, error) {
		if err := plan.Scan(src, d); err != nil {
			return nil, err
		}
		return (*d).Value()
	}
}
