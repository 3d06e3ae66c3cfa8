//go:build !go1.27

package driver

import "database/sql/driver"

// rows is where all rows come up.
func (c *outerConn) rows(top driver.Rows) driver.Rows { return &outerRows{top: top, conn: c} }
