package driver

import (
	"context"
	"database/sql/driver"
)

// Remembered is how much a connection remembers, by what it is of.
type Remembered struct {
	Texts      int // what is known of texts
	Described  int // texts with a named statement
	Unnamed    int // texts with a description only
	Names      int // statements of ours on the session
	Closing    int // of them, those that nobody wants any more
	Shapes     int // settings statements
	Prepared   int // the application's own PREPARE
	StatusByte byte
}

// RememberedBy returns what the connection that sql.Conn.Raw gives remembers.
func RememberedBy(driverConn any) Remembered {
	c := driverConn.(interface{ identityConn() *conn }).identityConn()
	return Remembered{
		Texts: len(c.texts), Described: c.described.size(), Unnamed: c.unnamed.size(), Names: len(c.names), Closing: len(c.closing),
		Shapes: len(c.shapes), Prepared: len(c.prepared), StatusByte: c.pg.TxStatus(),
	}
}

// MaxTexts is the most that Remembered.Texts may be.
const MaxTexts = maxTexts

func (sc *statementCache) size() int {
	n := 0
	for _, rc := range sc.roles {
		n += rc.order.Len()
	}
	return n
}

// Inner returns the connection below the outer layer and interceptors.
func Inner(driverConn any) driver.Conn {
	return driverConn.(interface{ identityConn() *conn }).identityConn()
}

// PlanAgain finds the plan of a text without parameters that the connection has planned before.
func PlanAgain(ctx context.Context, driverConn any, query string) error {
	_, err := driverConn.(interface{ identityConn() *conn }).identityConn().encryptOnce(ctx, query, nil, false)
	return err
}
