// Package explicit holds the arguments by which a program asks the driver itself for what no SQL says.
package explicit

import (
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"

	"github.com/pganon/pganon/redact"
)

// Encryption asks for a value to be encrypted for a column, by its name or its label. It shows the value to nobody.
type Encryption struct {
	Column string
	Plain  any
}

func (e *Encryption) String() string { return "encrypted for " + e.Column }

// Format writes the same for every verb.
func (e *Encryption) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

func (e *Encryption) LogValue() slog.Value { return slog.StringValue(e.String()) }

func (e *Encryption) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Value is an error: it is asked for where nothing encrypts, of an argument inside another value or given to another driver.
func (e *Encryption) Value() (driver.Value, error) {
	return nil, redact.Safe(fmt.Errorf("pganon: encrypt: a value of hooks.Encrypted for %s is not an argument by itself of a statement of this driver's", e.Column))
}

// Decryption asks for the value of a token of a column.
type Decryption struct {
	Column string
	Token  any
}
