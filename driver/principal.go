package driver

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/scope"
	"github.com/pganon/pganon/redact"
)

// A principal is what the statements of one scope run as: a role and settings. It does not change once it is made.
type principal struct {
	role string // "" is the login role
	// login is true for the login role on purpose, without an identity: System, and optional.
	login    bool
	masked   bool
	readOnly bool
	// custom are the settings that another principal's statement must blank, local those it must reset where this
	// one's was before it in the transaction: settings of PostgreSQL itself have no blank.
	custom []guc.Setting
	local  []guc.Setting

	identity *pganon.Identity // for logs; nil without one
	// key is equal for two principals that send the same.
	key string
	// tag stands for the role in the texts of named statements.
	tag string
	// pathKey is equal for two principals whose names mean the same, as far as they decide it.
	pathKey string

	compiled atomic.Pointer[compiled]
}

// compiled are a principal's settings, with the blanks for every name that the connector has sent so far.
type compiled struct {
	names  *[]string // identity of the name list the blanks were made from
	shape  *shape
	values [][]byte
}

// A shape is a settings statement: one for each list of names and number of guards.
type shape struct {
	sql    string
	names  []string
	guards int
	oids   []uint32
	hash   string
}

// newShape returns the statement that sets names, in their order, and then evaluates so many guards.
func newShape(names []string, guards int) *shape {
	sql := settingsSQL(names, guards, func(i int) string { return "$" + strconv.Itoa(i+1) })
	sum := sha256.Sum256([]byte(sql))
	oids := make([]uint32, len(names), len(names)+2*guards)
	for i := range oids {
		oids[i] = pgtype.TextOID
	}
	for range guards {
		oids = append(oids, pgtype.TextOID, pgtype.OIDOID)
	}
	return &shape{sql: sql, names: names, guards: guards, oids: oids, hash: hex.EncodeToString(sum[:8])}
}

// settingsFields is what every settings statement returns.
var settingsFields = []pgconn.FieldDescription{{Name: "num_nulls", DataTypeOID: pgtype.Int4OID, DataTypeSize: 4, TypeModifier: -1}}

// literal is the settings statement with its values in it, for a text of several commands. The caller has made sure of
// standard_conforming_strings.
func (s *shape) literal(values [][]byte) string {
	return settingsSQL(s.names, s.guards, func(i int) string { return "'" + strings.ReplaceAll(string(values[i]), "'", "''") + "'" })
}

// settingsSQL calls set_config for each name, in order, and divides by zero where a guard's name does not mean its OID
// under them. num_nulls takes all its arguments before it counts, so that nothing of the list can be skipped, and gives
// back a number instead of the values. A function has 100 arguments at most.
func settingsSQL(names []string, guards int, value func(i int) string) string {
	const most = 90
	var sql strings.Builder
	sql.WriteString("select pg_catalog.num_nulls(")
	depth := 1
	for i := range len(names) + guards {
		if i > 0 {
			sql.WriteString(", ")
		}
		if i > 0 && i%most == 0 {
			sql.WriteString("pg_catalog.num_nulls(")
			depth++
		}
		if i < len(names) {
			fmt.Fprintf(&sql, "pg_catalog.set_config('%s', %s, true)", names[i], value(i))
			continue
		}
		at := len(names) + 2*(i-len(names))
		fmt.Fprintf(&sql, "1 operator(pg_catalog./) coalesce((pg_catalog.to_regclass(%s)::pg_catalog.oid operator(pg_catalog.=) %s)::pg_catalog.int4, 0)",
			value(at), value(at+1))
	}
	sql.WriteString(strings.Repeat(")", depth))
	return sql.String()
}

// principals makes principals of what contexts say, by one connector's rules.
type principals struct {
	cfg   *Config
	rules *guc.Rules
	allow map[string]bool

	catalog atomic.Pointer[catalog]

	mu sync.Mutex
	// names are the custom settings that any identity of this connector has used; they only ever become more.
	names  atomic.Pointer[[]string]
	shapes sync.Map // names joined by NUL, and how many guards → *shape
	tags   sync.Map // role → tag

	noIdentity atomic.Pointer[memo] // of statements whose context says nothing
}

