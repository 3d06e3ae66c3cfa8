package fernet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

const specKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="

func mustKey(t testing.TB, s string) fernet.Key {
	t.Helper()
	k, err := fernet.ParseKey(s)
	require.NoError(t, err)
	return k
}

func mustRing(t testing.TB, keys ...fernet.Key) *fernet.Keyring {
	t.Helper()
	r, err := fernet.NewKeyring(keys...)
	require.NoError(t, err)
	return r
}

func mustDerive(t testing.TB, r *fernet.Keyring, label string) *fernet.ColumnKeys {
	t.Helper()
	c, err := r.Derive(label)
	require.NoError(t, err)
	return c
}

func TestKeyRoundTrip(t *testing.T) {
	k := mustKey(t, specKey)
	assert.Equal(t, specKey, k.Encode())
	want, err := base64.URLEncoding.DecodeString(specKey)
	require.NoError(t, err)
	assert.Equal(t, want, k.UnsafeBytes())

	clear(k.UnsafeBytes())
	assert.Equal(t, specKey, k.Encode(), "UnsafeBytes gives a copy")

	seen := map[string]bool{}
	for range 100 {
		k := fernet.GenerateKey()
		assert.Len(t, k.UnsafeBytes(), 32)
		assert.Equal(t, k.Encode(), mustKey(t, k.Encode()).Encode())
		seen[k.Encode()] = true
	}
	assert.Len(t, seen, 100)
}

func TestParseKeyRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "want 44 characters of base64url, got 0"},
		"short":               {specKey[4:], "got 40"},
		"unpadded":            {specKey[:43], "got 43"},
		"long":                {specKey + "AAAA", "got 48"},
		"space before":        {" " + specKey, "got 45"},
		"line break after":    {specKey + "\n", "got 45"},
		"space inside":        {specKey[:10] + " " + specKey[11:], "not base64url"},
		"line break inside":   {specKey[:10] + "\n" + specKey[11:], "not base64url"},
		"standard base64":     {strings.NewReplacer("-", "+", "_", "/").Replace(specKey), "not base64url"},
		"31 bytes":            {base64.URLEncoding.EncodeToString(make([]byte, 31)), "not base64url of 32 bytes"},
		"33 bytes":            {base64.URLEncoding.EncodeToString(make([]byte, 33)), "not base64url of 32 bytes"},
		"not ASCII":           {specKey[:42] + "é", "not base64url"},
		"another spelling":    {strings.Replace(specKey, "4e4=", "4e5=", 1), "last character before = has bits"},
		"hexadecimal of 22 b": {strings.Repeat("ab", 22), "not base64url"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := fernet.ParseKey(c.text)
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "fernet: parse key: "), err)
			assert.Empty(t, k.Encode())
			for i := 0; i+6 <= len(c.text); i++ {
				assert.NotContains(t, err.Error(), c.text[i:i+6])
			}
		})
	}
}

func TestZeroKey(t *testing.T) {
	var k fernet.Key
	assert.Empty(t, k.Encode())
	assert.Nil(t, k.UnsafeBytes())
	assert.Zero(t, k.ID())
	assert.Equal(t, "[REDACTED]", fmt.Sprint(k))
}

func TestKeyID(t *testing.T) {
	k := mustKey(t, specKey)
	id := k.ID()
	assert.Len(t, id.String(), 4)
	got, err := fernet.ParseKeyID(id.String())
	require.NoError(t, err)
	assert.Equal(t, id, got)

	for _, s := range []string{"", "abc", "abcde", "ab=c", "abc=", "ab+c", "ab/c", "ab c", "ab\nc", "é12"} {
		_, err := fernet.ParseKeyID(s)
		assert.Error(t, err, "%q", s)
	}
}

