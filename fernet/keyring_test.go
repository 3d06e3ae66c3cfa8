package fernet_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

var raceEnabled bool

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, to))
}

// specVector is an entry of the Fernet spec's generate.json, verify.json and invalid.json.
type specVector struct {
	Desc   string
	Token  string
	Now    time.Time
	IV     [16]byte
	TTLSec int `json:"ttl_sec"`
	Src    string
	Secret string
}

func specVectors(t testing.TB, name string) []specVector {
	var v []specVector
	readJSON(t, "testdata/"+name, &v)
	require.NotEmpty(t, v)
	return v
}

func TestSpecGenerate(t *testing.T) {
	for _, v := range specVectors(t, "generate.json") {
		got := fernet.SealAt(mustKey(t, v.Secret), []byte(v.Src), uint64(v.Now.Unix()), v.IV)
		assert.Equal(t, v.Token, string(got))
	}
}

func TestSpecVerify(t *testing.T) {
	for _, v := range specVectors(t, "verify.json") {
		ring := mustRing(t, fernet.GenerateKey(), mustKey(t, v.Secret))
		got, err := ring.DecryptAt([]byte(v.Token), time.Duration(v.TTLSec)*time.Second, time.Minute, v.Now)
		require.NoError(t, err)
		assert.Equal(t, v.Src, string(got))
	}
}

func TestSpecInvalid(t *testing.T) {
	// Those that are wrong only because of their time are right without a limit.
	onlyTime := map[string]bool{"far-future TS (unacceptable clock skew)": true, "expired TTL": true}
	for _, v := range specVectors(t, "invalid.json") {
		t.Run(v.Desc, func(t *testing.T) {
			ring := mustRing(t, mustKey(t, v.Secret))
			got, err := ring.DecryptAt([]byte(v.Token), time.Duration(v.TTLSec)*time.Second, time.Minute, v.Now)
			assert.Equal(t, fernet.ErrInvalidToken, err)
			assert.Nil(t, got)
			_, err = ring.Decrypt([]byte(v.Token))
			if onlyTime[v.Desc] {
				assert.NoError(t, err)
				delete(onlyTime, v.Desc)
			} else {
				assert.Equal(t, fernet.ErrInvalidToken, err)
			}
		})
	}
	assert.Empty(t, onlyTime)
}

func TestRoundTrip(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	lengths := []int{127, 128, 1024, 65536, 131072, 1 << 20}
	for n := range 100 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		plaintext := bytes.Repeat([]byte{byte(n)}, n)
		token := ring.Encrypt(plaintext)
		assert.Len(t, token, base64.URLEncoding.EncodedLen(57+n/16*16+16))
		assert.True(t, bytes.HasPrefix(token, []byte("gAAAAA")))
		got, err := ring.Decrypt(token)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plaintext, got))
		assert.NotNil(t, got)
		assert.NotEqual(t, token, ring.Encrypt(plaintext), "each token has an IV of its own")
	}
	got, err := ring.Decrypt(ring.Encrypt(nil))
	require.NoError(t, err)
	assert.Equal(t, []byte{}, got)
}

func TestFirstKeyEncryptsAllDecrypt(t *testing.T) {
	a, b, c := fernet.GenerateKey(), fernet.GenerateKey(), fernet.GenerateKey()
	ring := mustRing(t, a, b, c)
	for i, k := range []fernet.Key{a, b, c} {
		only := mustRing(t, k)
		got, err := ring.Decrypt(only.Encrypt([]byte("x")))
		require.NoError(t, err)
		assert.Equal(t, "x", string(got))

		got, err = only.Decrypt(ring.Encrypt([]byte("x")))
		if i == 0 {
			require.NoError(t, err)
			assert.Equal(t, "x", string(got))
		} else {
			assert.Equal(t, fernet.ErrInvalidToken, err)
		}
	}
	assert.Equal(t, []fernet.KeyID{a.ID(), b.ID(), c.ID()}, ring.KeyIDs())
	_, err := ring.Decrypt(mustRing(t, fernet.GenerateKey()).Encrypt([]byte("x")))
	assert.Equal(t, fernet.ErrInvalidToken, err)
}

