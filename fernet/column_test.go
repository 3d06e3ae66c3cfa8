package fernet_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

// base64Bytes are bytes in padded base64url.
type base64Bytes []byte

func (b *base64Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = base64.URLEncoding.DecodeString(string(text))
	return err
}

// vectorFile is testdata/vectors.json, which testdata/vectors.py makes.
type vectorFile struct {
	Keys []struct {
		Key    string
		ID     string
		LogKey base64Bytes `json:"log_key"`
	}
	KeysWithOneID []string `json:"keys_with_one_id"`
	Columns       []struct {
		Key         string
		Label       string
		SignEncrypt string      `json:"sign_encrypt"`
		IVKey       base64Bytes `json:"iv_key"`
		Tokens      []struct {
			Plaintext     base64Bytes
			Deterministic string
			Random        string
			RandomIV      base64Bytes `json:"random_iv"`
		}
	}
}

func vectors(t testing.TB) (v vectorFile) {
	readJSON(t, "testdata/vectors.json", &v)
	require.Len(t, v.KeysWithOneID, 2)
	return v
}

// sign makes a token of all that stands before its MAC.
func sign(k fernet.Key, raw []byte) []byte {
	mac := hmac.New(sha256.New, k.UnsafeBytes()[:16])
	mac.Write(raw)
	return base64.URLEncoding.AppendEncode(nil, mac.Sum(bytes.Clone(raw)))
}

// encryptBlocks gives what stands before a token's MAC, for a plaintext that has its padding.
func encryptBlocks(k fernet.Key, blocks []byte) []byte {
	raw := make([]byte, 25+len(blocks))
	raw[0] = 0x80
	block, err := aes.NewCipher(k.UnsafeBytes()[16:])
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, raw[9:25]).CryptBlocks(raw[25:], blocks)
	return raw
}

func TestVectors(t *testing.T) {
	v := vectors(t)
	require.NotEmpty(t, v.Keys)
	for _, k := range v.Keys {
		assert.Equal(t, k.ID, mustKey(t, k.Key).ID().String())
		assert.Equal(t, []byte(k.LogKey), mustRing(t, mustKey(t, k.Key)).LogKey())
	}
	require.NotEmpty(t, v.Columns)
	for _, c := range v.Columns {
		k := mustKey(t, c.Key)
		column := mustDerive(t, mustRing(t, fernet.GenerateKey(), k), c.Label)
		plain := mustRing(t, mustKey(t, c.SignEncrypt))
		for _, tok := range c.Tokens {
			got, err := column.Encrypt(tok.Plaintext, fernet.Deterministic, k.ID())
			require.NoError(t, err)
			assert.Equal(t, tok.Deterministic, string(got))

			random := fernet.SealAt(mustKey(t, c.SignEncrypt), tok.Plaintext, columnTime(fernet.Random, k.ID()), [16]byte(tok.RandomIV))
			assert.Equal(t, tok.Random, string(random))

			for _, token := range []string{tok.Deterministic, tok.Random} {
				got, err := column.Decrypt([]byte(token))
				require.NoError(t, err)
				assert.Equal(t, []byte(tok.Plaintext), got)
				got, err = plain.Decrypt([]byte(token))
				require.NoError(t, err, "a column's token is a Fernet token")
				assert.Equal(t, []byte(tok.Plaintext), got)
			}
		}
	}
}

func columnTime(m fernet.Mode, id fernet.KeyID) uint64 {
	t := uint64(binary.BigEndian.Uint32(append([]byte{0}, id[:]...)))
	if m == fernet.Random {
		t |= 1 << 24
	}
	return t
}

