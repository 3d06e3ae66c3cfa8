//go:build !go1.27

package driver

import (
	"database/sql/driver"

	"github.com/pganon/pganon/internal/tagged"
)

// rows is where all rows come up.
func (c *outerConn) rows(top driver.Rows, decoders []*tagged.Decoder) driver.Rows {
	return &outerRows{top: top, conn: c, decoders: decoders}
}