type memo struct {
	catalog   *catalog
	principal *principal
	err       error
}

// maxNames bounds the blanks that travel with every statement.
const maxNames = 128

func newPrincipals(cfg *Config) (*principals, error) {
	rules, err := guc.NewRules(cfg.prefix(), cfg.Claims, cfg.AllowSettings)
	if err != nil {
		return nil, err
	}
	ps := &principals{cfg: cfg, rules: rules, allow: make(map[string]bool)}
	for _, name := range cfg.AllowSettings {
		ps.allow[guc.Fold(name)] = true
	}
	ps.names.Store(&[]string{})
	return ps, nil
}

// of returns what a statement of ctx runs as. outer is the scope of the transaction around it, nil without one.
func (ps *principals) of(ctx context.Context, outer *scope.Scope) (*principal, error) {
	s := inTransaction(scope.From(ctx), outer)
	cat := ps.catalog.Load()
	var m *memo
	if s == nil {
		m = ps.noIdentity.Load()
	} else if known, ok := s.Memo(ps).(*memo); ok {
		m = known
	}
	if m == nil || m.catalog != cat {
		p, err := ps.make(ctx, s, cat)
		if m == nil && err == nil && p.login {
			reason := ps.cfg.systemReason
			if s != nil && s.System {
				reason = s.Reason
			}
			if reason != "" {
				ps.cfg.logger().LogAttrs(ctx, slog.LevelInfo, "pganon: statements run as the login role", slog.String("reason", reason))
			}
		}
		m = &memo{catalog: cat, principal: p, err: err}
		if s == nil {
			ps.noIdentity.Store(m)
		} else {
			s.SetMemo(ps, m)
		}
	}
	return m.principal, m.err
}

// inTransaction returns the scope of a statement in a transaction: its own, or the transaction's where it says neither an
// identity nor System. Masks add up.
func inTransaction(s, outer *scope.Scope) *scope.Scope {
	switch {
	case outer == nil || s != nil && (s.Identity != nil || s.System):
		return s
	case s == nil || len(s.Masks) == 0:
		return outer
	}
	both := outer.Derive()
	both.Masks = append(slices.Clip(both.Masks), s.Masks...)
	return both
}

func (ps *principals) make(ctx context.Context, s *scope.Scope, cat *catalog) (*principal, error) {
	if s == nil {
		s = &scope.Scope{}
		if ps.cfg.systemReason != "" {
			s.System, s.Reason = true, ps.cfg.systemReason
		}
	} else if ps.cfg.systemReason != "" && s.Identity == nil && !s.System {
		s = s.Derive()
		s.System, s.Reason = true, ps.cfg.systemReason
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", pganon.ErrInvalidIdentity, redact.Safe(err))
	}
	p := &principal{}
	var settings []guc.Setting
	switch {
	case s.System:
		p.login = true
	case s.Identity != nil:
		p.identity = s.Identity.(*pganon.Identity)
		var err error
		if settings, err = ps.resolve(p, cat); err != nil {
			return nil, fmt.Errorf("%w: %w", pganon.ErrInvalidIdentity, redact.Safe(err))
		}
	case len(s.Masks) > 0:
	case ps.cfg.Anonymous != "":
		p.role = ps.cfg.Anonymous
	case ps.cfg.optional():
		p.login = true
	default:
		return nil, pganon.ErrNoIdentity
	}
	if len(s.Masks) > 0 {
		role, err := ps.maskedRole(s.Masks, cat)
		if err != nil {
			return nil, err
		}
		p.role, p.login = role, false
	}
	options := cat.roles[p.role]
	p.masked = p.role != "" && ps.masked(p.role, cat)
	p.readOnly = p.masked && !options.writable
	if i := slices.IndexFunc(settings, func(s guc.Setting) bool { return s.Name == "search_path" }); i >= 0 {
		if p.masked {
			return nil, fmt.Errorf("%w: setting search_path: a masked role's own path decides what it reads", pganon.ErrInvalidIdentity)
		}
	} else if options.hasSearchPath && p.role != "" {
		p.local = append(p.local, guc.Setting{Name: "search_path", Value: options.searchPath})
	}
	var user, tenant, claims string
	if p.identity != nil {
		user, tenant = p.identity.User, p.identity.Tenant
		if ps.rules.Claims() != "" {
			var err error
			if claims, err = ps.claims(p, settings); err != nil {
				return nil, fmt.Errorf("%w: claims: %w", pganon.ErrInvalidIdentity, err)
			}
		}
	}
	p.custom = append(p.custom, guc.Setting{Name: ps.rules.UserID(), Value: user}, guc.Setting{Name: ps.rules.TenantID(), Value: tenant})
	if ps.rules.Claims() != "" {
		p.custom = append(p.custom, guc.Setting{Name: ps.rules.Claims(), Value: claims})
	}
	for _, setting := range settings {
		if ps.allow[setting.Name] {
			p.local = append(p.local, setting)
		} else {
			p.custom = append(p.custom, setting)
		}
	}
	if err := ps.remember(p.custom); err != nil {
		return nil, fmt.Errorf("%w: %w", pganon.ErrInvalidIdentity, redact.Safe(err))
	}
	p.seal()
	p.tag = ps.tag(p.pathKey)
	return p, nil
}

