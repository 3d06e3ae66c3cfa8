package hooks

import (
	"context"
	"database/sql"

	"github.com/pganon/pganon/internal/explicit"
)

// Encrypted returns an argument that the driver encrypts for column before it is sent: for a parameter of which SQL does
// not say which column it meets, such as the text argument of a function. column is "schema.table.column", "table.column"
// where only one schema has the table, or the name of a label. Where SQL says which column a parameter meets, the
// argument must be for the same label. value is what one would pass without it, which the argument shows to nobody.
//
//	db.ExecContext(ctx, "SELECT register($1)", hooks.Encrypted("app.users.email", email))
func Encrypted(column string, value any) any {
	return &explicit.Encryption{Column: column, Plain: value}
}

// Queryer is what *sql.DB, *sql.Conn, *sql.Tx and what wraps them have in common.
type Queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Decrypt returns the value of a token, a string or []byte, that the driver gave back as it is, such as the result of a function or
// part of a JSON document. column is named as for Encrypted, and db is one of this driver's. The driver answers by
// itself, as what ctx says: a masked role gets NULL, which is nil, or the column's mask. The value has the type that a
// SELECT of the column gives. What is no token of the column's is an error.
func Decrypt(ctx context.Context, db Queryer, column string, token any) (any, error) {
	var value any
	err := db.QueryRowContext(ctx, "SELECT $1", &explicit.Decryption{Column: column, Token: token}).Scan(&value)
	return value, err
}