func TestColumnTokens(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey(), fernet.GenerateKey())
	column := mustDerive(t, ring, "app.users.email")
	assert.Equal(t, ring.KeyIDs(), column.KeyIDs())
	for _, id := range column.KeyIDs() {
		for _, n := range []int{0, 1, 15, 16, 17, 100, 65536} {
			plaintext := bytes.Repeat([]byte("é"), n)[:n]
			for mode, prefix := range map[fernet.Mode]string{fernet.Deterministic: "gAAAAAAA", fernet.Random: "gAAAAAAB"} {
				token, err := column.Encrypt(plaintext, mode, id)
				require.NoError(t, err)
				assert.Equal(t, prefix+id.String(), string(token[:12]))
				assert.GreaterOrEqual(t, len(token), 100)

				again, err := column.Encrypt(plaintext, mode, id)
				require.NoError(t, err)
				assert.Equal(t, mode == fernet.Deterministic, bytes.Equal(token, again))

				got, err := column.Decrypt(token)
				require.NoError(t, err)
				assert.Equal(t, plaintext, got)
				assert.NotNil(t, got)
			}
		}
	}
	a, err := column.Encrypt([]byte("x"), fernet.Deterministic, column.KeyIDs()[0])
	require.NoError(t, err)
	b, err := column.Encrypt([]byte("x"), fernet.Deterministic, column.KeyIDs()[1])
	require.NoError(t, err)
	assert.NotEqual(t, a, b)
	c, err := column.Encrypt([]byte("y"), fernet.Deterministic, column.KeyIDs()[0])
	require.NoError(t, err)
	assert.NotEqual(t, a[12:34], c[12:34], "the IV depends on the plaintext")
}

func TestEncryptRefusesUnknownKeysAndModes(t *testing.T) {
	ring, other := mustRing(t, mustKey(t, specKey)), fernet.GenerateKey().ID()
	column := mustDerive(t, ring, "app.users.email")
	token, err := column.Encrypt(nil, fernet.Random, ring.KeyIDs()[0])
	require.NoError(t, err)
	for want, f := range map[string]struct {
		mode fernet.Mode
		id   fernet.KeyID
	}{
		`fernet: encrypt value of "app.users.email": key ` + other.String() + ` is not in the key ring`: {fernet.Random, other},
		`fernet: encrypt value of "app.users.email": unknown mode 2`:                                    {2, ring.KeyIDs()[0]},
	} {
		got, err := column.AppendEncrypt([]byte("prefix"), []byte("a secret value"), f.mode, f.id)
		assert.EqualError(t, err, want)
		assert.Equal(t, "prefix", string(got))
		_, err = column.Encrypt([]byte("a secret value"), f.mode, f.id)
		assert.EqualError(t, err, want)
		same, changed, err := column.Rotate(token, f.mode, f.id)
		assert.EqualError(t, err, want)
		assert.False(t, changed)
		assert.Equal(t, token, same)
		_, err = column.NeedsRotation(token, f.mode, f.id)
		assert.EqualError(t, err, want)
	}
}

func TestATokenBelongsToItsLabel(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey())
	id := ring.KeyIDs()[0]
	labels := []string{"a", "b", "ab", "a.b", "a\x00", "a\x00\x00\x00\x01b", "\x00", "column", "keyid", "log"}
	for _, from := range labels {
		for _, mode := range []fernet.Mode{fernet.Random, fernet.Deterministic} {
			token, err := mustDerive(t, ring, from).Encrypt([]byte("x"), mode, id)
			require.NoError(t, err)
			for _, to := range labels {
				_, err := mustDerive(t, ring, to).Decrypt(token)
				if from == to {
					assert.NoError(t, err)
				} else {
					assert.Equal(t, fernet.ErrInvalidToken, err, "%q read as %q", from, to)
				}
			}
			_, err = ring.Decrypt(token)
			assert.Equal(t, fernet.ErrInvalidToken, err, "the ring itself does not read a column's token")
		}
	}
}

