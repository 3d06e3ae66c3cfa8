package driver

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/internal/nearest"
)

const dsnPrefix = "pganon."

// dsnKeys are the keys of ours that a DSN may hold. A key gets its text and says where it goes.
var dsnKeys = map[string]func(*Config, string) error{
	"identity":        func(c *Config, v string) error { return put(&c.Identity, v) },
	"anonymous":       func(c *Config, v string) error { return put(&c.Anonymous, v) },
	"masked_role":     func(c *Config, v string) error { return put(&c.MaskedRole, v) },
	"masked_groups":   func(c *Config, v string) error { return putList(&c.MaskedGroups, items(v)) },
	"roles":           putRoles,
	"default_role":    func(c *Config, v string) error { return put(&c.DefaultRole, v) },
	"settings_prefix": func(c *Config, v string) error { return put(&c.SettingsPrefix, v) },
	"claims":          func(c *Config, v string) error { return put(&c.Claims, v) },
	"session":         func(c *Config, v string) error { return put(&c.Session, v) },
	"raw":             func(c *Config, v string) error { return put(&c.Raw, v) },
	"log":             func(c *Config, v string) error { return put(&c.Log, v) },
	"keys_env":        func(c *Config, v string) error { return put(&c.KeysEnv, v) },
	"keys_file":       func(c *Config, v string) error { return put(&c.KeysFile, v) },
	"domains":         func(c *Config, v string) error { return put(&c.Domains, v) },
	"redact": func(*Config, string) error {
		return errors.New("redaction can be turned off in Go only: Config.Redact")
	},
}

var errDiffers = errors.New("differs from the field of Config; say it in one place")

func put(field *string, v string) error {
	if v == "" {
		return errors.New("is empty")
	}
	if *field != "" && *field != v {
		return errDiffers
	}
	*field = v
	return nil
}

func putList[T comparable](field *[]T, v []T) error {
	if len(*field) > 0 && !slices.Equal(*field, v) {
		return errDiffers
	}
	*field = v
	return nil
}

func items(v string) []string {
	parts := strings.Split(v, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func putRoles(c *Config, v string) error {
	var roles []GroupRole
	for _, pair := range items(v) {
		group, role, ok := strings.Cut(pair, ":")
		if !ok || group == "" || role == "" {
			return errors.New("want group:role pairs separated by commas")
		}
		roles = append(roles, GroupRole{Group: strings.TrimSpace(group), Role: strings.TrimSpace(role)})
	}
	return putList(&c.Roles, roles)
}

// parseDSN parses dsn as pgx does and moves the keys of ours, which pgx takes for runtime parameters, into cfg.
func parseDSN(dsn string, cfg *Config) (*pgx.ConnConfig, error) {
	pgxConfig, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, dsnError(err)
	}
	if err := repeatedKey(dsn); err != nil {
		return nil, err
	}
	for key, value := range pgxConfig.RuntimeParams {
		name, ours := strings.CutPrefix(strings.ToLower(key), dsnPrefix)
		if !ours {
			if prefix, _, dotted := strings.Cut(strings.ToLower(key), "."); dotted && nearest.Distance(prefix, "pganon") <= 2 {
				return nil, fmt.Errorf("pganon: parse dsn: unknown key %s: did you mean %s%s?", shownKey(key), dsnPrefix, nearestKey(key[strings.IndexByte(key, '.')+1:]))
			}
			if _, known := dsnKeys[strings.TrimPrefix(key, "pganon_")]; known && strings.HasPrefix(key, "pganon_") {
				return nil, fmt.Errorf("pganon: parse dsn: unknown key %s: did you mean %s%s?", key, dsnPrefix, strings.TrimPrefix(key, "pganon_"))
			}
			continue
		}
		set, known := dsnKeys[name]
		if !known || key != dsnPrefix+name {
			return nil, fmt.Errorf("pganon: parse dsn: unknown key %s: did you mean %s%s?", shownKey(key), dsnPrefix, nearestKey(name))
		}
		if err := set(cfg, value); err != nil {
			return nil, fmt.Errorf("pganon: parse dsn: %s: %w", key, err)
		}
		delete(pgxConfig.RuntimeParams, key)
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("pganon: parse dsn: %w", err)
	}
	return pgxConfig, nil
}

var keyForm = regexp.MustCompile(`^[A-Za-z]+[._][A-Za-z_-]{1,32}$`)

// shownKey is key, unless it does not look like one: in a malformed DSN it may be part of the password.
func shownKey(key string) string {
	if keyForm.MatchString(key) {
		return key
	}
	return dsnPrefix + "…"
}

var (
	quotedValue = regexp.MustCompile(`'(?:[^'\\]|\\.)*'`)
	keywordOurs = regexp.MustCompile(`(?:^|\s)(pganon\.[^\s=]*)\s*=`)
)

// repeatedKey refuses a DSN that says one of our keys twice: pgx would take one of them and drop the other.
func repeatedKey(dsn string) error {
	count := make(map[string]int)
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		_, query, _ := strings.Cut(dsn, "?")
		values, _ := url.ParseQuery(query) // pgx's parser is the judge of what is malformed
		for key, all := range values {
			count[key] = len(all)
		}
	} else {
		for _, match := range keywordOurs.FindAllStringSubmatch(quotedValue.ReplaceAllLiteralString(dsn, "''"), -1) {
			count[match[1]]++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(count)) {
		if strings.HasPrefix(key, dsnPrefix) && count[key] > 1 {
			return fmt.Errorf("pganon: parse dsn: %s is there %d times", key, count[key])
		}
	}
	return nil
}

// dsnFaults are the parts of pgx's messages that say what is wrong with a DSN and hold nothing of it.
var dsnFaults = []string{
	"failed to parse as URL", "failed to parse as keyword/value", "failed to read service", "invalid sslcertmode",
	"invalid connect_timeout", "port numbers to", "invalid port", "failed to configure TLS", "unknown target_session_attrs value",
	"invalid min_protocol_version", "invalid max_protocol_version", "min_protocol_version cannot be greater than max_protocol_version",
	"unknown channel_binding value", "invalid require_auth", "cannot parse statement_cache_capacity",
	"cannot parse description_cache_capacity", "invalid default_query_exec_mode",
}

// dsnError keeps of pgx's error what holds nothing of the DSN: its text masks passwords on a best-effort basis only, and
// its fields hold the DSN as it is.
func dsnError(err error) error {
	var parseErr *pgconn.ParseConfigError
	if errors.As(err, &parseErr) {
		text := err.Error()
		for _, fault := range dsnFaults {
			if strings.Contains(text, "`: "+fault) || fault == "port numbers to" && strings.Contains(text, "`: could not match ") {
				if fault == "port numbers to" {
					fault = "the numbers of hosts and of ports differ"
				}
				return fmt.Errorf("pganon: parse dsn: %s", fault)
			}
		}
	}
	return errors.New("pganon: parse dsn: malformed")
}

// nearestKey is the known key that name was meant to be.
func nearestKey(name string) string { return nearest.Of(name, slices.Collect(maps.Keys(dsnKeys))...) }
