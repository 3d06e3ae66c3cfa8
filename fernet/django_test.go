package fernet_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
)

// djangoCase is an entry of testdata/django.json: what the two libraries' fields stored, under
// Django 3.2, with these settings.
type djangoCase struct {
	Library  string
	Settings struct {
		SecretKey  string   `json:"SECRET_KEY"`
		Fallbacks  []string `json:"SECRET_KEY_FALLBACKS"`
		SaltKey    any      `json:"SALT_KEY"`
		FernetKeys []string `json:"FERNET_KEYS"`
		UseHKDF    *bool    `json:"FERNET_USE_HKDF"`
	}
	Values []struct{ Column, Stored, Plaintext string }
}

func (c djangoCase) ring(t *testing.T) *fernet.Keyring {
	s := c.Settings
	var r *fernet.Keyring
	var err error
	switch {
	case c.Library == "django-fernet-encrypted-fields":
		var salts []string
		switch salt := s.SaltKey.(type) {
		case string:
			salts = []string{salt}
		case []any:
			for _, s := range salt {
				salts = append(salts, s.(string))
			}
		}
		r, err = fernet.DjangoFernetEncryptedFields(append([]string{s.SecretKey}, s.Fallbacks...), salts)
	case s.FernetKeys == nil:
		r, err = fernet.DjangoFernetFields(s.SecretKey)
	case s.UseHKDF != nil && !*s.UseHKDF:
		r, err = fernet.ParseKeyring(s.FernetKeys[0])
	default:
		r, err = fernet.DjangoFernetFields(s.FernetKeys...)
	}
	require.NoError(t, err)
	return r
}

func TestWhatDjangoStored(t *testing.T) {
	var cases []djangoCase
	readJSON(t, "testdata/django.json", &cases)
	require.Len(t, cases, 5)
	for _, c := range cases {
		ring := c.ring(t)
		column := mustDerive(t, ring, "app.users.email")
		require.NotEmpty(t, c.Values)
		for _, v := range c.Values {
			for name, decrypt := range map[string]func([]byte) ([]byte, error){"ring": ring.Decrypt, "column": column.Decrypt} {
				got, err := decrypt([]byte(v.Stored))
				require.NoError(t, err, "%s %s: %s", c.Library, v.Column, name)
				assert.Equal(t, v.Plaintext, string(got))
			}
			needs, err := column.NeedsRotation([]byte(v.Stored), fernet.Deterministic, ring.KeyIDs()[0])
			require.NoError(t, err)
			assert.True(t, needs)
			rotated, changed, err := column.Rotate([]byte(v.Stored), fernet.Deterministic, ring.KeyIDs()[0])
			require.NoError(t, err)
			assert.True(t, changed)
			got, err := column.Decrypt(rotated)
			require.NoError(t, err)
			assert.Equal(t, v.Plaintext, string(got))
		}
	}
}

func TestDjangoKeysThatAreRefused(t *testing.T) {
	fields, encrypted := fernet.DjangoFernetFields, fernet.DjangoFernetEncryptedFields
	refused := func(want string) func(*fernet.Keyring, error) {
		return func(r *fernet.Keyring, err error) {
			t.Helper()
			assert.EqualError(t, err, want)
			assert.Nil(t, r)
		}
	}
	refused("fernet: make key ring: no keys")(fields())
	refused("fernet: derive keys of django-fernet-fields: key 2 is empty")(fields("a", ""))
	refused("fernet: make key ring: keys 1 and 2 have the same id SWYB: remove one that is there twice, or generate another")(fields("a text", "a text"))
	refused("fernet: make key ring: no keys")(encrypted([]string{"a"}, nil))
	const empty = "fernet: derive keys of django-fernet-encrypted-fields: empty secret key or salt key"
	refused(empty)(encrypted([]string{""}, []string{"a"}))
	refused(empty)(encrypted([]string{"a"}, []string{""}))
	refused("fernet: derive keys of django-fernet-encrypted-fields: 1024 keys: at most 256")(encrypted(make([]string, 32), make([]string, 32)))
}
