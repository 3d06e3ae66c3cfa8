// Package fernet_test measures package fernet against the bare primitives and against fernet-go.
//
//	go test -bench . ./...
//
// A round runs package fernet and the primitives in turns of 2 ms, ten times each, and fernet-go for
// as many calls; both parts begin with an empty heap, so that fernet-go pays for its garbage and
// nobody else does. Ratios are taken between neighbours, and their median is reported, so that a noisy
// machine disturbs all alike. "x-bare" is package fernet's time over that of the primitives (less is
// better), "x-fernet-go" is fernet-go's time over that of package fernet (more is better).
package fernet_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"testing"
	"time"

	fernetgo "github.com/fernet/fernet-go"

	"github.com/pganon/pganon/fernet"
)

var sizes = []int{16, 128, 1024, 65536}

func Benchmark(b *testing.B) {
	for _, size := range sizes {
		plaintext := bytes.Repeat([]byte{'x'}, size)
		key := fernet.GenerateKey()
		ring, err := fernet.NewKeyring(key)
		if err != nil {
			b.Fatal(err)
		}
		column, err := ring.Derive("app.users.email")
		if err != nil {
			b.Fatal(err)
		}
		id := column.KeyIDs()[0]
		token := ring.Encrypt(plaintext)
		columnToken, err := column.Encrypt(plaintext, fernet.Random, id)
		if err != nil {
			b.Fatal(err)
		}
		theirKeys := fernetgo.MustDecodeKeys(key.Encode())
		bare := newPrimitives(key.UnsafeBytes(), token)
		buf := make([]byte, 0, len(token)+aes.BlockSize)

		if got := fernetgo.VerifyAndDecrypt(token, 0, theirKeys); !bytes.Equal(got, plaintext) {
			b.Fatal("fernet-go does not read the token")
		}
		if bare.decrypt(); !bytes.HasPrefix(bare.body, plaintext) {
			b.Fatal("the primitives do not read the token")
		}
		if bare.encrypt(); !bytes.Equal(bare.text, token) {
			b.Fatal("the primitives make another token")
		}

		encryptBare, decryptBare := bare.encrypt, bare.decrypt
		encryptTheirs := func() { fernetgo.EncryptAndSign(plaintext, theirKeys[0]) }
		decryptTheirs := func() { fernetgo.VerifyAndDecrypt(token, 0, theirKeys) }
		for _, c := range []struct {
			name               string
			ours, bare, theirs func()
		}{
			{"encrypt", func() { buf = ring.AppendEncrypt(buf[:0], plaintext) }, encryptBare, encryptTheirs},
			{"decrypt", func() { buf, _ = ring.AppendDecrypt(buf[:0], token) }, decryptBare, decryptTheirs},
			{"column encrypt", func() { buf, _ = column.AppendEncrypt(buf[:0], plaintext, fernet.Random, id) }, encryptBare, encryptTheirs},
			{"column decrypt", func() { buf, _ = column.AppendDecrypt(buf[:0], columnToken) }, decryptBare, decryptTheirs},
			{"encrypt, new slice", func() { ring.Encrypt(plaintext) }, encryptBare, encryptTheirs},
			{"decrypt, new slice", func() { ring.Decrypt(token) }, decryptBare, decryptTheirs},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				compare(b, 1+2_000_000/(1500+11*size), c.ours, c.bare, c.theirs)
			})
		}
	}
}

func compare(b *testing.B, calls int, ours, bare, theirs func()) {
	const turns = 10
	var oursNs, bareNs, theirsNs, toBare, toTheirs []float64
	for round := 0; b.Loop(); round++ {
		runtime.GC()
		sum := 0.0
		for turn := range turns {
			var o, p float64
			if (round+turn)%2 == 0 {
				o, p = perCall(ours, calls), perCall(bare, calls)
			} else {
				p, o = perCall(bare, calls), perCall(ours, calls)
			}
			sum += o
			oursNs, bareNs, toBare = append(oursNs, o), append(bareNs, p), append(toBare, o/p)
		}
		runtime.GC()
		t := perCall(theirs, turns*calls)
		theirsNs, toTheirs = append(theirsNs, t), append(toTheirs, t/(sum/turns))
	}
	b.ReportMetric(median(oursNs), "ns/op")
	b.ReportMetric(median(bareNs), "bare-ns")
	b.ReportMetric(median(theirsNs), "fernet-go-ns")
	b.ReportMetric(median(toBare), "x-bare")
	b.ReportMetric(median(toTheirs), "x-fernet-go")
	b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs/op")
}

func perCall(f func(), calls int) (ns float64) {
	start := time.Now()
	for range calls {
		f()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(calls)
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// primitives are AES-128-CBC, HMAC-SHA256 and base64url on the bytes of one token, with all that
// can be prepared prepared: no random IV, no clock, no key schedule, no copy, no check, no allocation.
type primitives struct {
	enc, dec cbc
	mac      hash.Hash
	sum      [sha256.Size]byte
	raw      []byte // the token before base64
	iv, body []byte // parts of raw; body is plaintext or ciphertext
	padded   []byte // the plaintext with its padding
	text     []byte
}

type cbc interface {
	cipher.BlockMode
	SetIV([]byte)
}

func newPrimitives(key, token []byte) *primitives {
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		panic(err)
	}
	raw, err := base64.URLEncoding.DecodeString(string(token))
	if err != nil {
		panic(err)
	}
	p := &primitives{mac: hmac.New(sha256.New, key[:16]), raw: raw, text: bytes.Clone(token)}
	p.mac.Reset()
	p.iv, p.body = raw[9:25], make([]byte, len(raw)-25-sha256.Size)
	p.enc = cipher.NewCBCEncrypter(block, p.iv).(cbc)
	p.dec = cipher.NewCBCDecrypter(block, p.iv).(cbc)
	p.decrypt()
	p.padded = bytes.Clone(p.body)
	return p
}

func (p *primitives) encrypt() {
	signed := len(p.raw) - sha256.Size
	p.enc.SetIV(p.iv)
	p.enc.CryptBlocks(p.raw[25:signed], p.padded)
	p.mac.Reset()
	p.mac.Write(p.raw[:signed])
	p.mac.Sum(p.raw[:signed])
	base64.URLEncoding.Encode(p.text, p.raw)
}

func (p *primitives) decrypt() {
	base64.URLEncoding.Decode(p.raw, p.text)
	signed := len(p.raw) - sha256.Size
	p.mac.Reset()
	p.mac.Write(p.raw[:signed])
	p.mac.Sum(p.sum[:0])
	p.dec.SetIV(p.iv)
	p.dec.CryptBlocks(p.body, p.raw[25:signed])
}
