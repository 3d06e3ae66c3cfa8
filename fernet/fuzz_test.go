package fernet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/pganon/pganon/fernet"
)

// FuzzDecrypt takes any text for a token: what decrypts is the one text of its bytes, and made
// again from its parts it is the same token.
func FuzzDecrypt(f *testing.F) {
	for _, name := range []string{"verify.json", "invalid.json"} {
		for _, v := range specVectors(f, name) {
			f.Add([]byte(v.Token))
		}
	}
	for _, tok := range vectors(f).Columns[0].Tokens {
		f.Add([]byte(tok.Deterministic))
		f.Add([]byte(tok.Random))
	}
	k := mustKey(f, specKey)
	ring := mustRing(f, fernet.GenerateKey(), k)
	column := mustDerive(f, ring, "a")
	f.Add(ring.Encrypt([]byte("x")))
	f.Fuzz(func(t *testing.T, token []byte) {
		before := bytes.Clone(token)
		if _, err := column.Decrypt(token); err != nil && err != fernet.ErrInvalidToken {
			t.Fatal(err)
		}
		checkToken(t, k, ring, token)
		if !bytes.Equal(before, token) {
			t.Fatal("the token was written to")
		}
	})
}

// FuzzDecryptSigned gives any bytes a right MAC, to reach what comes after it.
func FuzzDecryptSigned(f *testing.F) {
	k := mustKey(f, specKey)
	ring := mustRing(f, fernet.GenerateKey(), k)
	f.Add([]byte(nil))
	f.Add([]byte{0x80})
	for n := range 4 {
		f.Add(encryptBlocks(k, bytes.Repeat([]byte{16}, 16*n)))
		f.Add(encryptBlocks(k, make([]byte, 16*n)))
	}
	for n := range 17 {
		raw, err := base64.URLEncoding.DecodeString(string(ring.Encrypt(make([]byte, n))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[:len(raw)-32])
		f.Add(raw[:len(raw)-32-n])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkToken(t, k, ring, sign(k, raw))
	})
}

// checkToken checks that a token that decrypts could only have been written as it is.
func checkToken(t *testing.T, k fernet.Key, ring *fernet.Keyring, token []byte) {
	plaintext, err := ring.Decrypt(token)
	if err != nil {
		if err != fernet.ErrInvalidToken || plaintext != nil {
			t.Fatalf("%q, %v", plaintext, err)
		}
		return
	}
	raw, err := base64.URLEncoding.DecodeString(string(token))
	if err != nil {
		t.Fatal(err)
	}
	if needs, err := ring.NeedsRotation(token); err != nil || !needs {
		return // made under the key of this run
	}
	again := fernet.SealAt(k, plaintext, binary.BigEndian.Uint64(raw[1:9]), [16]byte(raw[9:25]))
	if !bytes.Equal(token, again) {
		t.Fatalf("%q is taken for %q", token, again)
	}
}

// FuzzColumn encrypts any value under any label, and reads it back under that label alone.
func FuzzColumn(f *testing.F) {
	f.Add("app.users.email", "app.users.ssn", []byte("alice@example.org"), false)
	f.Add("a", "a\x00", []byte(""), true)
	f.Add("", "a", []byte("0"), true)
	f.Add("\xff", "\xfe", bytes.Repeat([]byte{16}, 33), false)
	ring := mustRing(f, mustKey(f, specKey), fernet.GenerateKey())
	f.Fuzz(func(t *testing.T, label, other string, plaintext []byte, random bool) {
		column, err := ring.Derive(label)
		if (err != nil) != (label == "") {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		mode := fernet.Deterministic
		if random {
			mode = fernet.Random
		}
		id := ring.KeyIDs()[len(plaintext)%2]
		token, err := column.Encrypt(plaintext, mode, id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := column.Decrypt(token)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%q, %v", got, err)
		}
		if needs, err := column.NeedsRotation(token, mode, id); needs || err != nil {
			t.Fatal(needs, err)
		}
		if parsed, err := fernet.ParseKeyID(string(token[8:12])); err != nil || parsed != id {
			t.Fatal(parsed, err)
		}
		if foreign, err := ring.Derive(other); err == nil && other != label {
			if _, err := foreign.Decrypt(token); err != fernet.ErrInvalidToken {
				t.Fatalf("%q reads what is of %q: %v", other, label, err)
			}
		}
	})
}

// FuzzParseKey also covers each key of a ring: what is a key is the one text of its bytes, and no
// error contains the text.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{specKey, "", specKey[1:], specKey + "\n", strings.Replace(specKey, "4e4=", "4e5=", 1), "# " + specKey, specKey + "," + specKey} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := fernet.ParseKey(s)
		if err == nil && k.Encode() != s {
			t.Fatalf("%q is taken for %q", s, k.Encode())
		}
		if _, ringErr := fernet.ParseKeyring(s); err == nil && ringErr != nil {
			t.Fatal(ringErr)
		} else if ringErr != nil && len(s) > 43 && strings.Contains(ringErr.Error(), s) {
			t.Fatal("the error contains the keys")
		}
		if err != nil && len(s) > 43 && strings.Contains(err.Error(), s) {
			t.Fatal("the error contains the key")
		}
	})
}

func FuzzParseKeyring(f *testing.F) {
	a, b := mustKey(f, specKey).Encode(), mustKey(f, vectors(f).Keys[0].Key).Encode()
	for _, s := range []string{a, a + "," + b, a + "\n" + b, "# c\r\n" + a + " ,\t" + b + "\n\n", a + ",", "\n", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ring, err := fernet.ParseKeyring(s)
		if err != nil {
			return
		}
		// What is taken is nothing but its keys, commas, white space and comments.
		var keys []string
		for _, line := range strings.Split(s, "\n") {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			for _, k := range strings.Split(line, ",") {
				keys = append(keys, strings.TrimSpace(k))
			}
		}
		ids := ring.KeyIDs()
		if len(ids) != len(keys) {
			t.Fatalf("%d keys, want %d", len(ids), len(keys))
		}
		for i, text := range keys {
			if k, err := fernet.ParseKey(text); err != nil || k.ID() != ids[i] {
				t.Fatal(i, err)
			}
		}
	})
}

func FuzzParseKeyID(f *testing.F) {
	for _, s := range []string{"", "8aLu", "____", "A===", "AA\r\n", "ab+/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := fernet.ParseKeyID(s); err == nil && id.String() != s {
			t.Fatalf("%q is taken for %q", s, id)
		}
	})
}
