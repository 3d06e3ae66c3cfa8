package canon

import (
	"bytes"
	"database/sql/driver"
	"fmt"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// Value returns what database/sql gets for a plaintext: the Go type and value that pgx's stdlib gives for a column of this type.
// The value shares no memory with plain. JSON is not parsed once more.
func (t Type) Value(plain []byte) (driver.Value, error) {
	v, err := t.value(plain)
	if err != nil {
		return nil, fmt.Errorf("the plaintext is not %s", t.is().want)
	}
	return v, nil
}

func (t Type) value(plain []byte) (driver.Value, error) {
	if t.Folds() {
		if !isText(plain) {
			return nil, errUTF8
		}
		return string(plain), nil
	}
	switch t {
	case bytea:
		return append([]byte{}, plain...), nil
	case boolean:
		b, err := parseBool(string(plain))
		return b, err
	case smallint, integer, bigint:
		n, err := t.parseInt(string(plain))
		return n, err
	case float4, float8:
		f, err := t.parseFloat(string(plain))
		return f, err
	case date, timestamp, timestamptz:
		m, err := t.parseMoment(string(plain))
		switch {
		case err != nil:
			return nil, err
		case m.infinity != pgtype.Finite:
			return m.infinity.String(), nil
		case t == timestamptz:
			return m.at.Local(), nil // as pgx
		}
		return m.at, nil
	case jsonType, jsonb:
		if !utf8.Valid(plain) {
			return nil, errUTF8
		}
		return bytes.Clone(plain), nil
	}
	var buf [64]byte
	text, err := t.appendBytes(buf[:0], plain, Options{})
	if err != nil {
		return nil, err
	}
	return string(text), nil
}
