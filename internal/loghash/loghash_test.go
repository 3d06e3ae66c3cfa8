package loghash_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/loghash"
)

func TestSum(t *testing.T) {
	alice := loghash.Sum("user", "alice@example.com")
	assert.Regexp(t, `^[0-9a-f]{12}$`, alice)
	assert.Equal(t, alice, loghash.Sum("user", "alice@example.com"))
	assert.NotEqual(t, alice, loghash.Sum("user", "bob@example.com"))
	assert.NotEqual(t, alice, loghash.Sum("tenant", "alice@example.com"))
	assert.NotEqual(t, loghash.Sum("user", "x"), loghash.Sum("use", "rx"))
	// HMAC-SHA256 under the empty key: what anyone could compute to guess the address.
	assert.NotEqual(t, "7b2607a0170f", alice)
}

func TestSetKey(t *testing.T) {
	random := loghash.Sum("user", "alice")
	require.Error(t, loghash.SetKey(make([]byte, 15)))
	assert.Equal(t, random, loghash.Sum("user", "alice"), "a key that is refused changes nothing")

	key := []byte(strings.Repeat("k", 32))
	require.NoError(t, loghash.SetKey(key))
	// printf '\0\0\0\4useralice' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
	assert.Equal(t, "903c37cde7fc", loghash.Sum("user", "alice"))
	clear(key)
	assert.Equal(t, "903c37cde7fc", loghash.Sum("user", "alice"), "the caller's slice is the caller's")
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				assert.NoError(t, loghash.SetKey([]byte("sixteen bytes ok")))
				assert.Len(t, loghash.Sum("user", "alice"), 12)
			}
		})
	}
	wg.Wait()
}
