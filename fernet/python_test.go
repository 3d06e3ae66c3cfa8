package fernet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

// python gives a Python that has the cryptography package: the system's first, since Debian's
// python3-cryptography goes with that one, whatever stands on PATH.
func python(t *testing.T) string {
	t.Helper()
	tried := []string{"/usr/bin/python3", "python3"}
	for _, name := range tried {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import cryptography.fernet").Run() == nil {
			return path
		}
	}
	const missing = "no Python with the cryptography package (Debian: apt-get install python3-cryptography); tried %v"
	if os.Getenv("CI") != "" {
		t.Fatalf(missing, tried)
	}
	t.Skipf(missing, tried)
	return ""
}

func runPython(t *testing.T, stdin []byte, script string) []byte {
	t.Helper()
	cmd := exec.Command(python(t), "-B", script)
	cmd.Dir = "testdata"
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return out
}

// request is one that testdata/compat.py answers.
type request map[string]any

// ask gives the answers: text, nil where a token was refused, or a list.
func ask(t *testing.T, requests ...request) (answers []any) {
	t.Helper()
	in, err := json.Marshal(requests)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(runPython(t, in, "compat.py"), &answers))
	require.Len(t, answers, len(requests))
	return answers
}

func askKeys(t *testing.T, r request) (keys []string, ring *fernet.Keyring) {
	t.Helper()
	var list []fernet.Key
	for _, k := range ask(t, r)[0].([]any) {
		keys = append(keys, k.(string))
		list = append(list, mustKey(t, k.(string)))
	}
	return keys, mustRing(t, list...)
}

func b64(b []byte) string { return base64.URLEncoding.EncodeToString(b) }

// plaintexts are of every length to 70 and a few long ones.
func plaintexts() (all [][]byte) {
	for _, n := range append(make([]int, 0, 80), 1000, 65536, 300_000) {
		all = append(all, make([]byte, n))
	}
	for n := range 70 {
		all = append(all, make([]byte, n))
	}
	chacha := rand.NewChaCha8([32]byte{1})
	for _, p := range all {
		chacha.Read(p)
	}
	return append(all, []byte("Grüße ✓"))
}

// bothWays shows that what Python writes under keys, ring reads, and the other way round.
func bothWays(t *testing.T, keys []string, ring *fernet.Keyring) {
	t.Helper()
	var requests []request
	all := plaintexts()
	for _, p := range all {
		requests = append(requests,
			request{"op": "encrypt", "keys": keys, "data": b64(p)},
			request{"op": "decrypt", "keys": keys, "token": string(ring.Encrypt(p))},
			request{"op": "decrypt", "keys": keys, "token": string(ring.Encrypt(p)), "ttl": 3600},
		)
	}
	answers := ask(t, requests...)
	for i, p := range all {
		got, err := ring.Decrypt([]byte(answers[3*i].(string)))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(p, got))
		assert.Equal(t, b64(p), answers[3*i+1])
		assert.Equal(t, b64(p), answers[3*i+2])
	}
}

func TestPythonVectorsAreWhatTheScriptMakes(t *testing.T) {
	want, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(runPython(t, nil, "vectors.py")))
}

func TestPythonFernet(t *testing.T) {
	k := fernet.GenerateKey()
	bothWays(t, []string{k.Encode()}, mustRing(t, k))
}

func TestPythonMultiFernet(t *testing.T) {
	a, b, c := fernet.GenerateKey(), fernet.GenerateKey(), fernet.GenerateKey()
	ring, keys := mustRing(t, a, b, c), []string{a.Encode(), b.Encode(), c.Encode()}
	bothWays(t, keys, ring)

	// Tokens of the later keys, and rotation, are the same to both.
	old := string(mustRing(t, c).Encrypt([]byte("x")))
	rotated, changed, err := ring.Rotate([]byte(old))
	require.NoError(t, err)
	require.True(t, changed)
	answers := ask(t,
		request{"op": "decrypt", "keys": keys, "token": old},
		request{"op": "decrypt", "keys": keys[:1], "token": old},
		request{"op": "decrypt", "keys": keys[:1], "token": string(rotated)},
		request{"op": "rotate", "keys": keys, "token": old},
	)
	assert.Equal(t, []any{b64([]byte("x")), nil, b64([]byte("x"))}, answers[:3])
	theirs := []byte(answers[3].(string))
	assert.Equal(t, rotated[:12], theirs[:12], "both keep the time")
	needs, err := ring.NeedsRotation(theirs)
	require.NoError(t, err)
	assert.False(t, needs)
}

func TestPythonDjangoFernetFields(t *testing.T) {
	settings := []string{"any text, ü ✓", "old key", "1"}
	keys, want := askKeys(t, request{"op": "django_fernet_fields", "keys": settings})
	ring, err := fernet.DjangoFernetFields(settings...)
	require.NoError(t, err)
	assert.Equal(t, want.KeyIDs(), ring.KeyIDs())
	bothWays(t, keys, ring)
}

func TestPythonDjangoFernetFieldsWithoutHKDF(t *testing.T) {
	keys := []string{fernet.GenerateKey().Encode(), specKey}
	ring, err := fernet.ParseKeyring(keys[0] + "," + keys[1])
	require.NoError(t, err)
	bothWays(t, keys, ring)
}

func TestPythonDjangoFernetEncryptedFields(t *testing.T) {
	secrets, salts := []string{"new secret ü", "old secret"}, []string{"new salt ✓", "old salt"}
	keys, want := askKeys(t, request{"op": "django_fernet_encrypted_fields", "secret_keys": secrets, "salt_keys": salts})
	ring, err := fernet.DjangoFernetEncryptedFields(secrets, salts)
	require.NoError(t, err)
	assert.Len(t, keys, 4)
	assert.Equal(t, want.KeyIDs(), ring.KeyIDs())
	bothWays(t, keys, ring)
}

// Any library reads a column's token, given the column's key.
func TestPythonReadsColumnTokens(t *testing.T) {
	k, other := fernet.GenerateKey(), fernet.GenerateKey()
	ring := mustRing(t, other, k)
	for _, label := range []string{"app.users.email", "Größe.✓"} {
		keys, plain := askKeys(t, request{"op": "column", "key": k.Encode(), "label": label})
		column := mustDerive(t, ring, label)
		for _, mode := range []fernet.Mode{fernet.Random, fernet.Deterministic} {
			var requests []request
			for _, p := range plaintexts() {
				token, err := column.Encrypt(p, mode, k.ID())
				require.NoError(t, err)
				requests = append(requests, request{"op": "decrypt", "keys": keys, "token": string(token)})
			}
			answers := ask(t, requests...)
			for i, p := range plaintexts() {
				assert.Equal(t, b64(p), answers[i])
			}
		}
		_, err := column.Decrypt(plain.Encrypt([]byte("x")))
		assert.Equal(t, fernet.ErrInvalidToken, err, "a real time stands for the ring's own keys")
	}
}