func TestNewKeyringRefuses(t *testing.T) {
	k := mustKey(t, specKey)
	oneID := vectors(t).KeysWithOneID
	var many []fernet.Key
	for len(many) < 257 {
		many = append(many, fernet.GenerateKey())
	}
	for name, c := range map[string]struct {
		keys []fernet.Key
		want string
	}{
		"no keys":       {nil, "fernet: make key ring: no keys"},
		"zero key":      {[]fernet.Key{k, {}}, "fernet: make key ring: key 2 is the zero Key: use GenerateKey or ParseKey"},
		"same key":      {[]fernet.Key{k, fernet.GenerateKey(), k}, "keys 1 and 3 have the same id " + k.ID().String()},
		"keys of an id": {[]fernet.Key{mustKey(t, oneID[0]), mustKey(t, oneID[1])}, "keys 1 and 2 have the same id"},
		"too many":      {many, "257 keys: at most 256"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := fernet.NewKeyring(c.keys...)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, r)
		})
	}
	assert.Equal(t, mustKey(t, oneID[0]).ID(), mustKey(t, oneID[1]).ID())
	for _, s := range oneID {
		mustRing(t, mustKey(t, s))
	}
}

func TestParseKeyring(t *testing.T) {
	k1, k2, k3 := fernet.GenerateKey().Encode(), fernet.GenerateKey().Encode(), fernet.GenerateKey().Encode()
	for name, text := range map[string]string{
		"commas":              k1 + "," + k2 + "," + k3,
		"spaces":              "  " + k1 + " , " + k2 + ",\t" + k3 + " ",
		"lines":               k1 + "\n" + k2 + "\n" + k3 + "\n",
		"Windows":             k1 + "\r\n" + k2 + "\r\n\r\n" + k3,
		"comments":            "# since June\n" + k1 + "\n\n  # old, old\n" + k2 + "\n" + k3,
		"commas and lines":    k1 + "," + k2 + "\n" + k3,
		"comment at the end":  k1 + "," + k2 + "\n" + k3 + "\n#",
		"empty line at start": "\n\n" + k1 + "," + k2 + "\n" + k3,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := fernet.ParseKeyring(text)
			require.NoError(t, err)
			assert.Equal(t, mustRing(t, mustKey(t, k1), mustKey(t, k2), mustKey(t, k3)).KeyIDs(), r.KeyIDs())
		})
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":          {"", "fernet: parse key ring: no keys"},
		"comments only":  {"# " + k1 + "\n", "no keys"},
		"comma at end":   {k1 + ",", "key 2: want 44 characters"},
		"empty item":     {k1 + ",," + k2, "key 2: want 44 characters"},
		"bad third":      {k1 + "\n" + k2 + "," + k3[:40], "key 3: want 44 characters of base64url, got 40"},
		"semicolon":      {k1 + ";" + k2, "key 1: want 44 characters of base64url, got 89"},
		"comment behind": {k1 + " # old", "key 1: want 44"},
		"twice":          {k1 + "," + k1, "keys 1 and 2 have the same id"},
		"too long":       {strings.Repeat("#\n", 1<<15) + k1, "longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := fernet.ParseKeyring(c.text)
			require.ErrorContains(t, err, c.want)
			assert.Nil(t, r)
			for _, k := range []string{k1, k2, k3} {
				assert.NotContains(t, err.Error(), k[:10])
				assert.NotContains(t, err.Error(), k[30:40])
			}
		})
	}
}

