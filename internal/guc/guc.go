// Package guc holds PostgreSQL's rules for what an identity may send with set_config: names and values of settings, and roles.
// Its errors name the field or setting, never a value.
package guc

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Bounds of one identity. The server has none of its own, and every byte travels with every statement.
const (
	MaxName     = 200     // bytes of a setting's full name
	MaxSettings = 256     // settings of one identity
	MaxBytes    = 1 << 20 // bytes of all fields, names and values of one identity
)

// maxRole is NAMEDATALEN-1. The server truncates what is longer, to the name of another role.
const maxRole = 63

// ErrEmpty says that an identity has no user, tenant, group, role or setting: most likely a login that was forgotten.
var ErrEmpty = errors.New("it has no user, tenant, group, role or setting")

// Check refuses an identity that no configuration can make valid: an empty one, NUL, invalid UTF-8,
// names that are not names, an impossible role, more than the bounds above.
func Check(user, tenant string, groups []string, role string, settings map[string]string) error {
	if user == "" && tenant == "" && role == "" && len(settings) == 0 && !slices.ContainsFunc(groups, notEmpty) {
		return ErrEmpty
	}
	if len(settings) > MaxSettings {
		return fmt.Errorf("%d settings are more than %d", len(settings), MaxSettings)
	}
	size := len(user) + len(tenant) + len(role)
	for _, g := range groups {
		size += len(g) + 1
	}
	for name, value := range settings {
		size += len(name) + len(value)
	}
	if size > MaxBytes {
		return fmt.Errorf("%d bytes are more than %d", size, MaxBytes)
	}
	if err := ValidValue(user); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if err := ValidValue(tenant); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	for i, g := range groups {
		if err := ValidValue(g); err != nil {
			return fmt.Errorf("group %d: %w", i, err)
		}
	}
	if role != "" {
		if err := ValidRole(role); err != nil {
			return err
		}
	}
	if len(settings) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if err := validSetting(Fold(name)); err != nil {
			return err
		}
		if err := ValidValue(settings[name]); err != nil {
			return fmt.Errorf("setting %s: %w", quote(name), err)
		}
	}
	return nil
}

func notEmpty(s string) bool { return s != "" }

// ValidValue refuses what a text parameter cannot hold: NUL and invalid UTF-8.
func ValidValue(value string) error {
	switch {
	case strings.IndexByte(value, 0) >= 0:
		return errors.New("it has a NUL byte")
	case !utf8.ValidString(value):
		return errors.New("it is not valid UTF-8")
	}
	return nil
}

// ValidRole refuses what set_config('role', …) would not take as the one role of that name: "", "none" in any case
// (SET ROLE folds it), NUL, invalid UTF-8, and more than 63 bytes, which the server cuts to the name of another role.
func ValidRole(role string) error {
	switch {
	case role == "":
		return errors.New("role: it is empty")
	case Fold(role) == "none":
		return errors.New(`role "none": it stands for no role at all`)
	case len(role) > maxRole:
		return fmt.Errorf("role %s: longer than %d bytes", quote(role), maxRole)
	}
	if err := ValidValue(role); err != nil {
		return fmt.Errorf("role %s: %w", quote(role), err)
	}
	return nil
}

// ValidName refuses what the server refuses as the name of a custom setting (valid_custom_variable_name in guc.c):
// two or more identifiers joined by dots. It also refuses invalid UTF-8 and more than MaxName bytes.
func ValidName(name string) error {
	if !strings.Contains(name, ".") {
		return fmt.Errorf("setting %s: a custom setting is named prefix.name", quote(name))
	}
	return validParts(name)
}

// validSetting is ValidName for a name that may still lack its prefix.
func validSetting(name string) error {
	if reserved[name] {
		return fmt.Errorf("setting %s: it decides what statements run as, or how they are read; no identity may set it", quote(name))
	}
	return validParts(name)
}

func validParts(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("setting %s: longer than %d bytes", quote(name), MaxName)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("setting %s: it is not valid UTF-8", quote(name))
	}
	for part := range strings.SplitSeq(name, ".") {
		if !identifier(part) {
			return fmt.Errorf("setting %s: a name is made of letters, digits, _ and $, not starting with a digit or $, joined by dots", quote(name))
		}
	}
	return nil
}

func identifier(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c >= 0x80:
		case i > 0 && ('0' <= c && c <= '9' || c == '$'):
		default:
			return false
		}
	}
	return s != ""
}

// Fold lower-cases name as the server compares names of settings: ASCII letters only, whatever the locale.
func Fold(name string) string {
	upper := func(r rune) bool { return 'A' <= r && r <= 'Z' }
	if !strings.ContainsFunc(name, upper) {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		if upper(rune(c)) {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// quote shortens name too: it may be as long as whoever chose it liked.
func quote(name string) string {
	const most = 80
	if len(name) > most {
		return strconv.QuoteToASCII(name[:most]) + "…"
	}
	return strconv.QuoteToASCII(name)
}

// Setting is a full name, folded, and the value that set_config gives it.
type Setting struct{ Name, Value string }

// Rules say under which names one connector sends identities. They do not change after NewRules.
type Rules struct {
	prefix, userID, tenantID, claims string
	allow                            map[string]bool
}

// NewRules takes the prefix of an identity's own settings ("rls"), the setting that gets the whole identity as JSON
// ("request.jwt.claims", "" for none), and the settings of PostgreSQL or of extensions that identities may set ("statement_timeout").
// It refuses names that are not valid, that an extension owns, or that no identity may ever set, and in allow those it does not know.
func NewRules(prefix, claims string, allow []string) (*Rules, error) {
	prefix = Fold(prefix)
	r := &Rules{
		prefix:   prefix,
		userID:   prefix + ".user_id",
		tenantID: prefix + ".tenant_id",
		claims:   Fold(claims),
		allow:    make(map[string]bool, len(allow)),
	}
	if err := validOwn(r.userID); err != nil {
		return nil, fmt.Errorf("settings prefix: %w", err)
	}
	if err := validOwn(r.tenantID); err != nil {
		return nil, fmt.Errorf("settings prefix: %w", err)
	}
	if claims != "" {
		if err := validOwn(r.claims); err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		if r.claims == r.userID || r.claims == r.tenantID {
			return nil, fmt.Errorf("claims: setting %s is sent already", quote(r.claims))
		}
	}
	for _, name := range allow {
		name = Fold(name)
		if err := validSetting(name); err != nil {
			return nil, fmt.Errorf("allowed settings: %w", err)
		}
		if r.fixed(name) {
			return nil, fmt.Errorf("allowed settings: setting %s is sent already", quote(name))
		}
		if !strings.Contains(name, ".") && !builtin()[name] {
			return nil, fmt.Errorf("allowed settings: PostgreSQL has no setting %s; an identity's own need no permission", quote(name))
		}
		r.allow[name] = true
	}
	return r, nil
}

func validOwn(name string) error {
	if err := ValidName(name); err != nil {
		return err
	}
	if extension(name) {
		return fmt.Errorf("setting %s: its prefix belongs to an extension", quote(name))
	}
	return nil
}

// UserID returns the setting that gets Identity.User.
func (r *Rules) UserID() string { return r.userID }

// TenantID returns the setting that gets Identity.Tenant.
func (r *Rules) TenantID() string { return r.tenantID }

// Claims returns the setting that gets the identity as JSON, "" for none.
func (r *Rules) Claims() string { return r.claims }

func (r *Rules) fixed(name string) bool {
	return name == r.userID || name == r.tenantID || r.claims != "" && name == r.claims
}

// Resolve returns what an identity's settings are sent as, sorted by name: a dotted name as it is, another with the prefix, one of
// PostgreSQL's own only if it is allowed. Settings are refused that meet under one name, that the identity's fields are sent
// as, or that known, which may be nil, knows: it is asked with folded names for what the server at hand has (pg_settings).
func (r *Rules) Resolve(settings map[string]string, known func(name string) bool) ([]Setting, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	if len(settings) > MaxSettings {
		return nil, fmt.Errorf("%d settings are more than %d", len(settings), MaxSettings)
	}
	resolved := make([]Setting, 0, len(settings))
	for name, value := range settings {
		resolved = append(resolved, Setting{name, value})
	}
	byName := func(a, b Setting) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(resolved, byName) // so that of two errors it is always the same one
	for i := range resolved {
		full, err := r.name(resolved[i].Name, known)
		if err != nil {
			return nil, err
		}
		if err := ValidValue(resolved[i].Value); err != nil {
			return nil, fmt.Errorf("setting %s: %w", quote(resolved[i].Name), err)
		}
		resolved[i].Name = full
	}
	slices.SortFunc(resolved, byName)
	for i := 1; i < len(resolved); i++ {
		if resolved[i].Name == resolved[i-1].Name {
			return nil, fmt.Errorf("setting %s: two settings of the identity are sent under this name", quote(resolved[i].Name))
		}
	}
	return resolved, nil
}

func (r *Rules) name(name string, known func(string) bool) (string, error) {
	full := Fold(name)
	if err := validSetting(full); err != nil {
		return "", err
	}
	if r.allow[full] {
		return full, nil
	}
	if !strings.Contains(full, ".") {
		if builtin()[full] || known != nil && known(full) {
			return "", fmt.Errorf("setting %s: it is PostgreSQL's own, which an identity may set only if the driver's Config allows it", quote(name))
		}
		full = r.prefix + "." + full
		if err := ValidName(full); err != nil {
			return "", err
		}
	}
	if r.fixed(full) {
		return "", fmt.Errorf("setting %s: the identity's own fields are sent under this name", quote(name))
	}
	if r.allow[full] {
		return full, nil
	}
	if extension(full) || known != nil && known(full) {
		return "", fmt.Errorf("setting %s: it is an extension's own, which an identity may set only if the driver's Config allows it", quote(name))
	}
	return full, nil
}

// reserved are what no configuration opens: the driver sends the first itself, and its reading of statements rests on the rest.
var reserved = map[string]bool{
	"role":                        true,
	"session_authorization":       true,
	"is_superuser":                true,
	"transaction_read_only":       true,
	"transaction_isolation":       true,
	"transaction_deferrable":      true,
	"client_encoding":             true,
	"standard_conforming_strings": true,
}

// builtinNames are the names of pg_settings of PostgreSQL 13 to 18, those it hides (found by asking the server for every word in its
// binary), and those that exist only in builds for its developers.
//
//go:embed builtin.txt
var builtinNames string

var builtin = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for name := range strings.FieldsSeq(builtinNames) {
		set[name] = true
	}
	return set
})

// extensions are prefixes of real settings. A connection's pg_settings lists them only once the library is loaded, which may be in
// the middle of a statement; what was set before takes effect then.
var extensions = map[string]bool{
	"anon": true, "auth_delay": true, "auto_explain": true, "basebackup_to_shell": true, "basic_archive": true,
	"citus": true, "credcheck": true, "cron": true, "hnsw": true, "isn": true, "ivfflat": true, "login_hook": true,
	"passwordcheck": true, "pg_hint_plan": true, "pg_overexplain": true, "pg_prewarm": true, "pg_qualstats": true,
	"pg_stat_monitor": true, "pg_stat_statements": true, "pg_tle": true, "pg_trgm": true, "pgaudit": true,
	"pgcrypto": true, "pglogical": true, "pgsodium": true, "pgtle": true, "plcoffee": true, "pljava": true,
	"plls": true, "plperl": true, "plpgsql": true, "plpgsql_check": true, "plprofiler": true, "plpython3": true,
	"plr": true, "pltcl": true, "pltclu": true, "plv8": true, "postgis": true, "postgres_fdw": true, "rum": true,
	"sepgsql": true, "set_user": true, "supautils": true, "timescaledb": true, "vault": true,
}

func extension(name string) bool {
	prefix, _, _ := strings.Cut(name, ".")
	return extensions[prefix]
}
