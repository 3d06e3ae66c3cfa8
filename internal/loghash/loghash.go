// Package loghash makes short keyed hashes, so that two log lines about one value can be compared and the value not guessed:
// an unkeyed hash of an e-mail address is the address.
package loghash

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
)

const (
	minKey = 16
	shown  = 6 // bytes: two of a thousand values meet once in half a billion times
)

// key is the process's, not a connector's: an Identity prints itself and knows of none.
var key atomic.Pointer[[]byte]

func init() {
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // it never fails
	key.Store(&random)
}

// SetKey makes k, at least 16 bytes of secret, the key of this process instead of a random one, so that hashes can be compared
// across processes and restarts.
func SetKey(k []byte) error {
	if len(k) < minKey {
		return fmt.Errorf("pganon: set log key: %d bytes are fewer than %d", len(k), minKey)
	}
	own := append([]byte(nil), k...)
	key.Store(&own)
	return nil
}

// Sum returns 12 hex characters that are equal for equal kind and value. Kind ("user") keeps a value that plays two parts from
// showing that it does.
func Sum(kind, value string) string {
	h := hmac.New(sha256.New, *key.Load())
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(kind)))
	h.Write(size[:])
	h.Write([]byte(kind))
	h.Write([]byte(value))
	return hex.EncodeToString(h.Sum(nil)[:shown])
}
