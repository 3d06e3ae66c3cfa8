package driver

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ngrok/sqlmw"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/guc"
)

// Config says what a connector does. Its zero value is safe: a statement without an identity is refused, what one identity
// leaves on a session is cleaned before the next one's statement, and raw access is refused.
//
// Every field of a kind that a DSN can hold may stand in either place. A field and a DSN key that both say something must
// say the same; NewConnector refuses two that differ.
type Config struct {
	// Identity is what happens to a statement whose context has no identity: "required" refuses it with
	// pganon.ErrNoIdentity, "optional" runs it as the login role. Default "required". DSN: pganon.identity.
	Identity string
	// Anonymous is the role under which a statement without an identity runs instead, through the same pipeline as
	// any identity. It excludes Identity. DSN: pganon.anonymous.
	Anonymous string

	// MaskedRole is the role of pganon.Masked and of every member of MaskedGroups. DSN: pganon.masked_role.
	MaskedRole string
	// MaskedGroups are the application groups that read as MaskedRole; they need one. DSN: pganon.masked_groups,
	// separated by commas.
	MaskedGroups []string
	// Roles maps application groups to database roles; the first entry that names one of the identity's groups
	// decides, before MaskedGroups does. DSN: pganon.roles, as group:role pairs separated by commas.
	Roles []GroupRole
	// DefaultRole is the role of an identity that no group maps. Empty, such an identity runs as the login role, with
	// its settings. DSN: pganon.default_role.
	DefaultRole string

	// SettingsPrefix is the first part of the names of the settings: <prefix>.user_id, <prefix>.tenant_id. Default
	// "rls". DSN: pganon.settings_prefix.
	SettingsPrefix string
	// Claims names one more setting that holds the whole identity as a JSON object with the members sub, tenant_id,
	// groups, role and settings. Empty, it is not sent. DSN: pganon.claims.
	Claims string
	// AllowSettings names PostgreSQL's own settings that an Identity may set, such as statement_timeout. All others are
	// refused, and role and session_authorization always are.
	AllowSettings []string

	// Keys are where the keys of encrypted columns come from: a *fernet.Keyring, a *fernet.KeyFile, or a source of the
	// program's own. DSN: pganon.keys_env and pganon.keys_file, which only say where keys are.
	Keys fernet.KeySource
	// KeysEnv is the name of the environment variable that holds the keys. DSN: pganon.keys_env.
	KeysEnv string
	// KeysFile is the path of the file that holds the keys, which is read again when it changes. DSN: pganon.keys_file.
	KeysFile string
	// Models are structs, or pointers to them, whose fields have pganon:"…" tags: see package hooks. What the database's own
	// tags say counts as well; where both tag a column they must say the same.
	Models []any
	// Labels says which columns may carry which label, as "schema.table.column" or "schema.table.*". Where it has entries, a
	// label that is elsewhere, or that it does not name, is refused: nobody with rights on the schema can move a tag then.
	Labels map[string][]string
	// Domains is "optional" or "required": whether an encrypted column may do without a domain, which makes PostgreSQL
	// refuse plaintext whoever writes. Default "optional". DSN: pganon.domains.
	Domains string

	// Session is what happens to what the application leaves on a session, such as SET, temporary tables, LISTEN or
	// advisory locks: "clean" removes it before the next identity's statement, "always" cleans before the first
	// statement of every identity and every checkout from the pool, "keep" leaves it. Default "clean".
	// DSN: pganon.session.
	Session string
	// Raw is what sql.Conn.Raw gives: "allow" a connection with a method Conn() *pgx.Conn, which is the login role
	// without any of what this package does, "refuse" one without it. Default "allow" where Identity is "optional", else
	// "refuse". InTx needs neither. DSN: pganon.raw.
	Raw string

	// Redact is "on" or "off": errors and notices leave without values of the data, see package redact, or as PostgreSQL
	// and pgx wrote them. Off is logged as a warning. Default "on". It has no DSN key.
	Redact string

	// Log is "off" or "debug": for every statement the identity with user and tenant hashed, the role, the names of
	// settings, duration and rows, never a value. Default "off". DSN: pganon.log.
	Log string
	// LogKey, at least 16 bytes of secret, is the key of those hashes, so that they can be compared across processes. It
	// holds for the whole process: the last connector that has one sets it. Default one derived from Keys, else a random one.
	LogKey []byte
	// Logger receives what Log asks for, and one line for each context of pganon.System that runs a statement. Default
	// slog.Default().
	Logger *slog.Logger

	// Interceptors see every call between this package's own hooks and the connection that sends the identity, the first
	// one outermost. They see errors with their values; what they return is redacted.
	Interceptors []sqlmw.Interceptor

	// BeforeConnect, AfterConnect, ResetSession and ShouldPing are those of pgx's stdlib package. AfterConnect runs as
	// the login role, and again after a clean-up, which takes away what it had set. Handlers of notices and errors that
	// BeforeConnect sets get them redacted.
	BeforeConnect func(context.Context, *pgx.ConnConfig) error
	AfterConnect  func(context.Context, *pgx.Conn) error
	ResetSession  func(context.Context, *pgx.Conn) error
	ShouldPing    func(context.Context, stdlib.ShouldPingParams) bool
	// Tracer is called as pgx calls it, without the values of arguments, without password and connection string, and with
	// errors redacted. It gets the text of statements as the program wrote it, literals and all: see redact.SQL. The
	// further tracer interfaces of pgx are found by assertion.
	Tracer pgx.QueryTracer

	systemReason string
}

