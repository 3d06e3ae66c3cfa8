package fernet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrInvalidToken is the one error of decryption: the token is malformed, was not made under a key
// of the ring, was changed, or is older than the limit. It does not say which, and wraps nothing.
var ErrInvalidToken = errors.New("fernet: invalid token")

// Bounds of a ring; its text is one that people write.
const (
	maxRingKeys  = 256
	maxRingBytes = 1 << 16
)

// Keyring is an ordered set of keys: the first encrypts, all decrypt (MultiFernet in Python).
// It never changes, prints as [REDACTED], and is safe for concurrent use without a lock.
// Make one with [NewKeyring], [ParseKeyring] or [EnvKeyring]; [KeyFile] follows a file.
type Keyring struct {
	redacted
	ring func() *ring
}

type ring struct {
	keys []ringKey

	derive  sync.Mutex
	columns atomic.Pointer[map[string]*ColumnKeys]
}

type ringKey struct {
	*sealer
	id  KeyID
	prk []byte
}

// NewKeyring returns a ring of the given keys, 1 to 256. It refuses the zero Key and two keys with
// one id, which are the same key or, once in 2²⁴ pairs, two keys that columns could not tell apart.
func NewKeyring(keys ...Key) (*Keyring, error) {
	r, err := newKeyring(keys)
	if err != nil {
		return nil, fmt.Errorf("fernet: make key ring: %w", err)
	}
	return r, nil
}

func newKeyring(keys []Key) (*Keyring, error) {
	switch {
	case len(keys) == 0:
		return nil, errors.New("no keys")
	case len(keys) > maxRingKeys:
		return nil, fmt.Errorf("%d keys: at most %d", len(keys), maxRingKeys)
	}
	r := &ring{keys: make([]ringKey, len(keys))}
	r.columns.Store(&map[string]*ColumnKeys{})
	seen := make(map[KeyID]int, len(keys))
	for i, k := range keys {
		if k.secret == nil {
			return nil, fmt.Errorf("key %d is the zero Key: use GenerateKey or ParseKey", i+1)
		}
		b, prk := k.secret(), extract(k)
		id := keyID(prk)
		if first, ok := seen[id]; ok {
			return nil, fmt.Errorf("keys %d and %d have the same id %s: remove one that is there twice, or generate another", first+1, i+1, id)
		}
		seen[id] = i
		r.keys[i] = ringKey{sealer: newSealer(b[:keySize/2], b[keySize/2:], nil), id: id, prk: prk}
	}
	return &Keyring{ring: func() *ring { return r }}, nil
}

// ParseKeyring reads keys as [ParseKey] does, separated by commas or line breaks. White space around
// keys, empty lines and lines that begin with # are ignored. Errors name the key by its number and
// do not contain it.
func ParseKeyring(s string) (*Keyring, error) {
	r, err := parseKeyring(s)
	if err != nil {
		return nil, fmt.Errorf("fernet: parse key ring: %w", err)
	}
	return r, nil
}

func parseKeyring(s string) (*Keyring, error) {
	if len(s) > maxRingBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxRingBytes)
	}
	var keys []Key
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		for text := range strings.SplitSeq(line, ",") {
			k, err := parseKey(strings.TrimSpace(text))
			if err != nil {
				return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
			}
			keys = append(keys, k)
		}
	}
	return newKeyring(keys)
}

// Join returns the ring of all keys of rings, in their order: to read what was made under the keys of [DjangoFernetFields], say, and
// write under a key of one's own. It refuses what NewKeyring refuses.
func Join(rings ...*Keyring) (*Keyring, error) {
	joined := &ring{}
	joined.columns.Store(&map[string]*ColumnKeys{})
	for _, r := range rings {
		for _, k := range r.ring().keys {
			if first := slices.IndexFunc(joined.keys, func(known ringKey) bool { return known.id == k.id }); first >= 0 {
				return nil, fmt.Errorf("fernet: join key rings: keys %d and %d have the same id %s: remove one that is there twice, or generate another",
					first+1, len(joined.keys)+1, k.id)
			}
			joined.keys = append(joined.keys, k)
		}
	}
	if n := len(joined.keys); n == 0 || n > maxRingKeys {
		return nil, fmt.Errorf("fernet: join key rings: %d keys: want 1 to %d", n, maxRingKeys)
	}
	return &Keyring{ring: func() *ring { return joined }}, nil
}

// Encrypt returns the token of plaintext under the first key, with the current time in it, which
// anyone can read.
func (r *Keyring) Encrypt(plaintext []byte) []byte { return r.AppendEncrypt(nil, plaintext) }

// AppendEncrypt appends what [Keyring.Encrypt] returns to dst. With enough capacity in dst it does
// not allocate. plaintext may share memory with dst.
func (r *Keyring) AppendEncrypt(dst, plaintext []byte) []byte {
	return r.ring().keys[0].seal(dst, plaintext, uint64(time.Now().Unix()), randomIV())
}

// Decrypt returns the plaintext of a token made under any key of the ring, however old, or
// [ErrInvalidToken]. An empty plaintext is not nil.
func (r *Keyring) Decrypt(token []byte) ([]byte, error) { return r.AppendDecrypt(nil, token) }

