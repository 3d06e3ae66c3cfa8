package fernet

import "fmt"

// Mode says whether equal values of a column have equal tokens.
type Mode byte

const (
	// Random makes another token each time: nothing can be learnt from tokens, or searched.
	Random Mode = iota
	// Deterministic makes one token per value, key and label: =, IN, joins and UNIQUE work on
	// tokens, and whoever sees the column sees which rows are equal.
	Deterministic
)

// In the time field of a column's token stand 1 for Random or 0 for Deterministic, then the key's
// id. firstRealTime is the first value that cannot be one.
const (
	randomBit     = 1 << 24
	firstRealTime = 1 << 25
)

// ColumnKeys are the keys of the columns that share one label; [Keyring.Derive] makes them.
// Their tokens are Fernet tokens with mode and key id where the time stands: they begin with
// gAAAAAAA (deterministic) or gAAAAAAB (random), then the four characters of the [KeyID].
// ColumnKeys never change, print as [REDACTED], and are safe for concurrent use without a lock.
type ColumnKeys struct {
	redacted
	column func() *column
}

type column struct {
	ring  *ring
	label string
	keys  []columnKey
}

type columnKey struct {
	*sealer
	id KeyID
}

func (id KeyID) timeField(m Mode) uint64 {
	t := uint64(id[0])<<16 | uint64(id[1])<<8 | uint64(id[2])
	if m == Random {
		t |= randomBit
	}
	return t
}

func (c *column) byID(id KeyID) *columnKey {
	for i := range c.keys {
		if c.keys[i].id == id {
			return &c.keys[i]
		}
	}
	return nil
}

// KeyIDs returns the ids of the keys, in the ring's order.
func (c *ColumnKeys) KeyIDs() []KeyID {
	keys := c.column().keys
	ids := make([]KeyID, len(keys))
	for i := range ids {
		ids[i] = keys[i].id
	}
	return ids
}

// Encrypt returns the token of plaintext under the key that id names. It refuses an id that is not
// in the ring, and an unknown mode.
func (c *ColumnKeys) Encrypt(plaintext []byte, m Mode, id KeyID) ([]byte, error) {
	return c.AppendEncrypt(nil, plaintext, m, id)
}

// AppendEncrypt appends what [ColumnKeys.Encrypt] returns to dst; with an error it returns dst as
// it was. With enough capacity in dst it does not allocate. plaintext may share memory with dst.
func (c *ColumnKeys) AppendEncrypt(dst, plaintext []byte, m Mode, id KeyID) ([]byte, error) {
	k, err := c.column().writer(m, id)
	if err != nil {
		return dst, err
	}
	if m == Deterministic {
		return k.seal(dst, plaintext, id.timeField(m), k.deterministicIV(plaintext)), nil
	}
	return k.seal(dst, plaintext, id.timeField(m), randomIV()), nil
}

// writer gives the key that id names.
func (c *column) writer(m Mode, id KeyID) (*columnKey, error) {
	if m > Deterministic {
		return nil, fmt.Errorf("fernet: encrypt value of %q: unknown mode %d", c.label, m)
	}
	k := c.byID(id)
	if k == nil {
		return nil, fmt.Errorf("fernet: encrypt value of %q: key %s is not in the key ring", c.label, id)
	}
	return k, nil
}

// Decrypt returns the plaintext of a token made for this label, in either mode, or
// [ErrInvalidToken]. It goes straight to the key that the token names.
//
// A token with a real time in it was made outside of columns, as Django makes them: every key of
// the ring itself is tried, and nothing binds such a token to a column. A caller that expects none
// refuses what does not begin with gAAAAAAA or gAAAAAAB.
func (c *ColumnKeys) Decrypt(token []byte) ([]byte, error) { return c.AppendDecrypt(nil, token) }

// AppendDecrypt appends what [ColumnKeys.Decrypt] returns to dst; with an error it returns dst as
// it was. With room for the plaintext and 16 bytes in dst it does not allocate. token may share
// memory with dst.
func (c *ColumnKeys) AppendDecrypt(dst, token []byte) ([]byte, error) {
	o, err := c.column().open(dst, token)
	return o.dst, err
}

func (c *column) open(dst, token []byte) (opened, error) {
	first := c.keys[0]
	st := first.get()
	defer first.put(st)
	raw, ok := st.decode(token)
	if !ok {
		return opened{dst: dst}, ErrInvalidToken
	}
	t := timeField(raw)
	if t >= firstRealTime {
		return c.ring.openRaw(dst, raw, noLimit)
	}
	if k := c.byID(KeyID{byte(t >> 16), byte(t >> 8), byte(t)}); k != nil {
		if plaintext, ok := k.open(dst, raw); ok {
			return opened{dst: plaintext, time: t}, nil
		}
	}
	return opened{dst: dst}, ErrInvalidToken
}

// NeedsRotation reports whether a token is of another mode or under another key than the given
// ones, as each token with a real time is. It gives [ErrInvalidToken] where Decrypt does, and
// refuses what Encrypt refuses.
func (c *ColumnKeys) NeedsRotation(token []byte, m Mode, id KeyID) (bool, error) {
	if _, err := c.column().writer(m, id); err != nil {
		return false, err
	}
	o, err := c.column().open(nil, token)
	return err == nil && o.time != id.timeField(m), err
}

// Rotate returns a token of the same plaintext of the given mode under the given key, and true.
// One that is so already is returned as it is, with false. It refuses what Encrypt and Decrypt
// refuse.
func (c *ColumnKeys) Rotate(token []byte, m Mode, id KeyID) (rotated []byte, changed bool, err error) {
	if _, err := c.column().writer(m, id); err != nil {
		return token, false, err
	}
	o, err := c.column().open(nil, token)
	if err != nil || o.time == id.timeField(m) {
		return token, false, err
	}
	defer clear(o.dst)
	rotated, err = c.Encrypt(o.dst, m, id)
	return rotated, true, err
}