// GroupRole maps an application group to a database role.
type GroupRole struct{ Group, Role string }

const (
	identityRequired = "required"
	identityOptional = "optional"
	sessionClean     = "clean"
	sessionAlways    = "always"
	sessionKeep      = "keep"
	rawAllow         = "allow"
	rawRefuse        = "refuse"
	domainsOptional  = "optional"
	domainsRequired  = "required"
	redactOn         = "on"
	redactOff        = "off"
	logOff           = "off"
	logDebug         = "debug"
	defaultPrefix    = "rls"
)

func (c *Config) optional() bool { return c.Identity == identityOptional }

func (c *Config) rawAllowed() bool {
	return c.Raw == rawAllow || c.Raw == "" && c.optional() && c.Anonymous == ""
}

func (c *Config) prefix() string {
	if c.SettingsPrefix == "" {
		return defaultPrefix
	}
	return c.SettingsPrefix
}

func (c *Config) session() string {
	if c.Session == "" {
		return sessionClean
	}
	return c.Session
}

func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

func oneOf(field, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s: unknown value, want %s", field, strings.Join(allowed, " or "))
}

func validRoleField(field, role string) error {
	if role == "" {
		return nil
	}
	if err := guc.ValidRole(role); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

// validate refuses what cannot work, naming the DSN key of the field.
func (c *Config) validate() error {
	for _, err := range []error{
		oneOf("pganon.identity", c.Identity, identityRequired, identityOptional),
		oneOf("pganon.session", c.Session, sessionClean, sessionAlways, sessionKeep),
		oneOf("pganon.raw", c.Raw, rawAllow, rawRefuse),
		oneOf("pganon.domains", c.Domains, domainsOptional, domainsRequired),
		oneOf("Config.Redact", c.Redact, redactOn, redactOff),
		oneOf("pganon.log", c.Log, logOff, logDebug),
		validRoleField("pganon.anonymous", c.Anonymous),
		validRoleField("pganon.masked_role", c.MaskedRole),
		validRoleField("pganon.default_role", c.DefaultRole),
	} {
		if err != nil {
			return err
		}
	}
	if c.Anonymous != "" && c.Identity != "" {
		return fmt.Errorf("pganon.anonymous: cannot stand beside pganon.identity, it says already what a statement without an identity runs as")
	}
	if len(c.MaskedGroups) > 0 && c.MaskedRole == "" {
		return fmt.Errorf("pganon.masked_groups: needs pganon.masked_role")
	}
	if slices.Contains(c.MaskedGroups, "") {
		return fmt.Errorf("pganon.masked_groups: empty group")
	}
	for _, gr := range c.Roles {
		if gr.Group == "" {
			return fmt.Errorf("pganon.roles: empty group")
		}
		if err := guc.ValidRole(gr.Role); err != nil {
			return fmt.Errorf("pganon.roles: group %q: %w", gr.Group, err)
		}
	}
	return nil
}