// holders are the values that hold keys, directly and inside of others.
func holders(t *testing.T) (key fernet.Key, all map[string]any) {
	key = mustKey(t, specKey)
	ring := mustRing(t, key)
	column := mustDerive(t, ring, "app.users.email")
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, os.WriteFile(path, []byte(specKey), 0o600))
	file, err := fernet.OpenKeyFile(path, nil)
	require.NoError(t, err)
	// The pools have been used: what they hold is reachable, too.
	_, err = ring.Decrypt(ring.Encrypt(nil))
	require.NoError(t, err)

	type exported struct {
		Key    fernet.Key
		KeyP   *fernet.Key
		Ring   *fernet.Keyring
		Column *fernet.ColumnKeys
		Source fernet.KeySource
	}
	type unexported struct {
		key    fernet.Key
		keyP   *fernet.Key
		ring   *fernet.Keyring
		column *fernet.ColumnKeys
		source fernet.KeySource
		ringV  any
	}
	return key, map[string]any{
		"Key":        key,
		"*Key":       &key,
		"*Keyring":   ring,
		"*Column":    column,
		"*KeyFile":   file,
		"slice":      []fernet.Key{key},
		"map":        map[string]fernet.Key{"k": key},
		"any":        []any{key, ring, column, file},
		"exported":   exported{key, &key, ring, column, file},
		"*exported":  &exported{key, &key, ring, column, file},
		"unexported": unexported{key, &key, ring, column, file, reflect.ValueOf(ring).Elem().Interface()},
	}
}

// assertNoKey looks for the key in the forms that printers write bytes in.
func assertNoKey(t *testing.T, k fernet.Key, printed string) {
	t.Helper()
	b := k.UnsafeBytes()
	for _, form := range []string{
		k.Encode()[:20], k.Encode()[22:],
		string(b[:16]), string(b[16:]),
		hex.EncodeToString(b[:16]), hex.EncodeToString(b[16:]),
		strings.ToUpper(hex.EncodeToString(b[:16])), strings.ToUpper(hex.EncodeToString(b[16:])),
		strings.Trim(fmt.Sprint(b[:16]), "[]"), strings.Trim(fmt.Sprint(b[16:]), "[]"),
		strings.Trim(fmt.Sprintf("%#v", b[:16]), "[]byte{}"),
		strings.Trim(fmt.Sprintf("%q", b[:16]), `"`),
	} {
		assert.NotContains(t, printed, form)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	key, all := holders(t)
	for name, v := range all {
		t.Run(name, func(t *testing.T) {
			for _, verb := range "vTtbcdoOqxXUeEfFgGsp!" {
				for _, flags := range []string{"", "+", "#", "-", "0", " ", "20.3", "+#"} {
					assertNoKey(t, key, fmt.Sprintf("%"+flags+string(verb), v))
				}
			}
			assertNoKey(t, key, fmt.Sprint(v)+fmt.Sprintln(v))
			j, err := json.Marshal(v)
			if assert.NoError(t, err) {
				assertNoKey(t, key, string(j))
			}
			for _, h := range []func(*bytes.Buffer) slog.Handler{
				func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
				func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			} {
				var b bytes.Buffer
				slog.New(h(&b)).Info("m", "v", v, slog.Group("g", slog.Any("v", v)))
				assertNoKey(t, key, b.String())
			}
		})
	}
	for _, name := range []string{"Key", "*Key", "*Keyring", "*Column", "*KeyFile"} {
		v := all[name]
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			assert.Equal(t, "[REDACTED]", fmt.Sprintf(verb, v), name)
		}
		j, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `"[REDACTED]"`, string(j), name)
		x, err := xml.Marshal(v)
		require.NoError(t, err)
		assert.Contains(t, string(x), ">[REDACTED]<", name)
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
		assert.Contains(t, b.String(), "v=[REDACTED]", name)
		assert.Error(t, gob.NewEncoder(&b).Encode(v), name)
	}
}

// What spew, go-cmp and other printers do: everything that reflection reaches.
func TestKeysAreOutOfReachOfReflection(t *testing.T) {
	key, all := holders(t)
	for name, v := range all {
		var reached bytes.Buffer
		walk(&reached, reflect.ValueOf(v), 0)
		assertNoKey(t, key, reached.String())
		assert.NotContains(t, reached.String(), "app.users.email", name+": the walk ends before the keys")
	}
	// The walk does find bytes that are in reach.
	var reached bytes.Buffer
	walk(&reached, reflect.ValueOf(struct{ p *[]byte }{new(key.UnsafeBytes())}), 0)
	assert.Contains(t, reached.String(), string(key.UnsafeBytes()))
}

func walk(w *bytes.Buffer, v reflect.Value, depth int) {
	if depth > 20 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(w, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(w, v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walk(w, v.Index(i), depth+1)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			walk(w, k, depth+1)
			walk(w, v.MapIndex(k), depth+1)
		}
	case reflect.String:
		w.WriteString(v.String())
	case reflect.Uint8:
		w.WriteByte(byte(v.Uint()))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint, reflect.Uintptr:
		fmt.Fprintf(w, "%x ", v.Uint())
	}
}
