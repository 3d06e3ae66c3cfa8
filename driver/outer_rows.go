package driver

import (
	"database/sql/driver"
	"io"
	"reflect"

	"github.com/pganon/pganon/internal/tagged"
)

// outerRows are rows as database/sql holds them. They answer every optional interface: where the rows below do not, as
// database/sql does for rows that have none.
type outerRows struct {
	top      driver.Rows
	conn     *outerConn
	decoders []*tagged.Decoder // by column, nil where none is encrypted
}

var (
	_ driver.Rows                           = (*outerRows)(nil)
	_ driver.RowsNextResultSet              = (*outerRows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*outerRows)(nil)
	_ driver.RowsColumnTypeLength           = (*outerRows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*outerRows)(nil)
	_ driver.RowsColumnTypeScanType         = (*outerRows)(nil)
	_ driver.RowsColumnTypeNullable         = (*outerRows)(nil)
	_ Origins                               = (*outerRows)(nil)
)

func (r *outerRows) Columns() []string { return r.top.Columns() }

func (r *outerRows) Close() (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	return r.top.Close()
}

func (r *outerRows) Next(dest []driver.Value) (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	if below, ok := r.top.(*rows); ok {
		return below.next(dest, r.decoders)
	}
	for i, d := range r.decoders {
		if d != nil {
			dest[i] = nil // the value of the row before, which interceptors would see
		}
	}
	if err = r.top.Next(dest); err == nil && r.decoders != nil {
		err = decodeRow(r.decoders, dest)
	}
	return err
}

// decoder is that of a column, nil where it is not encrypted.
func (r *outerRows) decoder(index int) *tagged.Decoder {
	if r.decoders == nil {
		return nil
	}
	return r.decoders[index]
}

func (r *outerRows) HasNextResultSet() bool {
	if top, ok := r.top.(driver.RowsNextResultSet); ok {
		return top.HasNextResultSet()
	}
	return false
}

func (r *outerRows) NextResultSet() (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	if top, ok := r.top.(driver.RowsNextResultSet); ok {
		return top.NextResultSet()
	}
	return io.EOF
}

// ColumnOrigin is 0, 0 where an interceptor's rows do not tell.
func (r *outerRows) ColumnOrigin(index int) (table uint32, attribute uint16) {
	if top, ok := r.top.(Origins); ok {
		return top.ColumnOrigin(index)
	}
	return 0, 0
}

func (r *outerRows) ColumnTypeDatabaseTypeName(index int) string {
	if d := r.decoder(index); d != nil && !d.IsArray() {
		return d.Type().DatabaseTypeName()
	}
	if top, ok := r.top.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return top.ColumnTypeDatabaseTypeName(index)
	}
	return ""
}

func (r *outerRows) ColumnTypeLength(index int) (int64, bool) {
	if r.decoder(index) != nil {
		return 0, false
	}
	if top, ok := r.top.(driver.RowsColumnTypeLength); ok {
		return top.ColumnTypeLength(index)
	}
	return 0, false
}

func (r *outerRows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	if top, ok := r.top.(driver.RowsColumnTypePrecisionScale); ok {
		return top.ColumnTypePrecisionScale(index)
	}
	return 0, 0, false
}

func (r *outerRows) ColumnTypeNullable(index int) (nullable, ok bool) {
	if top, ok := r.top.(driver.RowsColumnTypeNullable); ok {
		return top.ColumnTypeNullable(index)
	}
	return false, false
}

func (r *outerRows) ColumnTypeScanType(index int) reflect.Type {
	if d := r.decoder(index); d != nil && !d.IsArray() {
		return d.Type().ScanType()
	}
	if top, ok := r.top.(driver.RowsColumnTypeScanType); ok {
		return top.ColumnTypeScanType(index)
	}
	return reflect.TypeFor[any]()
}
