package fernet

import (
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
)

// DjangoFernetFields returns the ring that reads and writes the values of django-fernet-fields and
// django-fernet-fields-v2. The keys are the strings of the setting FERNET_KEYS or, where it is not
// set, the one string SECRET_KEY; the ring's keys are derived from them by HKDF-SHA256. An empty one
// is refused. With FERNET_USE_HKDF=False the strings are Fernet keys: use [ParseKeyring].
//
// The library stores each token as text in a bytea column.
func DjangoFernetFields(keys ...string) (*Keyring, error) {
	ring := make([]Key, 0, len(keys))
	for i, s := range keys {
		if s == "" {
			return nil, fmt.Errorf("fernet: derive keys of django-fernet-fields: key %d is empty", i+1)
		}
		b, err := hkdf.Key(sha256.New, []byte(s), []byte("django-fernet-fields-hkdf-salt"), "django-fernet-fields", keySize)
		if err != nil {
			return nil, fmt.Errorf("fernet: derive keys of django-fernet-fields: %w", err)
		}
		ring = append(ring, newKey([keySize]byte(b)))
	}
	return NewKeyring(ring...)
}

// DjangoFernetEncryptedFields returns the ring that reads and writes the values of jazzband's
// django-fernet-encrypted-fields. secretKeys are the settings SECRET_KEY and SECRET_KEY_FALLBACKS,
// saltKeys the one or more strings of SALT_KEY; each pair of them makes a key by 100,000 rounds of
// PBKDF2-SHA256, some 50 ms of work. Empty ones are refused.
//
// The library stores each token in a text column, but of an EncryptedJSONField each value inside
// the JSON is a token of its own.
func DjangoFernetEncryptedFields(secretKeys, saltKeys []string) (*Keyring, error) {
	const doing = "fernet: derive keys of django-fernet-encrypted-fields"
	if len(secretKeys)*len(saltKeys) > maxRingKeys {
		return nil, fmt.Errorf("%s: %d keys: at most %d", doing, len(secretKeys)*len(saltKeys), maxRingKeys)
	}
	var ring []Key
	for _, secret := range secretKeys {
		for _, salt := range saltKeys {
			if secret == "" || salt == "" {
				return nil, errors.New(doing + ": empty secret key or salt key")
			}
			b, err := pbkdf2.Key(sha256.New, secret, []byte(salt), 100_000, keySize)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", doing, err)
			}
			ring = append(ring, newKey([keySize]byte(b)))
		}
	}
	return NewKeyring(ring...)
}
