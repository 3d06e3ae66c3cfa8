//go:build go1.27

package driver

import (
	"database/sql"
	"database/sql/driver"

	"github.com/pganon/pganon/internal/tagged"
)

// rows is where all rows come up. Those of interceptors scan no columns by themselves.
func (c *outerConn) rows(top driver.Rows, decoders []*tagged.Decoder) driver.Rows {
	if below, ok := top.(*rows); ok {
		return &scanningRows{outerRows{top: top, conn: c, decoders: decoders}, below}
	}
	return &outerRows{top: top, conn: c, decoders: decoders}
}

// scanningRows are outerRows that scan each column by themselves.
type scanningRows struct {
	outerRows
	below *rows
}

var _ driver.RowsColumnScanner = (*scanningRows)(nil)

func (r *scanningRows) NextRow() (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	return r.below.NextRow()
}

func (r *scanningRows) ScanColumn(scanCtx driver.ScanContext, index int, dest any) (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	d := r.decoder(index)
	if d == nil {
		return r.below.ScanColumn(scanCtx, index, dest)
	}
	value, err := r.below.decoded(index, d)
	if err != nil {
		return err
	}
	return sql.ConvertAssign(scanCtx, dest, value)
}
