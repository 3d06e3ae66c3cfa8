package fernet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"sync"
)

// Token layout of the Fernet spec, before base64url:
// version (1) ‖ time (8) ‖ IV (16) ‖ AES-128-CBC ciphertext (16·n) ‖ HMAC-SHA256 of all that (32).
const (
	version  = 0x80
	timeAt   = 1
	ivAt     = timeAt + 8
	bodyAt   = ivAt + aes.BlockSize
	overhead = bodyAt + sha256.Size
)

// sealer makes and reads tokens under one key. It is safe for concurrent use.
type sealer struct{ states sync.Pool }

// state is what one goroutine needs to use a key. The pool makes new ones by cloning, so the key
// schedule and the hash of HMAC's key blocks are computed once per key.
type state struct {
	mac, iv  hash.Hash // iv is nil where there are no deterministic tokens
	enc, dec cbc
	sum      [sha256.Size]byte
	raw      []byte // a token before base64; holds no plaintext between uses
}

// maxKept is the largest buffer that a state keeps between tokens.
const maxKept = 1 << 17

func (s *sealer) get() *state { return s.states.Get().(*state) }

func (s *sealer) put(st *state) {
	if cap(st.raw) > maxKept {
		st.raw = nil
	}
	s.states.Put(st)
}

func (st *state) buffer(n int) []byte {
	if cap(st.raw) < n {
		st.raw = make([]byte, n)
	}
	return st.raw[:n]
}

// cbc is a CBC mode that starts again at another IV without being made anew; crypto/tls relies on it too.
type cbc interface {
	cipher.BlockMode
	SetIV([]byte)
}

// newSealer takes the keys for signing and encryption, and the one for the IVs of deterministic tokens or nil.
func newSealer(signKey, encryptKey, ivKey []byte) *sealer {
	block, err := aes.NewCipher(encryptKey)
	if err != nil {
		panic("fernet: " + err.Error()) // a length that no caller passes
	}
	mac := keyedHash(signKey)
	var iv hash.Cloner
	if ivKey != nil {
		iv = keyedHash(ivKey)
	}
	s := &sealer{}
	s.states.New = func() any {
		st := &state{mac: clone(mac)}
		if iv != nil {
			st.iv = clone(iv)
		}
		var zero [aes.BlockSize]byte
		st.enc = cipher.NewCBCEncrypter(block, zero[:]).(cbc)
		st.dec = cipher.NewCBCDecrypter(block, zero[:]).(cbc)
		return st
	}
	return s
}

func keyedHash(key []byte) hash.Cloner {
	h := hmac.New(sha256.New, key)
	h.Reset() // crypto/hmac keeps the hashed key blocks from the first Reset on
	return h.(hash.Cloner)
}

func clone(h hash.Cloner) hash.Hash {
	c, err := h.Clone()
	if err != nil {
		panic("fernet: " + err.Error()) // HMAC over a hash of the standard library always clones
	}
	return c
}

func randomIV() (iv [aes.BlockSize]byte) {
	rand.Read(iv[:])
	return iv
}

// deterministicIV is the IV that all tokens of plaintext under this key share.
func (s *sealer) deterministicIV(plaintext []byte) [aes.BlockSize]byte {
	st := s.get()
	st.iv.Reset()
	st.iv.Write(plaintext)
	iv := [aes.BlockSize]byte(st.iv.Sum(st.sum[:0]))
	s.put(st)
	return iv
}

// seal appends the token of plaintext. plaintext may share memory with dst.
func (s *sealer) seal(dst, plaintext []byte, timeField uint64, iv [aes.BlockSize]byte) []byte {
	st := s.get()
	padding := aes.BlockSize - len(plaintext)%aes.BlockSize
	n := overhead + len(plaintext) + padding
	raw, signed := st.buffer(n), n-sha256.Size

	raw[0] = version
	binary.BigEndian.PutUint64(raw[timeAt:], timeField)
	copy(raw[ivAt:], iv[:])
	body := raw[bodyAt:signed]
	for i := copy(body, plaintext); i < len(body); i++ {
		body[i] = byte(padding)
	}
	st.enc.SetIV(raw[ivAt:bodyAt])
	st.enc.CryptBlocks(body, body)
	st.mac.Reset()
	st.mac.Write(raw[:signed])
	st.mac.Sum(raw[:signed])

	dst = appendBase64(dst, raw)
	s.put(st)
	return dst
}

// open appends the plaintext of raw, as decode gives it. Nothing is decrypted before the MAC is known to be right.
func (s *sealer) open(dst, raw []byte) ([]byte, bool) {
	st := s.get()
	signed := len(raw) - sha256.Size
	st.mac.Reset()
	st.mac.Write(raw[:signed])
	if !hmac.Equal(st.mac.Sum(st.sum[:0]), raw[signed:]) {
		s.put(st)
		return dst, false
	}
	body := raw[bodyAt:signed]
	start, n := len(dst), len(body)
	dst = slices.Grow(dst, n)
	plain := dst[start : start+n]
	st.dec.SetIV(raw[ivAt:bodyAt])
	st.dec.CryptBlocks(plain, body)
	s.put(st)

	padding := int(plain[n-1])
	if padding == 0 || padding > aes.BlockSize {
		clear(plain)
		return dst[:start], false
	}
	for _, b := range plain[n-padding:] {
		if int(b) != padding {
			clear(plain)
			return dst[:start], false
		}
	}
	return dst[:start+n-padding], true
}

// decode gives the bytes of a token of the right shape. They are the state's, until it is put back.
func (st *state) decode(token []byte) (raw []byte, ok bool) {
	raw = st.buffer(encoding.DecodedLen(len(token)))
	n, ok := decodeBase64(raw, token)
	ok = ok && n >= overhead+aes.BlockSize && (n-overhead)%aes.BlockSize == 0 && raw[0] == version
	return raw[:n], ok
}

func timeField(raw []byte) uint64 { return binary.BigEndian.Uint64(raw[timeAt:]) }
