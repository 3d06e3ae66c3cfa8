package pganon_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/scope"
)

var (
	key1, key2 = fernet.GenerateKey(), fernet.GenerateKey()
	ring       = must(fernet.NewKeyring(key1))
)

func sealed(t *testing.T, ctx context.Context) string {
	t.Helper()
	token, err := pganon.SealIdentity(ctx, ring, time.Hour)
	require.NoError(t, err)
	return token
}

// refused asserts that a token gives no context, and an error that does not repeat what is in it.
func refused(t *testing.T, keys *fernet.Keyring, token, want string) {
	t.Helper()
	ctx, err := pganon.OpenIdentity(bg, keys, token)
	assert.Nil(t, ctx)
	require.ErrorIs(t, err, pganon.ErrInvalidIdentity)
	assert.ErrorContains(t, err, want)
	assert.False(t, leaks(err.Error()))
	if len(token) > 16 {
		assert.NotContains(t, err.Error(), token)
	}
}

const notOurs = "the token is none that SealIdentity made with these keys"

func TestSealRoundTrip(t *testing.T) {
	identities := map[string]pganon.Identity{
		"full":   secret,
		"user":   {User: "u"},
		"empty":  {Role: "r", Groups: []string{}, Settings: map[string]string{}},
		"text":   {User: "\"quoted\" <b>&amp;</b> \\ \u2028 é 🎭 \x01", Settings: map[string]string{"note": "line\nbreak\ttab"}},
		"groups": {Groups: slices.Repeat([]string{"g"}, 1000)},
	}
	masks := map[string]func(context.Context) context.Context{
		"unmasked":  func(c context.Context) context.Context { return c },
		"masked":    pganon.Masked,
		"masked as": func(c context.Context) context.Context { return pganon.MaskedAs(pganon.Masked(c), "analyst_masked") },
	}
	for name, id := range identities {
		for how, mask := range masks {
			t.Run(name+" "+how, func(t *testing.T) {
				ctx := mask(pganon.WithIdentity(bg, id))
				token := sealed(t, ctx)
				assert.False(t, leaks(token))
				assert.Regexp(t, `^[A-Za-z0-9_-]+=*$`, token)
				assert.NotEqual(t, token, sealed(t, ctx), "equal identities are not seen to be equal")

				opened, err := pganon.OpenIdentity(bg, ring, token)
				require.NoError(t, err)
				got, ok := pganon.IdentityFrom(opened)
				require.True(t, ok)
				assert.True(t, same(id, got))
				assert.Equal(t, scope.From(ctx).Masks, scope.From(opened).Masks)
			})
		}
	}
}

// What a worker's context says already stays: its masks, its values, its deadline; its identity and System do not.
func TestOpenIdentityInAContext(t *testing.T) {
	type key struct{}
	token := sealed(t, pganon.MaskedAs(pganon.WithIdentity(bg, pganon.Identity{User: "alice"}), "theirs"))
	worker, cancel := context.WithCancel(context.WithValue(bg, key{}, "kept"))
	worker = pganon.System(pganon.WithIdentity(pganon.Masked(worker), pganon.Identity{User: "worker"}), "queue")

	ctx, err := pganon.OpenIdentity(worker, ring, token)
	require.NoError(t, err)
	id, ok := pganon.IdentityFrom(ctx)
	assert.True(t, ok)
	assert.Equal(t, "alice", id.User)
	assert.Equal(t, []string{"", "theirs"}, scope.From(ctx).Masks)
	assert.False(t, scope.From(ctx).System)
	assert.Equal(t, "kept", ctx.Value(key{}))
	cancel()
	assert.ErrorIs(t, ctx.Err(), context.Canceled)
}

