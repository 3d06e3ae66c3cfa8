package fernet_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pganon/pganon/fernet"
)

func Example() {
	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		panic(err)
	}
	token := ring.Encrypt([]byte("alice@example.org"))
	fmt.Println(len(token), string(token[:5]))

	plaintext, err := ring.Decrypt(token)
	fmt.Println(string(plaintext), err)

	token[60] = 'A' + token[60]%2
	_, err = ring.Decrypt(token)
	fmt.Println(err)
	// Output:
	// 120 gAAAA
	// alice@example.org <nil>
	// fernet: invalid token
}

func ExampleKey() {
	key := fernet.GenerateKey()
	fmt.Printf("%v %x %+v\n", key, key, struct{ Key fernet.Key }{key})
	slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})).Info("new key", "key", key)

	fmt.Println(len(key.Encode()), "characters for the secret store")
	// Output:
	// [REDACTED] [REDACTED] {Key:[REDACTED]}
	// level=INFO msg="new key" key=[REDACTED]
	// 44 characters for the secret store
}

func ExampleParseKey() {
	_, err := fernet.ParseKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4")
	fmt.Println(err)
	// Output: fernet: parse key: want 44 characters of base64url, got 43
}

func ExampleEnvKeyring() {
	// As the deployment does it: the newest key first, separated by commas.
	os.Setenv("PGANON_KEYS", fernet.GenerateKey().Encode()+","+fernet.GenerateKey().Encode())

	ring, err := fernet.EnvKeyring("PGANON_KEYS")
	fmt.Println(len(ring.KeyIDs()), err)
	fmt.Println(ring)
	// Output:
	// 2 <nil>
	// [REDACTED]
}

func ExampleKeyring_DecryptWithTTL() {
	ring, err := fernet.NewKeyring(fernet.GenerateKey())
	if err != nil {
		panic(err)
	}
	session := ring.Encrypt([]byte("user 42"))

	plaintext, err := ring.DecryptWithTTL(session, time.Hour, time.Minute)
	fmt.Println(string(plaintext), err)

	_, err = ring.DecryptWithTTL(session, -time.Hour, time.Minute)
	fmt.Println(err)
	// Output:
	// user 42 <nil>
	// fernet: invalid token
}

func ExampleKeyring_Rotate() {
	oldKey, newKey := fernet.GenerateKey(), fernet.GenerateKey()
	before, err := fernet.NewKeyring(oldKey)
	if err != nil {
		panic(err)
	}
	token := before.Encrypt([]byte("alice@example.org"))

	ring, err := fernet.NewKeyring(newKey, oldKey)
	if err != nil {
		panic(err)
	}
	token, changed, err := ring.Rotate(token)
	fmt.Println(changed, err)
	_, changed, err = ring.Rotate(token)
	fmt.Println(changed, err)
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleKeyring_Derive() {
	ring, err := fernet.ParseKeyring("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		panic(err)
	}
	emails, err := ring.Derive("app.users.email")
	if err != nil {
		panic(err)
	}
	id := emails.KeyIDs()[0]
	token, err := emails.Encrypt([]byte("alice@example.org"), fernet.Deterministic, id)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(token[:8]), id, string(token[8:12]))

	plaintext, err := emails.Decrypt(token)
	fmt.Println(string(plaintext), err)

	names, err := ring.Derive("app.users.name")
	if err != nil {
		panic(err)
	}
	_, err = names.Decrypt(token)
	fmt.Println("in another column:", err)
	// Output:
	// gAAAAAAA NTeB NTeB
	// alice@example.org <nil>
	// in another column: fernet: invalid token
}

// A search in a deterministic column asks for the token under each key that can occur.
func ExampleColumnKeys_KeyIDs() {
	ring, err := fernet.NewKeyring(fernet.GenerateKey(), fernet.GenerateKey())
	if err != nil {
		panic(err)
	}
	emails, err := ring.Derive("app.users.email")
	if err != nil {
		panic(err)
	}
	var anyOf []string // SELECT … WHERE email = ANY($1)
	for _, id := range emails.KeyIDs() {
		token, err := emails.Encrypt([]byte("alice@example.org"), fernet.Deterministic, id)
		if err != nil {
			panic(err)
		}
		anyOf = append(anyOf, string(token))
	}
	fmt.Println(len(anyOf), anyOf[0] != anyOf[1])
	// Output: 2 true
}

func ExampleOpenKeyFile() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys")
	text := "# made in June\n" + fernet.GenerateKey().Encode() + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}

	keys, err := fernet.OpenKeyFile(path, func(err error) { fmt.Println("alert:", err) })
	if err != nil {
		panic(err)
	}
	ring, err := keys.Keyring(context.Background(), "app.users.email")
	fmt.Println(len(ring.KeyIDs()), err)
	// Output: 1 <nil>
}

// vault stands for a client of a key management service.
type vault struct {
	mu    sync.Mutex
	rings map[string]*fernet.Keyring
}

// Keyring implements fernet.KeySource: each label has keys of its own, fetched once.
func (v *vault) Keyring(ctx context.Context, label string) (*fernet.Keyring, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if ring, ok := v.rings[label]; ok {
		return ring, nil
	}
	text := fernet.GenerateKey().Encode() // here: fetch, with ctx, the secret named label
	ring, err := fernet.ParseKeyring(text)
	if err != nil {
		return nil, err
	}
	v.rings[label] = ring
	return ring, nil
}

func ExampleKeySource() {
	var keys fernet.KeySource = &vault{rings: map[string]*fernet.Keyring{}}
	ring, err := keys.Keyring(context.Background(), "app.users.email")
	fmt.Println(ring, err)
	// Output: [REDACTED] <nil>
}

func ExampleDjangoFernetFields() {
	// settings.py: FERNET_KEYS = ["new key, any text: ü", "old key"]
	ring, err := fernet.DjangoFernetFields("new key, any text: ü", "old key")
	if err != nil {
		panic(err)
	}
	// The bytes of the application's bytea column.
	stored := []byte("gAAAAABrA2MamhJOhwgxiDIuT-KXMevQCIWXxBQnZVbqVJ0BE1t79EzUA-jK_jPWe0AerE_24fYeSgjirr6QZK5_jmG8YyeVlx4RvykdBBH5ouLCKU-Cavw=")
	plaintext, err := ring.Decrypt(stored)
	fmt.Println(string(plaintext), err)

	// Column keys read what Django wrote, too, and make tokens of the column's own of it.
	names, err := ring.Derive("app.people.name")
	if err != nil {
		panic(err)
	}
	token, changed, err := names.Rotate(stored, fernet.Random, names.KeyIDs()[0])
	fmt.Println(string(token[:8]), changed, err)
	// Output:
	// Grüße, José ✓ <nil>
	// gAAAAAAB true <nil>
}