// AppendDecrypt appends what [Keyring.Decrypt] returns to dst; with an error it returns dst as it
// was. With room for the plaintext and 16 bytes in dst it does not allocate. token may share memory
// with dst.
func (r *Keyring) AppendDecrypt(dst, token []byte) ([]byte, error) {
	o, err := r.ring().open(dst, token, noLimit)
	return o.dst, err
}

// DecryptWithTTL is [Keyring.Decrypt] for tokens that expire: it also refuses a token whose time
// lies more than ttl in the past, or more than clockSkew in the future; other libraries use a
// minute for that. Tokens hold whole seconds, and both limits are rounded down to them.
func (r *Keyring) DecryptWithTTL(token []byte, ttl, clockSkew time.Duration) ([]byte, error) {
	o, err := r.ring().open(nil, token, within(time.Now(), ttl, clockSkew))
	return o.dst, err
}

// NeedsRotation reports whether a token was made under another key than the first. It gives
// [ErrInvalidToken] where Decrypt does.
func (r *Keyring) NeedsRotation(token []byte) (bool, error) {
	o, err := r.ring().open(nil, token, noLimit)
	return o.key > 0, err
}

// Rotate returns a token of the same plaintext and time under the first key, and true. A token that
// is under the first key already is returned as it is, with false.
func (r *Keyring) Rotate(token []byte) (rotated []byte, changed bool, err error) {
	ring := r.ring()
	o, err := ring.open(nil, token, noLimit)
	if err != nil || o.key == 0 {
		return token, false, err
	}
	defer clear(o.dst)
	return ring.keys[0].seal(nil, o.dst, o.time, randomIV()), true, nil
}

// opened is what decryption found: dst with the plaintext, the place of the key, and the time field.
type opened struct {
	dst  []byte
	key  int
	time uint64
}

func (r *ring) open(dst, token []byte, l limit) (opened, error) {
	first := r.keys[0]
	st := first.get()
	defer first.put(st)
	raw, ok := st.decode(token)
	if !ok {
		return opened{dst: dst}, ErrInvalidToken
	}
	return r.openRaw(dst, raw, l)
}

// openRaw tries every key.
func (r *ring) openRaw(dst, raw []byte, l limit) (opened, error) {
	for i := range r.keys {
		if plaintext, ok := r.keys[i].open(dst, raw); ok {
			if t := timeField(raw); l.allows(t) {
				return opened{plaintext, i, t}, nil
			}
			clear(plaintext[len(dst):])
			break
		}
	}
	return opened{dst: dst}, ErrInvalidToken
}

// limit is the range of time fields that are accepted.
type limit struct{ from, to uint64 }

var noLimit = limit{0, math.MaxUint64}

func (l limit) allows(t uint64) bool { return l.from <= t && t <= l.to }

func within(now time.Time, ttl, clockSkew time.Duration) limit {
	if ttl < 0 {
		return limit{1, 0}
	}
	t := max(now.Unix(), 0)
	return limit{
		from: uint64(max(t-int64(ttl/time.Second), 0)),
		to:   uint64(t) + uint64(max(clockSkew, 0)/time.Second),
	}
}

// KeyIDs returns the ids of the keys, in the ring's order.
func (r *Keyring) KeyIDs() []KeyID {
	keys := r.ring().keys
	ids := make([]KeyID, len(keys))
	for i := range ids {
		ids[i] = keys[i].id
	}
	return ids
}

// LogKey returns 32 secret bytes for keyed hashes in logs, so that lines about one user can be
// found without naming the user. They come from the ring's last key and so stay the same when a new
// first key is added, until the last one is taken away.
func (r *Keyring) LogKey() []byte {
	keys := r.ring().keys
	return expand(keys[len(keys)-1].prk, "log", 32)
}

// Keyring returns r: a ring is the [KeySource] of keys that do not change.
func (r *Keyring) Keyring(context.Context, string) (*Keyring, error) { return r, nil }

// maxCachedLabels bounds what a caller with ever new labels can make a ring remember.
const maxCachedLabels = 1024

// Derive returns the keys of the columns that share label, one for each key of the ring. Tokens
// made under them do not decrypt under those of another label. The set is made once and remembered;
// labels name columns, not rows: beyond 1,024 of them each call derives again.
// An empty label is refused.
func (r *Keyring) Derive(label string) (*ColumnKeys, error) {
	ring := r.ring()
	if c, ok := (*ring.columns.Load())[label]; ok {
		return c, nil
	}
	if label == "" {
		return nil, errors.New("fernet: derive column keys: empty label")
	}
	ring.derive.Lock()
	defer ring.derive.Unlock()
	known := *ring.columns.Load()
	if c, ok := known[label]; ok {
		return c, nil
	}
	label = strings.Clone(label)
	c := newColumnKeys(ring, label)
	if len(known) < maxCachedLabels {
		known = maps.Clone(known)
		known[label] = c
		ring.columns.Store(&known)
	}
	return c, nil
}

func newColumnKeys(r *ring, label string) *ColumnKeys {
	info := []byte("column")
	info = binary.BigEndian.AppendUint32(info, uint32(len(label)))
	info = append(info, label...)
	info = append(info, 0)
	c := &column{ring: r, label: label, keys: make([]columnKey, len(r.keys))}
	for i, k := range r.keys {
		b := expand(k.prk, string(info), 64)
		c.keys[i] = columnKey{sealer: newSealer(b[:16], b[16:32], b[32:]), id: k.id}
	}
	return &ColumnKeys{column: func() *column { return c }}
}
