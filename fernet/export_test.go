package fernet

import "time"

// SealAt makes the token of plaintext under k with the given time field and IV.
func SealAt(k Key, plaintext []byte, timeField uint64, iv [16]byte) []byte {
	b := k.secret()
	return newSealer(b[:keySize/2], b[keySize/2:], nil).seal(nil, plaintext, timeField, iv)
}

// DecryptAt is DecryptWithTTL at a time of the test's choice.
func (r *Keyring) DecryptAt(token []byte, ttl, clockSkew time.Duration, now time.Time) ([]byte, error) {
	o, err := r.ring().open(nil, token, within(now, ttl, clockSkew))
	return o.dst, err
}

const (
	MaxCachedLabels = maxCachedLabels
	RereadEvery     = rereadEvery
)