func TestEveryChangeIsRefused(t *testing.T) {
	k := mustKey(t, specKey)
	ring := mustRing(t, k, fernet.GenerateKey())
	column := mustDerive(t, ring, "a")
	columnToken, err := column.Encrypt([]byte("0123456789"), fernet.Deterministic, k.ID())
	require.NoError(t, err)
	for _, c := range []struct {
		token   []byte
		decrypt func(token []byte) ([]byte, error)
	}{
		{ring.Encrypt([]byte("0123456789")), ring.Decrypt},
		{columnToken, column.Decrypt},
	} {
		refused := func(format string, token []byte, args ...any) {
			t.Helper()
			got, err := c.decrypt(token)
			assert.True(t, err == fernet.ErrInvalidToken, format, args)
			assert.Nil(t, got)
		}
		_, err := c.decrypt(c.token)
		require.NoError(t, err)

		raw, err := base64.URLEncoding.DecodeString(string(c.token))
		require.NoError(t, err)
		for bit := range len(raw) * 8 {
			changed := bytes.Clone(raw)
			changed[bit/8] ^= 1 << (bit % 8)
			refused("bit %d", base64.URLEncoding.AppendEncode(nil, changed), bit)
		}
		for n := range raw {
			refused("cut to %d bytes", base64.URLEncoding.AppendEncode(nil, raw[:n]), n)
			refused("first %d bytes cut", base64.URLEncoding.AppendEncode(nil, raw[n+1:]), n+1)
		}
		for i := range c.token {
			refused("cut to %d characters", c.token[:i], i)
			for b := range 256 {
				if changed := bytes.Clone(c.token); changed[i] != byte(b) {
					changed[i] = byte(b)
					refused("character %d", changed, i)
				}
			}
			for _, more := range []string{"\n", "\r\n", "\n\n\n\n", "\r\r\r\r", "=", "====", "A", "AAAA", "\x00", " "} {
				refused("%q at %d", []byte(string(c.token[:i])+more+string(c.token[i:])), more, i)
			}
		}
		for _, more := range []string{"\n", "\n\n\n\n", "=", "====", "AAAA", " "} {
			refused("%q at the end", append(bytes.Clone(c.token), more...), more)
		}
		refused("unpadded", bytes.TrimRight(c.token, "="))
		refused("empty", nil)
		for v := range 256 {
			if v != 0x80 {
				changed := bytes.Clone(raw)
				changed[0] = byte(v)
				refused("version %d", sign(k, changed[:len(changed)-32]), v)
			}
		}
	}
	assert.Nil(t, errors.Unwrap(fernet.ErrInvalidToken))
}

func TestSignedButOfAnotherShape(t *testing.T) {
	k := mustKey(t, specKey)
	ring := mustRing(t, k)
	column := mustDerive(t, ring, "a")
	whole := encryptBlocks(k, bytes.Repeat([]byte{16}, 64))
	for n := range len(whole) + 1 {
		for name, decrypt := range map[string]func([]byte) ([]byte, error){"ring": ring.Decrypt, "column": column.Decrypt} {
			got, err := decrypt(sign(k, whole[:n]))
			if name == "ring" && n > 25 && (n-25)%16 == 0 {
				assert.NoError(t, err, n)
			} else {
				assert.Equal(t, fernet.ErrInvalidToken, err, n)
				assert.Nil(t, got)
			}
		}
	}
}

func TestDecryptTakesOneTextPerToken(t *testing.T) {
	// 73 bytes and a multiple of 16 more end in each of base64's three ways.
	for _, n := range []int{0, 16, 32} {
		ring := mustRing(t, mustKey(t, specKey))
		token := ring.Encrypt(make([]byte, n))
		end := len(bytes.TrimRight(token, "="))
		taken := 0
		for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
			other := bytes.Clone(token)
			other[end-1] = c
			if _, err := ring.Decrypt(other); err == nil {
				taken++
				assert.Equal(t, token, other)
			}
		}
		assert.Equal(t, 1, taken)
	}
}

