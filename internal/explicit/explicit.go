// Package explicit holds the arguments by which a program asks the driver itself for what no SQL says.
package explicit

import "log/slog"

// Encryption asks for a value to be encrypted for a column, by its name or its label. It shows the value to nobody.
type Encryption struct {
	Column string
	Value  any
}

func (e *Encryption) String() string { return "encrypted for " + e.Column }

func (e *Encryption) GoString() string { return e.String() }

func (e *Encryption) LogValue() slog.Value { return slog.StringValue(e.String()) }

func (e *Encryption) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Decryption asks for the value of a token of a column.
type Decryption struct {
	Column string
	Token  any
}
