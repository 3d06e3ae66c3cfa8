// Package explicit holds the arguments by which a program asks the driver itself for what no SQL says.
package explicit

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/pganon/pganon/redact"
)

// Encryption asks for a value to be encrypted for a column, by its name or its label. It shows the value to nobody. Where nothing
// encrypts it, inside another value or given to another driver, it is an error: it has no text that could be stored in its place, and is no
// driver.Valuer, which libraries would ask before the driver can.
type Encryption struct {
	Column string
	Plain  any
}

// Format writes the same for every verb.
func (e *Encryption) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.shown()) }

func (e *Encryption) LogValue() slog.Value { return slog.StringValue(e.shown()) }

func (e *Encryption) MarshalJSON() ([]byte, error) {
	return nil, redact.Safe(fmt.Errorf("pganon: encrypt: a value of hooks.Encrypted for %s is not an argument by itself of a statement of this driver's", e.Column))
}

func (e *Encryption) shown() string { return "encrypted for " + e.Column }

// Decryption asks for the value of a token of a column.
type Decryption struct {
	Column string
	Token  any
}