func TestAppend(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	column := mustDerive(t, ring, "a")
	id := ring.KeyIDs()[0]
	for name, c := range map[string]struct {
		encrypt func(dst, plaintext []byte) []byte
		decrypt func(dst, token []byte) ([]byte, error)
	}{
		"ring": {ring.AppendEncrypt, ring.AppendDecrypt},
		"column": {func(dst, plaintext []byte) []byte {
			token, err := column.AppendEncrypt(dst, plaintext, fernet.Deterministic, id)
			require.NoError(t, err)
			return token
		}, column.AppendDecrypt},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat("0123456789", 9)
			for _, spare := range []int{0, 10, 1000} {
				prefix := append(make([]byte, 0, 6+spare), "prefix"...)
				token := c.encrypt(prefix, []byte(text))
				require.Equal(t, "prefix", string(token[:6]))
				plain, err := c.decrypt(prefix, token[6:])
				require.NoError(t, err)
				assert.Equal(t, "prefix"+text, string(plain))
			}
			// In place: the output overwrites the input.
			buf := append(make([]byte, 0, 1000), text...)
			token := c.encrypt(buf[:0], buf)
			plain, err := c.decrypt(token[:0], token)
			require.NoError(t, err)
			assert.Equal(t, text, string(plain))

			wrong := c.encrypt(nil, []byte(text))
			wrong[50]++
			dst, err := c.decrypt([]byte("prefix"), wrong)
			assert.Equal(t, fernet.ErrInvalidToken, err)
			assert.Equal(t, "prefix", string(dst))
			dst, err = c.decrypt([]byte("prefix"), []byte("x"))
			assert.Equal(t, fernet.ErrInvalidToken, err)
			assert.Equal(t, "prefix", string(dst))
		})
	}
}

func TestPaddingIsCheckedAfterTheMAC(t *testing.T) {
	k := mustKey(t, specKey)
	ring := mustRing(t, k)
	for _, end := range []string{"\x00", "\x11", "\xff", "\x01\x02", "\x03\x02\x03", "\x00\x10", "\x0f\x10\x10\x10"} {
		block := append(make([]byte, 16-len(end)), end...)
		raw := encryptBlocks(k, block)
		dst := make([]byte, 0, 100)
		got, err := ring.AppendDecrypt(dst, sign(k, raw))
		assert.Equal(t, fernet.ErrInvalidToken, err, "%q", end)
		assert.Empty(t, got)
		assert.Equal(t, make([]byte, 100), dst[:100], "no plaintext is left behind")
	}
	raw := encryptBlocks(k, bytes.Repeat([]byte{16}, 16))
	got, err := ring.Decrypt(sign(k, raw))
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestDecryptWithTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := mustRing(t, fernet.GenerateKey())
		token := ring.Encrypt([]byte("x"))
		valid := func(ttl, clockSkew time.Duration) bool {
			got, err := ring.DecryptWithTTL(token, ttl, clockSkew)
			if err == nil {
				assert.Equal(t, "x", string(got))
				return true
			}
			assert.Equal(t, fernet.ErrInvalidToken, err)
			assert.Nil(t, got)
			return false
		}
		assert.True(t, valid(0, 0))
		assert.True(t, valid(time.Minute, 0))
		assert.False(t, valid(-1, 0), "a negative ttl refuses all")
		assert.False(t, valid(math.MinInt64, math.MaxInt64))

		time.Sleep(60 * time.Second)
		assert.True(t, valid(60*time.Second, 0))
		assert.True(t, valid(math.MaxInt64, 0))
		assert.False(t, valid(59*time.Second, 0))
		assert.False(t, valid(60*time.Second-1, 0))
		assert.False(t, valid(0, time.Hour))
		time.Sleep(999 * time.Millisecond)
		assert.True(t, valid(60*time.Second, 0), "tokens hold whole seconds")
		time.Sleep(time.Millisecond)
		assert.False(t, valid(60*time.Second, 0))
		_, err := ring.Decrypt(token)
		assert.NoError(t, err, "no limit without a ttl")
	})
}

