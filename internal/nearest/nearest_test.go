package nearest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pganon/pganon/internal/nearest"
)

func TestOf(t *testing.T) {
	known := []string{"encrypt", "deterministic", "key", "mask", "redact", "fold"}
	for name, want := range map[string]string{
		"determinstic":           "deterministic",
		"encrypted":              "encrypt",
		"keys":                   "key",
		"Mask":                   "mask",
		"":                       "key",
		"fold":                   "fold",
		strings.Repeat("x", 999): "deterministic",
	} {
		assert.Equal(t, want, nearest.Of(name, known...), "%.20s", name)
	}
	assert.Equal(t, "a", nearest.Of("c", "b", "a"), "of equals the first")
	assert.Empty(t, nearest.Of("x"))
}
