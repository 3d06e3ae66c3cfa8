package fernet

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// reference decodes as decodeBase64 must: what encoding/base64 reads and writes back as it was.
func reference(text []byte) ([]byte, bool) {
	b, err := base64.URLEncoding.DecodeString(string(text))
	return b, err == nil && base64.URLEncoding.EncodeToString(b) == string(text)
}

func decoded(text []byte) ([]byte, bool) {
	dst := make([]byte, base64.URLEncoding.DecodedLen(len(text)))
	n, ok := decodeBase64(dst, text)
	return dst[:n], ok
}

func TestBase64IsThatOfTheStandardLibrary(t *testing.T) {
	chacha := rand.NewChaCha8([32]byte{})
	for n := range 300 {
		for range 10 {
			b := make([]byte, n)
			chacha.Read(b)
			text := appendBase64([]byte("prefix"), b)
			assert.Equal(t, "prefix"+base64.URLEncoding.EncodeToString(b), string(text))
			got, ok := decoded(text[6:])
			assert.True(t, ok)
			assert.Equal(t, b, got)
		}
	}
	// Every pair of characters, in each place of eight.
	for x := range 1 << 12 {
		for shift := range 4 {
			b := make([]byte, 9)
			v := uint64(x) << (12 * shift)
			for i := range 6 {
				b[i] = byte(v >> (40 - 8*i))
			}
			text := appendBase64(nil, b)
			assert.Equal(t, base64.URLEncoding.EncodeToString(b), string(text))
			got, ok := decoded(text)
			assert.True(t, ok && bytes.Equal(b, got))
		}
	}
	// Every byte in every place of texts of several lengths.
	for n := range 24 {
		b := make([]byte, n)
		chacha.Read(b)
		text := base64.URLEncoding.AppendEncode(nil, b)
		for i := range text {
			for c := range 256 {
				changed := bytes.Clone(text)
				changed[i] = byte(c)
				want, wantOK := reference(changed)
				got, ok := decoded(changed)
				assert.Equal(t, wantOK, ok, "%q", changed)
				if ok {
					assert.Equal(t, want, got)
				}
			}
			_, ok := decoded(text[:i])
			_, want := reference(text[:i])
			assert.Equal(t, want, ok)
		}
	}
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "AAAA", "AAA=", "AA==", "AAAAAAAAAAAA", "AAAAAAAAAAA\n", "AAAAAAA\n\n\n\nAAAA=", "____----AAAAAB==", "AAAA\r\n\r\n", "AA==AAAAAAAAAAAA", "+/+/AAAAAAAA"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, wantOK := reference(text)
		got, ok := decoded(text)
		if ok != wantOK || ok && !bytes.Equal(want, got) {
			t.Fatalf("%q: %x %t, want %x %t", text, got, ok, want, wantOK)
		}
		if again := appendBase64(nil, text); string(again) != base64.URLEncoding.EncodeToString(text) {
			t.Fatalf("%q", again)
		}
	})
}