func TestClockSkew(t *testing.T) {
	k := fernet.GenerateKey()
	ring := mustRing(t, k)
	now := time.Unix(1_700_000_000, 0)
	at := func(d time.Duration) []byte {
		return fernet.SealAt(k, []byte("x"), uint64(now.Add(d).Unix()), [16]byte{})
	}
	for _, c := range []struct {
		token []byte
		skew  time.Duration
		ok    bool
	}{
		{at(0), 0, true},
		{at(time.Second), 0, false},
		{at(time.Second), time.Second - 1, false},
		{at(time.Second), time.Second, true},
		{at(time.Minute), time.Minute, true},
		{at(61 * time.Second), time.Minute, false},
		{at(time.Second), -time.Hour, false},
		{at(0), -time.Hour, true},
		{at(time.Hour), math.MaxInt64, true},
		{fernet.SealAt(k, nil, math.MaxUint64, [16]byte{}), math.MaxInt64, false},
		{fernet.SealAt(k, nil, 1<<63, [16]byte{}), time.Minute, false},
		{fernet.SealAt(k, nil, 0, [16]byte{}), time.Minute, false},
	} {
		_, err := ring.DecryptAt(c.token, time.Hour, c.skew, now)
		assert.Equal(t, c.ok, err == nil, "%v", c)
		_, err = ring.Decrypt(c.token)
		assert.NoError(t, err)
	}
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, new := fernet.GenerateKey(), fernet.GenerateKey()
		before := mustRing(t, old)
		token := before.Encrypt([]byte("x"))

		needs, err := before.NeedsRotation(token)
		require.NoError(t, err)
		assert.False(t, needs)

		time.Sleep(time.Hour)
		after := mustRing(t, new, old)
		needs, err = after.NeedsRotation(token)
		require.NoError(t, err)
		assert.True(t, needs)
		rotated, changed, err := after.Rotate(token)
		require.NoError(t, err)
		assert.True(t, changed)
		assert.NotEqual(t, token, rotated)
		assert.Equal(t, token[:12], rotated[:12], "the time stays")

		got, err := mustRing(t, new).Decrypt(rotated)
		require.NoError(t, err)
		assert.Equal(t, "x", string(got))
		_, err = mustRing(t, new).DecryptWithTTL(rotated, time.Hour-time.Second, time.Minute)
		assert.Equal(t, fernet.ErrInvalidToken, err, "rotation does not make a token younger")

		needs, err = after.NeedsRotation(rotated)
		require.NoError(t, err)
		assert.False(t, needs)
		again, changed, err := after.Rotate(rotated)
		require.NoError(t, err)
		assert.False(t, changed)
		assert.Equal(t, rotated, again)

		rotated[20]++
		same, changed, err := after.Rotate(rotated)
		assert.Equal(t, fernet.ErrInvalidToken, err)
		assert.False(t, changed)
		assert.Equal(t, rotated, same)
		_, err = after.NeedsRotation(rotated)
		assert.Equal(t, fernet.ErrInvalidToken, err)
	})
}

func TestLogKey(t *testing.T) {
	old, new := fernet.GenerateKey(), fernet.GenerateKey()
	key := mustRing(t, old).LogKey()
	assert.Len(t, key, 32)
	assert.Equal(t, key, mustRing(t, new, old).LogKey(), "stays the same when a key is added")
	assert.NotEqual(t, key, mustRing(t, new).LogKey())
}

func TestKeyringIsAKeySource(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	got, err := ring.Keyring(context.Background(), "label")
	require.NoError(t, err)
	assert.Same(t, ring, got)
}

func TestDerivedSetsAreRemembered(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	first := mustDerive(t, ring, "label 0")
	for i := range fernet.MaxCachedLabels + 10 {
		mustDerive(t, ring, fmt.Sprintf("label %d", i))
	}
	assert.Same(t, first, mustDerive(t, ring, "label 0"))
	assert.NotSame(t, first, mustDerive(t, ring, "label 1"))

	// What is not remembered is derived again, and is the same.
	last := fmt.Sprintf("label %d", fernet.MaxCachedLabels+9)
	a, b := mustDerive(t, ring, last), mustDerive(t, ring, last)
	assert.NotSame(t, a, b)
	token, err := a.Encrypt([]byte("x"), fernet.Random, ring.KeyIDs()[0])
	require.NoError(t, err)
	_, err = b.Decrypt(token)
	assert.NoError(t, err)

	_, err = ring.Derive("")
	assert.EqualError(t, err, "fernet: derive column keys: empty label")
}