// seal derives the key once all else is known: every part behind its length, so that no two principals that differ are alike.
func (p *principal) seal() {
	key := make([]byte, 0, 128)
	part := func(s string) {
		key = binary.AppendUvarint(key, uint64(len(s)))
		key = append(key, s...)
	}
	part(p.role)
	key = strconv.AppendBool(key, p.login)
	key = strconv.AppendBool(key, p.readOnly)
	for _, list := range [2][]guc.Setting{p.custom, p.local} {
		for _, s := range list {
			part(s.Name)
			part(s.Value)
		}
	}
	p.key = string(key)
	p.pathKey = p.role
	for _, s := range p.local {
		if s.Name == "search_path" {
			p.pathKey += "\x00" + s.Value
		}
	}
}

// tag stands for a role, and a search path that goes with it, in the texts of statements.
func (ps *principals) tag(role string) string {
	if tag, ok := ps.tags.Load(role); ok {
		return tag.(string)
	}
	sum := sha256.Sum256([]byte("pganon role " + role))
	tag := hex.EncodeToString(sum[:8])
	ps.tags.Store(role, tag)
	return tag
}

// resolve fills the role of an identity and returns its settings.
func (ps *principals) resolve(p *principal, cat *catalog) ([]guc.Setting, error) {
	id := p.identity
	if err := guc.Check(id.User, id.Tenant, id.Groups, id.Role, id.Settings); err != nil {
		return nil, err
	}
	p.role = ps.roleOf(id)
	return ps.rules.Resolve(id.Settings, func(name string) bool { return cat.known[name] })
}

func (ps *principals) roleOf(id *pganon.Identity) string {
	if id.Role != "" {
		return id.Role
	}
	for _, gr := range ps.cfg.Roles {
		if slices.Contains(id.Groups, gr.Group) {
			return gr.Role
		}
	}
	for _, group := range ps.cfg.MaskedGroups {
		if slices.Contains(id.Groups, group) {
			return ps.cfg.MaskedRole
		}
	}
	return ps.cfg.DefaultRole
}

func (ps *principals) masked(role string, cat *catalog) bool {
	return role == ps.cfg.MaskedRole || cat.roles[role].masked
}

// maskedRole returns the one role that masks ask for.
func (ps *principals) maskedRole(masks []string, cat *catalog) (string, error) {
	var role string
	for _, asked := range masks {
		if asked == "" {
			if asked = ps.cfg.MaskedRole; asked == "" {
				return "", fmt.Errorf("%w: Masked: no masked role is configured: set pganon.masked_role", pganon.ErrInvalidIdentity)
			}
		}
		if err := guc.ValidRole(asked); err != nil {
			return "", fmt.Errorf("%w: MaskedAs: %w", pganon.ErrInvalidIdentity, redact.Safe(err))
		}
		if !ps.masked(asked, cat) {
			return "", fmt.Errorf(`%w: MaskedAs: role %q is not masked: COMMENT ON ROLE … IS 'pganon:"masked"', or set pganon.masked_role`, pganon.ErrInvalidIdentity, asked)
		}
		if role != "" && role != asked {
			return "", fmt.Errorf("%w: the context is masked as %q and as %q; neither may undo the other", pganon.ErrInvalidIdentity, role, asked)
		}
		role = asked
	}
	return role, nil
}

