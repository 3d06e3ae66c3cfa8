package fernet

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const keySize = 32

// Key is a Fernet key: 16 bytes that sign and 16 that encrypt.
// It prints as [REDACTED] in every verb of fmt, in JSON and in slog, and hides its bytes from
// printers that use reflection. The zero Key is no key; [NewKeyring] refuses it.
type Key struct {
	redacted
	secret func() [keySize]byte
}

func newKey(b [keySize]byte) Key { return Key{secret: func() [keySize]byte { return b }} }

// GenerateKey returns a new random key.
func GenerateKey() Key {
	var b [keySize]byte
	rand.Read(b[:])
	return newKey(b)
}

// ParseKey reads a key in the form that [Key.Encode] and every other Fernet library write: 32 bytes
// as 44 characters of padded base64url. It refuses anything else, white space, the alphabet with
// + and /, and a second spelling of the same bytes included. The error does not contain the key.
func ParseKey(s string) (Key, error) {
	k, err := parseKey(s)
	if err != nil {
		return Key{}, fmt.Errorf("fernet: parse key: %w", err)
	}
	return k, nil
}

func parseKey(s string) (Key, error) {
	if want := encoding.EncodedLen(keySize); len(s) != want {
		return Key{}, fmt.Errorf("want %d characters of base64url, got %d", want, len(s))
	}
	b, err := strict.DecodeString(s)
	if err == nil && len(b) == keySize {
		return newKey([keySize]byte(b)), nil
	}
	if b, err := encoding.DecodeString(s); err == nil && len(b) == keySize {
		return Key{}, errors.New("not as a Fernet library writes it: the last character before = has bits that no byte of the key uses")
	}
	return Key{}, errors.New("not base64url of 32 bytes: 43 of A-Z, a-z, 0-9, - and _, then one =")
}

// Encode returns the key as text, for a secret store. It is all that is needed to read every token.
// Of the zero Key it is the empty string.
func (k Key) Encode() string { return encoding.EncodeToString(k.UnsafeBytes()) }

// UnsafeBytes returns a copy of the key's 32 bytes. They are not redacted anywhere: hand them only
// to a key store. Of the zero Key it is nil.
func (k Key) UnsafeBytes() []byte {
	if k.secret == nil {
		return nil
	}
	b := k.secret()
	return b[:]
}

// ID returns the id under which the tokens of columns name the key; it is no secret.
// Of the zero Key it is the zero KeyID.
func (k Key) ID() KeyID {
	if k.secret == nil {
		return KeyID{}
	}
	return keyID(extract(k))
}

// KeyID names a key in the tokens of columns, where its four characters are the ninth to the
// twelfth. It depends on the key alone, and is no secret.
type KeyID [3]byte

// ParseKeyID reads the four characters that [KeyID.String] writes.
func ParseKeyID(s string) (KeyID, error) {
	var id KeyID
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, fmt.Errorf("fernet: parse key id: want 4 characters of base64url, got %d", len(s))
	}
	if n, err := base64.RawURLEncoding.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return KeyID{}, errors.New("fernet: parse key id: not base64url")
	}
	return id, nil
}

// String returns the id as it stands in a token: four characters of base64url.
func (id KeyID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// extract is HKDF-Extract (RFC 5869) of k: what all that is derived from k is derived from.
func extract(k Key) []byte {
	prk, err := hkdf.Extract(sha256.New, k.UnsafeBytes(), []byte("pganon/v1"))
	if err != nil {
		panic("fernet: " + err.Error()) // SHA-256 and a 32-byte key are always allowed
	}
	return prk
}

func expand(prk []byte, info string, size int) []byte {
	b, err := hkdf.Expand(sha256.New, prk, info, size)
	if err != nil {
		panic("fernet: " + err.Error()) // a size that no caller passes
	}
	return b
}

func keyID(prk []byte) KeyID { return KeyID(expand(prk, "keyid", 3)) }

const redactedText = "[REDACTED]"

// redacted is embedded in what holds keys. What embeds it also keeps the keys behind a func, which
// fmt (for unexported fields), spew and go-cmp cannot look into.
type redacted struct{}

// Format implements [fmt.Formatter].
func (redacted) Format(f fmt.State, _ rune) { io.WriteString(f, redactedText) }

// MarshalText implements [encoding.TextMarshaler], and through it JSON, XML and YAML.
func (redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

// LogValue implements [slog.LogValuer].
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }
