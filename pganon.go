package pganon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/loghash"
	"github.com/pganon/pganon/internal/refusal"
	"github.com/pganon/pganon/internal/scope"
)

var (
	// ErrNoIdentity is the error of a statement whose context does not say who is asking, where the DSN does not say what then.
	ErrNoIdentity = errors.New("pganon: no identity in the context: use pganon.WithIdentity, or pganon.System with a reason, " +
		"or set pganon.identity=optional or pganon.anonymous=<role> in the DSN")

	// ErrInvalidIdentity is in the chain of every error about an identity that cannot be sent to PostgreSQL or cannot be opened.
	// Their texts name the field or the setting, never its value.
	ErrInvalidIdentity = errors.New("pganon: invalid identity")
)

// Identity says who is asking. It must not be empty; each field alone is enough.
// Text with NUL or invalid UTF-8 is refused as [ErrInvalidIdentity] when a statement runs.
//
// However it is printed, logged or marshalled, an Identity shows Groups, Role and the names of Settings, a short keyed hash of User and
// Tenant, and no value of a setting. The fmt package cannot know that where it is kept in an unexported field or meets the verbs %p and
// %w, which go vet reports: keep it in exported fields or behind a pointer.
type Identity struct {
	// User is the application's user. It is sent as <prefix>.user_id; the DSN key pganon.settings_prefix sets the prefix.
	User string
	// Tenant is sent as <prefix>.tenant_id.
	Tenant string
	// Groups are the application's groups. The DSN keys pganon.roles and pganon.masked_groups choose the database role by them.
	Groups []string
	// Role is the database role to run as. Where it is set, Groups choose none.
	// It has at most 63 bytes and is not "none", whatever the case.
	Role string
	// Settings are sent too: "region" as <prefix>.region, a dotted name as it is. Names are letters, digits, _ and $, their case does
	// not count. Settings of PostgreSQL itself and of extensions are refused unless the driver's Config allows them;
	// role and session_authorization always are.
	Settings map[string]string
}

// WithIdentity returns a context whose statements run as id. It keeps a copy: what is done to id's maps and slices later changes nothing.
// It ends an outer [System], and never an outer [Masked] or [MaskedAs].
//
// An invalid or empty identity is an error of the statement, [ErrInvalidIdentity].
func WithIdentity(ctx context.Context, id Identity) context.Context {
	own := id.clone()
	s := scope.From(ctx).Derive()
	s.Identity, s.System, s.Reason = &own, false, ""
	return scope.With(ctx, s)
}

// IdentityFrom returns a copy of the identity that statements under ctx run as, and false where there is none or [System] holds.
// It says nothing of [Masked]: a masked context keeps its identity.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	if s := scope.From(ctx); s != nil {
		if id, ok := s.Identity.(*Identity); ok {
			return id.clone(), true
		}
	}
	return Identity{}, false
}

func (id Identity) clone() Identity {
	id.Groups = slices.Clone(id.Groups)
	id.Settings = maps.Clone(id.Settings)
	return id
}

func (id Identity) check() error {
	if err := guc.Check(id.User, id.Tenant, id.Groups, id.Role, id.Settings); err != nil {
		return refusal.New(ErrInvalidIdentity, err)
	}
	return nil
}

// Masked returns a context whose statements run as the masked role that the DSN key pganon.masked_role names, whoever is asking, and
// with the settings of who is asking. No context derived from it is unmasked: not by [WithIdentity], not by [System].
// Where no masked role is configured, the statement is refused.
//
// Whose own role may read less than the masked one reads more under it: who may ask is for the program to say first.
func Masked(ctx context.Context) context.Context { return masked(ctx, "") }

// MaskedAs is [Masked] with a masked role of its own. A statement under two different masked roles is refused: neither is known to
// hide more. So is one under role "".
func MaskedAs(ctx context.Context, role string) context.Context {
	if role == "" {
		role = scope.UnnamedMask
	}
	return masked(ctx, role)
}

func masked(ctx context.Context, role string) context.Context {
	s := scope.From(ctx).Derive()
	s.AddMask(role)
	return scope.With(ctx, s)
}

// System returns a context whose statements run as the login role of the connection, on purpose: migrations, maintenance, the look-up
// of who is asking. The reason is logged; without one the statement is refused. It ends an outer [WithIdentity],
// never an outer [Masked] or [MaskedAs].
func System(ctx context.Context, reason string) context.Context {
	s := scope.From(ctx).Derive()
	s.Identity, s.System, s.Reason = nil, true, strings.TrimSpace(reason)
	return scope.With(ctx, s)
}

// shown is what of an Identity may be seen.
type shown struct {
	User     string   `json:"user,omitempty"`
	Tenant   string   `json:"tenant,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Role     string   `json:"role,omitempty"`
	Settings []string `json:"settings,omitempty"`
}

func (id Identity) shown() shown {
	s := shown{Groups: id.Groups, Role: id.Role, Settings: slices.Sorted(maps.Keys(id.Settings))}
	if id.User != "" {
		s.User = "#" + loghash.Sum("user", id.User)
	}
	if id.Tenant != "" {
		s.Tenant = "#" + loghash.Sum("tenant", id.Tenant)
	}
	return s
}

// String returns role, groups and names of settings, with a keyed hash of user and tenant, on one line.
func (id Identity) String() string {
	s := id.shown()
	var fields []string
	if s.User != "" {
		fields = append(fields, "user="+s.User)
	}
	if s.Tenant != "" {
		fields = append(fields, "tenant="+s.Tenant)
	}
	if len(s.Groups) > 0 {
		fields = append(fields, "groups="+quoted(s.Groups))
	}
	if s.Role != "" {
		fields = append(fields, "role="+strconv.Quote(s.Role))
	}
	if len(s.Settings) > 0 {
		fields = append(fields, "settings="+quoted(s.Settings))
	}
	return "identity(" + strings.Join(fields, " ") + ")"
}

// quoted keeps a name that was made to break a log line on its line.
func quoted(names []string) string {
	q := make([]string, len(names))
	for i, name := range names {
		q[i] = strconv.Quote(name)
	}
	return "[" + strings.Join(q, " ") + "]"
}

// GoString returns what String returns, as the name of a type and its fields: not Go that compiles.
func (id Identity) GoString() string {
	return "pganon.Identity" + strings.TrimPrefix(id.String(), "identity")
}

// Format writes what String returns, or GoString for %#v, for every verb.
func (id Identity) Format(f fmt.State, verb rune) {
	text := id.String()
	if verb == 'v' && f.Flag('#') {
		text = id.GoString()
	}
	switch verb {
	case 'q', 'x', 'X':
		fmt.Fprintf(f, fmt.FormatString(f, verb), text)
	default:
		_, _ = f.Write([]byte(text))
	}
}

// LogValue returns what String returns as a group of attributes.
func (id Identity) LogValue() slog.Value {
	s := id.shown()
	var attrs []slog.Attr
	if s.User != "" {
		attrs = append(attrs, slog.String("user", s.User))
	}
	if s.Tenant != "" {
		attrs = append(attrs, slog.String("tenant", s.Tenant))
	}
	if len(s.Groups) > 0 {
		attrs = append(attrs, slog.Any("groups", slices.Clone(s.Groups)))
	}
	if s.Role != "" {
		attrs = append(attrs, slog.String("role", s.Role))
	}
	if len(s.Settings) > 0 {
		attrs = append(attrs, slog.Any("settings", s.Settings))
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON returns what String returns as an object. UnmarshalJSON does not read it back.
func (id Identity) MarshalJSON() ([]byte, error) { return json.Marshal(id.shown()) }

// MarshalText returns what String returns, for XML, YAML and other text encodings.
func (id Identity) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

var errUnsealed = fmt.Errorf("%w: it is carried by SealIdentity and OpenIdentity alone; anyone can write another encoding", ErrInvalidIdentity)

// MarshalBinary refuses, and so do gob and other binary encodings: see [SealIdentity].
func (Identity) MarshalBinary() ([]byte, error) { return nil, errUnsealed }

// UnmarshalJSON refuses anything but null: see [OpenIdentity].
func (*Identity) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	return errUnsealed
}

// UnmarshalText refuses: see [OpenIdentity].
func (*Identity) UnmarshalText([]byte) error { return errUnsealed }

// UnmarshalBinary refuses: see [OpenIdentity].
func (*Identity) UnmarshalBinary([]byte) error { return errUnsealed }
