package pganon

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/scope"
)

const (
	maxSealTTL = 30 * 24 * time.Hour
	maxSealed  = 64 << 10 // bytes of JSON: what a job queue takes without complaint

	// sealLabel derives the keys of sealed identities. No column can have it: PostgreSQL has no text with NUL. Else who may write a
	// column's tag could have an identity of their choice encrypted under it.
	sealLabel = "\x00identity"

	// sealPrefix is the version of Fernet and the time field that fernet.Random makes. Tokens with a real time are not made
	// under derived keys, and whatever a program encrypts with its key ring would be an identity.
	sealPrefix = "gAAAAAAB"
)

// sealed is the plaintext of a token. A reader that does not know one of its fields refuses the token: it may be one that narrows.
type sealed struct {
	Version  int               `json:"v"`
	Expires  int64             `json:"exp"` // Unix time in milliseconds
	User     string            `json:"user"`
	Tenant   string            `json:"tenant"`
	Groups   []string          `json:"groups"`
	Role     string            `json:"role"`
	Settings map[string]string `json:"settings"`
	Masks    []string          `json:"masks"`
}

const sealVersion = 1

// SealIdentity returns a token that carries the identity of ctx, and its [Masked] and [MaskedAs], to another process: a background job,
// a call of another service. It is printable ASCII, encrypted and signed under the first of keys, and says itself
// until when [OpenIdentity] takes it. Until then it is worth a password: whoever holds it can use it, more than once.
//
// It refuses a context without identity ([ErrNoIdentity]; [System] is not carried, the job has its own reason), an invalid identity
// ([ErrInvalidIdentity]), one of more than 64 KiB, and a ttl of less than a second or more than 30 days.
func SealIdentity(ctx context.Context, keys fernet.KeySource, ttl time.Duration) (string, error) {
	if ttl < time.Second || ttl > maxSealTTL {
		return "", fmt.Errorf("pganon: seal identity: ttl %s is not between 1s and %s", ttl, maxSealTTL)
	}
	id, ok := IdentityFrom(ctx)
	if !ok {
		return "", fmt.Errorf("pganon: seal identity: %w", ErrNoIdentity)
	}
	s := scope.From(ctx)
	if err := s.Check(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidIdentity, err)
	}
	if err := id.check(); err != nil {
		return "", err
	}
	plaintext, err := json.Marshal(sealed{
		Version: sealVersion, Expires: time.Now().Add(ttl).UnixMilli(),
		User: id.User, Tenant: id.Tenant, Groups: id.Groups, Role: id.Role, Settings: id.Settings, Masks: s.Masks,
	})
	if err != nil {
		return "", errors.New("pganon: seal identity: it cannot be written as JSON")
	}
	defer clear(plaintext)
	if len(plaintext) > maxSealed {
		return "", fmt.Errorf("pganon: seal identity: %d bytes are more than %d", len(plaintext), maxSealed)
	}
	ring, derived, err := sealKeys(ctx, keys)
	if err != nil {
		return "", fmt.Errorf("pganon: seal identity: %w", err)
	}
	token, err := derived.Encrypt(plaintext, fernet.Random, ring.KeyIDs()[0])
	if err != nil {
		return "", fmt.Errorf("pganon: seal identity: %w", err)
	}
	return string(token), nil
}

// OpenIdentity returns a context like ctx whose statements run as the identity in token, which [SealIdentity] made with one of keys,
// and under the masks of both. No other token will do, of the same keys neither.
//
// A token that is refused is [ErrInvalidIdentity]; what is wrong with it is said of a genuine one alone: that it has expired, most often.
// With an error there is no context.
func OpenIdentity(ctx context.Context, keys fernet.KeySource, token string) (context.Context, error) {
	_, derived, err := sealKeys(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("pganon: open identity: %w", err)
	}
	s, err := unseal(derived, token)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidIdentity, err)
	}
	if late := time.Since(time.UnixMilli(s.Expires)); late >= 0 {
		return nil, fmt.Errorf("%w: the token expired %s ago", ErrInvalidIdentity, late.Round(time.Second))
	}
	id := Identity{User: s.User, Tenant: s.Tenant, Groups: s.Groups, Role: s.Role, Settings: s.Settings}
	if err := id.check(); err != nil {
		return nil, err
	}
	for _, role := range s.Masks {
		ctx = masked(ctx, role)
	}
	ctx = WithIdentity(ctx, id)
	if err := scope.From(ctx).Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidIdentity, err)
	}
	return ctx, nil
}

var errToken = errors.New("the token is none that SealIdentity made with these keys")

func sealKeys(ctx context.Context, keys fernet.KeySource) (*fernet.Keyring, *fernet.ColumnKeys, error) {
	if keys == nil {
		return nil, nil, errors.New("no keys")
	}
	ring, err := keys.Keyring(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	if ring == nil {
		return nil, nil, errors.New("no keys")
	}
	derived, err := ring.Derive(sealLabel)
	return ring, derived, err
}

func unseal(derived *fernet.ColumnKeys, token string) (*sealed, error) {
	// A token is at most 73 bytes longer than what it holds: version, time, IV, padding, MAC.
	if len(token) > base64.URLEncoding.EncodedLen(maxSealed+73) || !strings.HasPrefix(token, sealPrefix) {
		return nil, errToken
	}
	plaintext, err := derived.Decrypt([]byte(token))
	if err != nil {
		return nil, errToken
	}
	defer clear(plaintext)
	var s sealed
	d := json.NewDecoder(bytes.NewReader(plaintext))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || s.Version != sealVersion {
		return nil, errors.New("the token is of another version of this package")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errToken
	}
	return &s, nil
}
