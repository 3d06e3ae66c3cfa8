package tagged

import (
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/redact"
)

// scratch are buffers for plaintexts, which are cleared before they are used again.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the size beyond which a buffer is not kept.
const maxScratch = 4 << 10

func withScratch(fn func([]byte) []byte) {
	b := scratch.Get().(*[]byte)
	used := fn((*b)[:0])
	clear(used[:cap(used)])
	if cap(used) <= maxScratch {
		*b = used[:0]
		scratch.Put(b)
	}
}

// plain appends the canonical plaintext of v to dst.
func (l *Label) plain(dst []byte, v any) ([]byte, bool, error) {
	return l.Type.AppendPlain(dst, v, canon.Options{Deterministic: l.Mode == fernet.Deterministic, Fold: l.Fold})
}

// token returns the token of v under the key that id names, nil for NULL.
func (l *Label) token(v any, id fernet.KeyID) (token []byte, err error) {
	withScratch(func(b []byte) []byte {
		var null bool
		if b, null, err = l.plain(b, v); err == nil && !null {
			token, err = l.Keys.Encrypt(b, l.Mode, id)
		}
		return b
	})
	return token, err
}

// searched appends to tokens one token of v for each key that can occur, and says whether v is NULL.
func (l *Label) searched(tokens [][]byte, v any) (_ [][]byte, null bool, err error) {
	withScratch(func(b []byte) []byte {
		if b, null, err = l.plain(b, v); err != nil || null {
			return b
		}
		for _, id := range l.Occurring {
			var token []byte
			if token, err = l.Keys.Encrypt(b, l.Mode, id); err != nil {
				return b
			}
			tokens = append(tokens, token)
		}
		return b
	})
	return tokens, null, err
}

// A Decoder turns what a result has of an encrypted column into what the program gets.
type Decoder struct {
	label  *Label
	column string
	array  bool
	masked bool
	mask   driver.Value // of a masked role; nil is NULL
}

// Column is the column whose values are decoded, "schema.table.column" where it is known.
func (d *Decoder) Column() string { return d.column }

// Masked says whether the values are replaced, not decrypted.
func (d *Decoder) Masked() bool { return d.masked }

// Type is that of the decoded values.
func (d *Decoder) Type() canon.Type { return d.label.Type }

// IsArray says whether the values are arrays of tokens, which are decoded into the text of an array.
func (d *Decoder) IsArray() bool { return d.array }

// Value decodes v: the text or the bytes of a token, or nil. What is no token of the column's is an error; while the
// column is migrating, plaintext is given back as it is and counted.
func (d *Decoder) Value(v driver.Value) (value driver.Value, err error) {
	if d.masked {
		return d.mask, nil
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return d.decode(func(b []byte) []byte { return append(b, v...) })
	case []byte:
		return d.Text(v)
	}
	return nil, d.fail(fmt.Errorf("want text or bytea, got %T", v))
}

// Text decodes the text of a token, which it does not keep; nil is NULL.
func (d *Decoder) Text(text []byte) (driver.Value, error) {
	switch {
	case d.masked:
		return d.mask, nil
	case text == nil:
		return nil, nil
	}
	return d.decode(func(b []byte) []byte { return append(b, text...) })
}

func (d *Decoder) decode(text func([]byte) []byte) (value driver.Value, err error) {
	withScratch(func(b []byte) []byte {
		value, b, err = d.any(text(b))
		return b
	})
	return value, err
}

// any decodes text, in which it may write, and behind it; what it returns beside the value is what it has used.
func (d *Decoder) any(text []byte) (driver.Value, []byte, error) {
	if d.array {
		value, err := d.arrayValue(text)
		return value, text, err
	}
	return d.one(text)
}

func (d *Decoder) one(token []byte) (value driver.Value, used []byte, err error) {
	if !ownToken(token) {
		if !d.label.Migrating {
			return nil, token, d.fail(errNotToken)
		}
		if !anyToken(token) {
			d.label.plaintextReads.Add(1)
			if value, err = d.label.Type.Value(token); err != nil {
				err = d.fail(err)
			}
			return value, token, err
		}
	}
	used, err = d.label.Keys.AppendDecrypt(token, token)
	if err == nil {
		value, err = d.label.Type.Value(used[len(token):])
	}
	if err != nil {
		return nil, used, d.fail(err)
	}
	return value, used, nil
}

var errNotToken = errors.New("it holds what is no token of pganon's; a column that is being encrypted has the option migrating, and `pganon encrypt` encrypts what it holds")

// tokenStart is how every token of a column begins: version 0x80 and a time field below 1<<26.
const tokenStart = "gAAAAAA"

// ownToken says whether text can be a token made for a column, which is bound to it by its keys. All others, such as
// Django's, are bound to nothing.
func ownToken(text []byte) bool {
	return len(text) > len(tokenStart) && string(text[:len(tokenStart)]) == tokenStart && (text[len(tokenStart)] == 'A' || text[len(tokenStart)] == 'B')
}

// anyToken says whether text has the form of a Fernet token: what has it and does not decrypt is no plaintext.
func anyToken(text []byte) bool {
	const shortest = 100
	if len(text) < shortest || len(text)%4 != 0 || string(text[:5]) != "gAAAA" {
		return false
	}
	for _, c := range text {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '=') {
			return false
		}
	}
	return true
}

// fail says which column could not be decoded. The cause is one of this package's, of fernet's or of canon's, which hold
// no value.
func (d *Decoder) fail(cause error) error {
	return redact.Safe(fmt.Errorf("pganon: decrypt %s: %w", d.column, cause))
}

func (d *Decoder) arrayValue(text []byte) (driver.Value, error) {
	elements, null, err := canon.Elements(string(text))
	if err != nil {
		return nil, d.fail(err)
	}
	if null {
		return nil, nil
	}
	values := make([][]byte, len(elements))
	for i, element := range elements {
		text, ok := element.(string)
		if !ok {
			continue
		}
		token := []byte(text)
		if digits, isHex := strings.CutPrefix(text, `\x`); isHex && d.label.Bytea { // else bytea_output is escape, in which tokens are as they are
			if token, err = hex.DecodeString(digits); err != nil {
				return nil, d.fail(errNotToken)
			}
		}
		value, _, err := d.one(token)
		if err != nil {
			return nil, err
		}
		plain, null, err := d.label.plain(nil, value)
		if err != nil {
			return nil, d.fail(err)
		}
		switch {
		case null:
		case d.label.Type.OID() == byteaOID:
			values[i] = hex.AppendEncode([]byte(`\x`), plain)
		default:
			values[i] = plain
		}
	}
	return string(canon.AppendArray(nil, values)), nil
}