func (ps *principals) claims(p *principal, settings []guc.Setting) (string, error) {
	claims := struct {
		Sub      string            `json:"sub,omitempty"`
		Tenant   string            `json:"tenant_id,omitempty"`
		Groups   []string          `json:"groups,omitempty"`
		Role     string            `json:"role,omitempty"`
		Settings map[string]string `json:"settings,omitempty"`
	}{p.identity.User, p.identity.Tenant, p.identity.Groups, p.role, make(map[string]string)}
	for _, s := range settings {
		claims.Settings[s.Name] = s.Value
	}
	text, err := json.Marshal(claims)
	return string(text), err
}

// remember adds the names of custom settings to those that every other principal blanks.
func (ps *principals) remember(custom []guc.Setting) error {
	known := *ps.names.Load()
	if !slices.ContainsFunc(custom, func(s guc.Setting) bool { return !slices.Contains(known, s.Name) }) {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	names := *ps.names.Load()
	more := slices.Clone(names)
	for _, s := range custom {
		if !slices.Contains(more, s.Name) {
			more = append(more, s.Name)
		}
	}
	if len(more) == len(names) {
		return nil
	}
	if len(more) > maxNames {
		return fmt.Errorf("the identities of this connector use more than %d names of settings: put what varies into a value", maxNames)
	}
	ps.names.Store(&more)
	return nil
}

// settings returns p's settings with the blanks of all names known now, and with resets, which are settings that an
// earlier principal of the transaction had changed and p does not.
func (ps *principals) settings(p *principal, resets []guc.Setting) (*shape, [][]byte) {
	names := ps.names.Load()
	c := p.compiled.Load()
	if c == nil || c.names != names {
		c = ps.compile(p, names)
		p.compiled.Store(c)
	}
	if len(resets) == 0 {
		return c.shape, c.values
	}
	all, values := slices.Clone(c.shape.names), slices.Clone(c.values)
	for _, reset := range resets {
		if !slices.Contains(all, reset.Name) {
			all, values = append(all, reset.Name), append(values, []byte(reset.Value))
		}
	}
	return ps.shape(all, 0), values
}

// guarded returns settings with the guards of g behind them.
func (ps *principals) guarded(s *shape, values [][]byte, g *guards) (*shape, [][]byte) {
	if known := g.settled.Load(); known != nil && known.from == &values[0] {
		return known.shape, known.values
	}
	made := &guardedSettings{from: &values[0], shape: ps.shape(s.names, len(g.values)/2), values: append(slices.Clip(values), g.values...)}
	g.settled.Store(made)
	return made.shape, made.values
}

func (ps *principals) compile(p *principal, names *[]string) *compiled {
	n := 2 + len(*names) + len(p.local)
	all, values := make([]string, 0, n), make([][]byte, 0, n)
	add := func(name, value string) {
		all, values = append(all, name), append(values, []byte(value))
	}
	if p.role == "" {
		add("role", "none")
	} else {
		add("role", p.role)
	}
	if p.readOnly {
		add("transaction_read_only", "on")
	}
	// In the names' own order, so that all principals of one kind share a statement.
	for _, name := range *names {
		value := ""
		if i := slices.IndexFunc(p.custom, func(s guc.Setting) bool { return s.Name == name }); i >= 0 {
			value = p.custom[i].Value
		}
		add(name, value)
	}
	for _, s := range p.local {
		add(s.Name, s.Value)
	}
	return &compiled{names: names, shape: ps.shape(all, 0), values: values}
}

func (ps *principals) shape(names []string, guards int) *shape {
	key := strings.Join(names, "\x00")
	if guards > 0 {
		key += "\x00\x00" + strconv.Itoa(guards)
	}
	if s, ok := ps.shapes.Load(key); ok {
		return s.(*shape)
	}
	s, _ := ps.shapes.LoadOrStore(key, newShape(names, guards))
	return s.(*shape)
}
