//go:build go1.27

package driver

import (
	"database/sql"
	"database/sql/driver"

	"github.com/pganon/pganon/hooks"
)

// rows is where all rows come up. Those of interceptors scan no columns by themselves.
func (c *outerConn) rows(top driver.Rows, decoders []*hooks.Decoder) driver.Rows {
	if scanner, ok := top.(driver.RowsColumnScanner); ok {
		return &scanningRows{outerRows{top: top, conn: c, decoders: decoders}, scanner}
	}
	return &outerRows{top: top, conn: c, decoders: decoders}
}

// scanningRows are outerRows that scan each column by themselves.
type scanningRows struct {
	outerRows
	scanner driver.RowsColumnScanner
}

var _ driver.RowsColumnScanner = (*scanningRows)(nil)

func (r *scanningRows) NextRow() (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	return r.scanner.NextRow()
}

func (r *scanningRows) ScanColumn(scanCtx driver.ScanContext, index int, dest any) (err error) {
	defer r.conn.inner.guard(&err, "", nil)
	d := r.decoder(index)
	if d == nil {
		return r.scanner.ScanColumn(scanCtx, index, dest)
	}
	var token any
	if err := r.scanner.ScanColumn(scanCtx, index, &token); err != nil {
		return err
	}
	value, err := d.Value(token)
	if err != nil {
		return err
	}
	return sql.ConvertAssign(scanCtx, dest, value)
}