func TestSealRefuses(t *testing.T) {
	alice := pganon.WithIdentity(bg, pganon.Identity{User: userCanary})
	for _, tt := range []struct {
		name string
		ctx  context.Context
		keys fernet.KeySource
		ttl  time.Duration
		is   error
		want string
	}{
		{"no identity", bg, ring, time.Hour, pganon.ErrNoIdentity, "seal identity"},
		{"masked without identity", pganon.Masked(bg), ring, time.Hour, pganon.ErrNoIdentity, "seal identity"},
		{"system", pganon.System(alice, "why"), ring, time.Hour, pganon.ErrNoIdentity, "seal identity"},
		{"empty", pganon.WithIdentity(bg, pganon.Identity{}), ring, time.Hour, pganon.ErrInvalidIdentity, "no user, tenant"},
		{"UTF-8 that JSON would change", pganon.WithIdentity(bg, pganon.Identity{User: userCanary + "\xff"}), ring, time.Hour, pganon.ErrInvalidIdentity, "user: it is not valid UTF-8"},
		{"unnamed mask", pganon.MaskedAs(alice, ""), ring, time.Hour, pganon.ErrInvalidIdentity, "MaskedAs was called without a role"},
		{"mask that JSON would change", pganon.MaskedAs(alice, "m\xff"), ring, time.Hour, pganon.ErrInvalidIdentity, "not valid UTF-8"},
		{"no source", alice, nil, time.Hour, nil, "seal identity: no keys"},
		{"no keys", alice, (*fernet.Keyring)(nil), time.Hour, nil, "seal identity: no keys"},
		{"source out of reach", alice, unreachable{}, time.Hour, errUnreachable, "seal identity: vault is sealed"},
		{"no ttl", alice, ring, 0, nil, "ttl 0s is not between 1s and 720h0m0s"},
		{"negative ttl", alice, ring, -time.Hour, nil, "ttl -1h0m0s"},
		{"short ttl", alice, ring, time.Second - 1, nil, "ttl 999.999999ms"},
		{"long ttl", alice, ring, 30*24*time.Hour + 1, nil, "ttl 720h0m0.000000001s"},
		{"too big", pganon.WithIdentity(bg, pganon.Identity{User: strings.Repeat(userCanary, 5000)}), ring, time.Hour, nil, "bytes are more than 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := pganon.SealIdentity(tt.ctx, tt.keys, tt.ttl)
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, token)
			assert.False(t, leaks(err.Error()))
			if tt.is != nil {
				assert.ErrorIs(t, err, tt.is)
			}
		})
	}
}

var errUnreachable = errors.New("vault is sealed")

type unreachable struct{}

func (unreachable) Keyring(context.Context, string) (*fernet.Keyring, error) {
	return nil, errUnreachable
}

// A worker tries again when the keys are back; the token is not to blame.
func TestOpenIdentityWithoutKeys(t *testing.T) {
	token := sealed(t, pganon.WithIdentity(bg, secret))
	for _, keys := range []fernet.KeySource{nil, (*fernet.Keyring)(nil), unreachable{}} {
		ctx, err := pganon.OpenIdentity(bg, keys, token)
		assert.Nil(t, ctx)
		assert.ErrorContains(t, err, "pganon: open identity: ")
		assert.NotErrorIs(t, err, pganon.ErrInvalidIdentity)
	}
}

func TestSealExpires(t *testing.T) {
	for _, ttl := range []time.Duration{time.Second, 90 * time.Minute, 30 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			keys := must(fernet.NewKeyring(key1))
			token, err := pganon.SealIdentity(pganon.WithIdentity(bg, secret), keys, ttl)
			require.NoError(t, err)
			time.Sleep(ttl - time.Millisecond)
			_, err = pganon.OpenIdentity(bg, keys, token)
			require.NoError(t, err)
			time.Sleep(time.Millisecond)
			refused(t, keys, token, "the token expired 0s ago")
			time.Sleep(3 * time.Minute)
			refused(t, keys, token, "the token expired 3m0s ago")
			time.Sleep(100 * 365 * 24 * time.Hour)
			refused(t, keys, token, "the token expired 876000h3m0s ago")
		})
	}
}