func TestDecryptGoesStraightToTheKey(t *testing.T) {
	v := vectors(t)
	c := v.Columns[0]
	k, other := mustKey(t, c.Key), fernet.GenerateKey()
	column := mustDerive(t, mustRing(t, other, k), c.Label)

	// Under k's column key, but naming another key, or one that is not in the ring.
	for _, id := range []fernet.KeyID{other.ID(), fernet.GenerateKey().ID()} {
		for _, mode := range []fernet.Mode{fernet.Random, fernet.Deterministic} {
			token := fernet.SealAt(mustKey(t, c.SignEncrypt), []byte("x"), columnTime(mode, id), [16]byte{})
			_, err := column.Decrypt(token)
			assert.Equal(t, fernet.ErrInvalidToken, err)
		}
	}
	token := fernet.SealAt(mustKey(t, c.SignEncrypt), []byte("x"), columnTime(fernet.Random, k.ID()), [16]byte{})
	_, err := column.Decrypt(token)
	assert.NoError(t, err)

	_, err = mustDerive(t, mustRing(t, other), c.Label).Decrypt(token)
	assert.Equal(t, fernet.ErrInvalidToken, err, "the key is gone from the ring")
}

func TestRealTimesTryEveryKeyOfTheRing(t *testing.T) {
	a, b := fernet.GenerateKey(), fernet.GenerateKey()
	column := mustDerive(t, mustRing(t, a, b), "a")
	for _, k := range []fernet.Key{a, b} {
		for _, c := range []struct {
			time uint64
			ok   bool
		}{
			{1 << 25, true},
			{1<<25 | columnTime(fernet.Random, k.ID()), true},
			{1_700_000_000, true},
			{1<<64 - 1, true},
			{1<<25 - 1, false},
			{columnTime(fernet.Deterministic, k.ID()), false},
			{columnTime(fernet.Random, k.ID()), false},
		} {
			got, err := column.Decrypt(fernet.SealAt(k, []byte("x"), c.time, [16]byte{}))
			if c.ok {
				require.NoError(t, err)
				assert.Equal(t, "x", string(got))
			} else {
				assert.Equal(t, fernet.ErrInvalidToken, err, "%x", c.time)
			}
		}
	}
	_, err := column.Decrypt(mustRing(t, fernet.GenerateKey()).Encrypt([]byte("x")))
	assert.Equal(t, fernet.ErrInvalidToken, err)
}

func TestColumnRotate(t *testing.T) {
	ring := mustRing(t, fernet.GenerateKey(), fernet.GenerateKey())
	column := mustDerive(t, ring, "a")
	ids := column.KeyIDs()
	type form struct {
		mode fernet.Mode
		id   fernet.KeyID
	}
	var forms []form
	for _, id := range ids {
		forms = append(forms, form{fernet.Random, id}, form{fernet.Deterministic, id})
	}
	tokens := map[form][]byte{{}: ring.Encrypt([]byte("x"))} // the zero form: one with a real time
	for _, f := range forms {
		token, err := column.Encrypt([]byte("x"), f.mode, f.id)
		require.NoError(t, err)
		tokens[f] = token
	}
	for from, token := range tokens {
		for _, to := range forms {
			needs, err := column.NeedsRotation(token, to.mode, to.id)
			require.NoError(t, err)
			assert.Equal(t, from != to, needs, "%v to %v", from, to)

			rotated, changed, err := column.Rotate(token, to.mode, to.id)
			require.NoError(t, err)
			assert.Equal(t, from != to, changed)
			if !changed {
				assert.Equal(t, token, rotated)
			}
			needs, err = column.NeedsRotation(rotated, to.mode, to.id)
			require.NoError(t, err)
			assert.False(t, needs)
			if to.mode == fernet.Deterministic {
				assert.Equal(t, tokens[to], rotated)
			}
			got, err := column.Decrypt(rotated)
			require.NoError(t, err)
			assert.Equal(t, "x", string(got))
		}
	}
	foreign, err := mustDerive(t, ring, "b").Encrypt([]byte("x"), fernet.Random, ids[0])
	require.NoError(t, err)
	_, err = column.NeedsRotation(foreign, fernet.Random, ids[0])
	assert.Equal(t, fernet.ErrInvalidToken, err, "a foreign token is not one that needs nothing")
	same, changed, err := column.Rotate(foreign, fernet.Random, ids[0])
	assert.Equal(t, fernet.ErrInvalidToken, err)
	assert.False(t, changed)
	assert.Equal(t, foreign, same)
}
