package fernet

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// Base64 is the one part of a token that encoding/base64 does not do as fast as it can be done: here
// two characters come from one look in a table, and what is wrong in a text is asked once, at its
// end. The last bytes, with the padding, are left to encoding/base64.

var (
	encoding = base64.URLEncoding
	strict   = encoding.Strict() // refuses bits in a last character that no byte uses
)

// twoChars gives the characters of 12 bits.
var twoChars = func() (t [1 << 12]uint16) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range t {
		t[i] = uint16(alphabet[i>>6])<<8 | uint16(alphabet[i&63])
	}
	return t
}()

// charBits gives the bits of a character in the 24 bits of its quartet, by its place there.
var charBits = func() (t [4][256]uint32) {
	for place := range t {
		for c := range t[place] {
			t[place][c] = noChar
		}
		for i := range uint32(64) {
			t[place][twoChars[i]&0xFF] = i << (18 - 6*place)
		}
	}
	return t
}()

const noChar = 1 << 31

// appendBase64 appends src as padded base64url.
func appendBase64(dst, src []byte) []byte {
	n := encoding.EncodedLen(len(src))
	dst = slices.Grow(dst, n)[:len(dst)+n]
	out := dst[len(dst)-n:]
	for len(src) >= 8 { // to read 8 bytes for 6; out has room for 12 characters or more
		x := binary.BigEndian.Uint64(src)
		binary.BigEndian.PutUint64(out, uint64(twoChars[x>>52])<<48|
			uint64(twoChars[x>>40&0xFFF])<<32|
			uint64(twoChars[x>>28&0xFFF])<<16|
			uint64(twoChars[x>>16&0xFFF]))
		src, out = src[6:], out[8:]
	}
	encoding.Encode(out, src)
	return dst
}

// decodeBase64 writes the bytes of padded base64url to dst, which has room for DecodedLen of them.
// It takes only what appendBase64 writes.
func decodeBase64(dst, src []byte) (n int, ok bool) {
	if len(src)%4 != 0 {
		return 0, false
	}
	seen := uint32(0)
	for len(src) > 8 { // to write 8 bytes for 6; dst has room for 9 or more
		s := src[:8]
		a := charBits[0][s[0]] | charBits[1][s[1]] | charBits[2][s[2]] | charBits[3][s[3]]
		b := charBits[0][s[4]] | charBits[1][s[5]] | charBits[2][s[6]] | charBits[3][s[7]]
		seen |= a | b
		binary.BigEndian.PutUint64(dst, uint64(a)<<40|uint64(b)<<16)
		src, dst, n = src[8:], dst[6:], n+6
	}
	m, err := strict.Decode(dst, src)
	// encoding/base64 skips line breaks; the length tells.
	return n + m, err == nil && seen&noChar == 0 && encoding.EncodedLen(m) == len(src)
}