func TestSealKeyRotation(t *testing.T) {
	old := sealed(t, pganon.WithIdentity(bg, secret))
	rotated := must(fernet.NewKeyring(key2, key1))
	_, err := pganon.OpenIdentity(bg, rotated, old)
	require.NoError(t, err)
	fresh, err := pganon.SealIdentity(pganon.WithIdentity(bg, secret), rotated, time.Hour)
	require.NoError(t, err)
	refused(t, ring, fresh, notOurs)
	refused(t, must(fernet.NewKeyring(key2)), old, notOurs)
}

func TestSealTampered(t *testing.T) {
	token := sealed(t, pganon.WithIdentity(bg, secret))
	for i := range len(token) {
		changed := []byte(token)
		if changed[i] != 'A' {
			changed[i] = 'A'
		} else {
			changed[i] = 'B'
		}
		refused(t, ring, string(changed), notOurs)
		refused(t, ring, token[:i], notOurs)
	}
	refused(t, ring, token+"A", notOurs)
	refused(t, ring, token+"=", notOurs)
	refused(t, ring, " "+token, notOurs)
	refused(t, ring, token+"\n", notOurs)
	refused(t, ring, strings.TrimRight(token, "=")+"\n==", notOurs)
	refused(t, ring, strings.Repeat(token, 1000), notOurs)
}

// label is what no column can be called.
const label = "\x00identity"

func payload(change func(map[string]any)) []byte {
	p := map[string]any{"v": 1, "exp": time.Now().Add(time.Hour).UnixMilli(), "user": "mallory", "role": "admin"}
	change(p)
	return must(json.Marshal(p))
}

func sealPayload(t *testing.T, plaintext []byte, m fernet.Mode) string {
	t.Helper()
	derived, err := ring.Derive(label)
	require.NoError(t, err)
	token, err := derived.Encrypt(plaintext, m, ring.KeyIDs()[0])
	require.NoError(t, err)
	return string(token)
}

// A program encrypts much with its key ring, at the wish of its users too. None of that is an identity, and no identity is one of those.
func TestSealIsForIdentitiesAlone(t *testing.T) {
	genuine := payload(func(map[string]any) {})
	_, err := pganon.OpenIdentity(bg, ring, sealPayload(t, genuine, fernet.Random))
	require.NoError(t, err, "this plaintext is one")

	plain := ring.Encrypt(genuine)
	derived, err := ring.Derive(label)
	require.NoError(t, err)
	_, err = derived.Decrypt(plain)
	require.NoError(t, err, "columns read tokens with a time in them under the ring's own keys, which identities must not")
	refused(t, ring, string(plain), notOurs)
	refused(t, ring, sealPayload(t, genuine, fernet.Deterministic), notOurs)
	for _, column := range []string{"public.users.email", "identity", " identity", "\x00", "\x00identity\x00", "seal"} {
		keys, err := ring.Derive(column)
		require.NoError(t, err)
		token, err := keys.Encrypt(genuine, fernet.Random, ring.KeyIDs()[0])
		require.NoError(t, err)
		refused(t, ring, string(token), notOurs)

		_, err = keys.Decrypt([]byte(sealed(t, pganon.WithIdentity(bg, secret))))
		assert.ErrorIs(t, err, fernet.ErrInvalidToken)
	}
	_, err = ring.Decrypt([]byte(sealed(t, pganon.WithIdentity(bg, secret))))
	assert.ErrorIs(t, err, fernet.ErrInvalidToken)
}