func TestDeriveKeepsItsOwnLabel(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	id := ring.KeyIDs()[0]
	want, err := mustDerive(t, ring, "abc").Encrypt(nil, fernet.Deterministic, id)
	require.NoError(t, err)
	for range 10 {
		got, err := mustDerive(t, ring, string([]byte("abc"))).Encrypt(nil, fernet.Deterministic, id)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestConcurrentUse(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey(), fernet.GenerateKey())
	old := mustRing(t, fernet.GenerateKey())
	ids := ring.KeyIDs()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			var token, plain []byte
			for i := range 200 {
				text := bytes.Repeat([]byte{byte(g)}, i)
				token = ring.AppendEncrypt(token[:0], text)
				plain, _ = ring.AppendDecrypt(plain[:0], token)
				if !bytes.Equal(text, plain) {
					t.Errorf("%d bytes read back as %d", len(text), len(plain))
				}
				column, err := ring.Derive(fmt.Sprint("label", i%20))
				if err != nil {
					t.Error(err)
				}
				token, _ = column.AppendEncrypt(token[:0], text, fernet.Mode(i%2), ids[g%2])
				plain, _ = column.AppendDecrypt(plain[:0], token)
				if !bytes.Equal(text, plain) {
					t.Errorf("%d bytes of a column read back as %d", len(text), len(plain))
				}
				if _, err := old.Decrypt(token); err != fernet.ErrInvalidToken {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop things")
	}
	ring := mustRing(t, fernet.GenerateKey(), fernet.GenerateKey())
	column := mustDerive(t, ring, "app.users.email")
	ids := ring.KeyIDs()
	for _, size := range []int{0, 16, 128, 1024, 65536} {
		text := make([]byte, size)
		buf := make([]byte, 0, 2*size+1000)
		token := ring.Encrypt(text)
		random, err := column.Encrypt(text, fernet.Random, ids[1])
		require.NoError(t, err)
		for name, f := range map[string]func(){
			"AppendEncrypt":        func() { ring.AppendEncrypt(buf, text) },
			"AppendDecrypt":        func() { ring.AppendDecrypt(buf, token) },
			"column random":        func() { column.AppendEncrypt(buf, text, fernet.Random, ids[0]) },
			"column deterministic": func() { column.AppendEncrypt(buf, text, fernet.Deterministic, ids[1]) },
			"column decrypt":       func() { column.AppendDecrypt(buf, random) },
			"Derive":               func() { ring.Derive("app.users.email") },
		} {
			assert.Zero(t, testing.AllocsPerRun(100, f), "%s, %d bytes", name, size)
		}
		assert.EqualValues(t, 1, testing.AllocsPerRun(100, func() { ring.Encrypt(text) }))
		assert.EqualValues(t, 1, testing.AllocsPerRun(100, func() { ring.Decrypt(token) }))
	}
}

func TestJoin(t *testing.T) {
	own, other := fernet.GenerateKey(), fernet.GenerateKey()
	django, err := fernet.DjangoFernetFields("secret of the application")
	require.NoError(t, err)
	joined, err := fernet.Join(mustRing(t, own), django)
	require.NoError(t, err)
	plain, err := joined.Decrypt(django.Encrypt([]byte("old")))
	require.NoError(t, err)
	assert.Equal(t, "old", string(plain))
	plain, err = mustRing(t, own).Decrypt(joined.Encrypt([]byte("new")))
	require.NoError(t, err)
	assert.Equal(t, "new", string(plain), "the first key writes")
	_, err = fernet.Join(mustRing(t, own, other), mustRing(t, other))
	assert.ErrorContains(t, err, "keys 2 and 3")
	_, err = fernet.Join()
	assert.Error(t, err)
}