// Tokens that are genuine but of a program that knows more, or less, than this one.
func TestSealOfOtherVersions(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"newer":             {func(p map[string]any) { p["v"] = 2 }, "another version"},
		"no version":        {func(p map[string]any) { delete(p, "v") }, "another version"},
		"unknown field":     {func(p map[string]any) { p["read_only"] = true }, "another version"},
		"another type":      {func(p map[string]any) { p["user"] = 1 }, "another version"},
		"no end":            {func(p map[string]any) { delete(p, "exp") }, "expired"},
		"empty":             {func(p map[string]any) { delete(p, "user"); delete(p, "role") }, "no user, tenant"},
		"NUL":               {func(p map[string]any) { p["user"] = valueCanary + "\x00" }, "user: it has a NUL byte"},
		"impossible role":   {func(p map[string]any) { p["role"] = "none" }, `role "none"`},
		"impossible mask":   {func(p map[string]any) { p["masks"] = []string{"", "none"} }, `pganon.MaskedAs: role "none"`},
		"no mask's name":    {func(p map[string]any) { p["masks"] = []string{scope.UnnamedMask} }, "without a role"},
		"a bad setting too": {func(p map[string]any) { p["settings"] = map[string]string{"role": valueCanary} }, `setting "role"`},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, ring, sealPayload(t, payload(tt.change), fernet.Random), tt.want)
		})
	}
	genuine := payload(func(map[string]any) {})
	refused(t, ring, sealPayload(t, append(genuine, '1'), fernet.Random), notOurs)
	refused(t, ring, sealPayload(t, append(genuine, genuine...), fernet.Random), notOurs)
	refused(t, ring, sealPayload(t, nil, fernet.Random), "another version")
	refused(t, ring, sealPayload(t, payload(func(p map[string]any) { p["user"] = strings.Repeat("u", 66_000) }), fernet.Random), notOurs)
}

func FuzzOpenIdentity(f *testing.F) {
	token, err := pganon.SealIdentity(pganon.WithIdentity(bg, secret), ring, time.Hour)
	require.NoError(f, err)
	f.Add("")
	f.Add("gAAAAAAB")
	f.Add(token[:100])
	f.Add(string(ring.Encrypt([]byte("x"))))
	f.Fuzz(func(t *testing.T, token string) {
		ctx, err := pganon.OpenIdentity(bg, ring, token)
		assert.Nil(t, ctx)
		assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
	})
}

// FuzzSealedPlaintext reads what only a holder of the keys can write, as any bytes: what is accepted is a valid identity that seals again.
func FuzzSealedPlaintext(f *testing.F) {
	f.Add(payload(func(map[string]any) {}))
	f.Add(payload(func(p map[string]any) { p["masks"] = []string{"", "m"}; p["settings"] = map[string]string{"a": "b"} }))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		ctx, err := pganon.OpenIdentity(bg, ring, sealPayload(t, plaintext, fernet.Random))
		if err != nil {
			assert.Nil(t, ctx)
			assert.ErrorIs(t, err, pganon.ErrInvalidIdentity)
			return
		}
		id, ok := pganon.IdentityFrom(ctx)
		require.True(t, ok)
		again, err := pganon.OpenIdentity(bg, ring, sealed(t, ctx))
		require.NoError(t, err)
		got, _ := pganon.IdentityFrom(again)
		assert.True(t, same(id, got))
		assert.Equal(t, scope.From(ctx).Masks, scope.From(again).Masks)
	})
}

func FuzzSealRoundTrip(f *testing.F) {
	f.Add("u", "t", "g", "r", "region", "v", "m")
	f.Add("\xff", "", "", "none", "role", "\x00", "")
	f.Fuzz(func(t *testing.T, user, tenant, group, role, name, value, mask string) {
		id := pganon.Identity{User: user, Tenant: tenant, Groups: []string{group}, Role: role, Settings: map[string]string{name: value}}
		ctx := pganon.MaskedAs(pganon.WithIdentity(bg, id), mask)
		token, err := pganon.SealIdentity(ctx, ring, time.Minute)
		if err != nil {
			return
		}
		opened, err := pganon.OpenIdentity(bg, ring, token)
		require.NoError(t, err)
		got, _ := pganon.IdentityFrom(opened)
		assert.True(t, same(id, got))
		assert.Equal(t, []string{mask}, scope.From(opened).Masks)
		assert.Equal(t, []string{name}, slices.Collect(maps.Keys(got.Settings)))
	})
}
