package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/explicit"
	"github.com/pganon/pganon/internal/tagged"
	"github.com/pganon/pganon/redact"
)

// ErrKeyRotated says that a statement in a transaction wrote under a key that a rotation has just replaced. Nothing was written; run
// the transaction again, which then writes under the new key.
var ErrKeyRotated = redact.Safe(errors.New("pganon: encrypt: the key of an encrypted column was replaced while the transaction ran: run the transaction again"))

// tagsAge is for how long tags are taken for true before the database is asked whether they have changed.
const tagsAge = 10 * time.Second

// vault is what a connector knows of encrypted columns.
type vault struct {
	options tagged.Options
	logger  *slog.Logger

	// tags are nil before the first connection.
	tags  atomic.Pointer[tagged.Schema]
	asked atomic.Int64 // when tags were last known to be true, in Unix nanoseconds
	stale atomic.Bool  // they may have changed since
	// doubted: the server takes parameters for what they do not say.
	doubted doubt
	// reading is held by who reads them; the others go on with what is known.
	reading sync.Mutex

	plans planCache
	paths sync.Map // pathKey → []string

	strangersMu sync.Mutex
	strangers   strangers
}

// pathKey is all that a search path depends on, besides the schemas that there are.
type pathKey struct {
	tags       *tagged.Schema
	role, base string
}

// A planKey is all that a plan depends on.
type planKey struct {
	text   string
	path   string
	masked bool
	tags   *tagged.Schema
}

// planCache keeps plans for all connections: a plan belongs to a text, not to a session.
type planCache struct {
	mu    sync.RWMutex
	plans map[planKey]*planned
	bytes int // of the texts
}

// planned is a plan, or why there is none.
type planned struct {
	plan    *tagged.Plan
	text    string // that was planned, under path
	path    []string
	guards  *guards
	err     error
	at      time.Time
	doubted doubt // its result was another one than it says
	// witnessed is true once the server has said which types the parameters have.
	witnessed atomic.Bool
	decoding  atomic.Pointer[decoding] // of its last result
}

// The bounds of the cache; beyond them all plans are forgotten, as those of texts that are never the same would be.
const (
	maxPlans     = 4096
	maxPlanBytes = 32 << 20
)

func (pc *planCache) get(k planKey) *planned {
	pc.mu.RLock()
	defer pc.mu.RUnlock()
	return pc.plans[k]
}

func (pc *planCache) put(k planKey, p *planned) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.plans == nil || len(pc.plans) >= maxPlans || pc.bytes+len(k.text) > maxPlanBytes {
		pc.plans, pc.bytes = make(map[planKey]*planned), 0
	}
	pc.bytes += len(k.text)
	pc.plans[k] = p
}

// guards are the names of a text and the relations that they have to mean when it runs.
type guards struct {
	values  [][]byte // name, OID, name, OID …
	settled atomic.Pointer[guardedSettings]
}

// guardedSettings are the settings of one principal with the guards behind them.
type guardedSettings struct {
	from   *[]byte // the first of the principal's values
	shape  *shape
	values [][]byte
}

func guardsOf(plan *tagged.Plan) *guards {
	if names := plan.Guards(); len(names) > 0 {
		return &guards{values: guardValues(names)}
	}
	return nil
}

func guardValues(names []tagged.Guard) [][]byte {
	values := make([][]byte, 0, 2*len(names))
	for _, n := range names {
		values = append(values, []byte(n.Name), strconv.AppendUint(nil, uint64(n.OID), 10))
	}
	return values
}

var (
	// errMoved: a name in the text means another relation than it did when the text was read.
	errMoved = errors.New("pganon: run statement: a name in it means another table than it did; if this is in a transaction, run the transaction again")
	// errReplan: the statement's principal is not the one that its plan was made for.
	errReplan = errors.New("pganon: run statement: what the statement runs as has changed while it was prepared: run it again")
	// errRetagged: the server and the tags do not agree, which may be because the tags are old.
	errRetagged = errors.New("pganon: run statement: the tags of its tables may have changed: run it again")
)

// A doubt says that tags are to be read again because the server does not agree with them. Where that has not helped it says so
// once a second.
type doubt struct{ at atomic.Int64 }

func (d *doubt) again() bool {
	now, last := time.Now().UnixNano(), d.at.Load()
	return now-last > int64(time.Second) && d.at.CompareAndSwap(last, now)
}

// read loads the tags over pg, which is in no transaction.
func (v *vault) read(ctx context.Context, pg *pgconn.PgConn) (*tagged.Schema, error) {
	options := v.options
	options.Previous = v.tags.Load()
	v.stale.Store(false) // what changes from here on is for the next reading
	tags, err := tagged.Load(ctx, pg, options)
	if err != nil {
		v.stale.Store(true)
		return nil, err
	}
	if untyped := tags.Untyped(); len(untyped) > 0 && options.Previous == nil {
		v.logger.LogAttrs(ctx, slog.LevelWarn, "pganon: encrypted columns without a domain: the database does not hold them to tokens",
			slog.String("columns", strings.Join(untyped, ", ")))
	}
	if tags != options.Previous {
		for _, refused := range tags.Refusals() {
			v.logger.LogAttrs(ctx, slog.LevelWarn, "pganon: a tag is refused, and with it what it stands on", slog.String("reason", refused.Error()))
		}
		if unmet := tags.Unmet(); len(unmet) > 0 {
			v.logger.LogAttrs(ctx, slog.LevelInfo, "pganon: tagged fields of models without a column", slog.String("fields", strings.Join(unmet, ", ")))
		}
	}
	v.tags.Store(tags)
	v.asked.Store(time.Now().UnixNano())
	return tags, nil
}

// first reads the tags for the first connection.
func (v *vault) first(ctx context.Context, pg *pgconn.PgConn) error {
	if v.tags.Load() != nil {
		return nil
	}
	v.reading.Lock()
	defer v.reading.Unlock()
	if v.tags.Load() != nil {
		return nil
	}
	_, err := v.read(ctx, pg)
	return err
}

// current returns the tags, read again where they may have changed.
func (v *vault) current(ctx context.Context, c *conn) (*tagged.Schema, error) {
	tags := v.tags.Load()
	if c.ownTags != nil || c.changed {
		return c.transactionTags(ctx, tags)
	}
	old := time.Now().UnixNano()-v.asked.Load() > int64(tagsAge)
	if !old && !v.stale.Load() || c.pg.IsBusy() || !c.utf8() {
		return tags, nil // or from a connection that can read them
	}
	switch c.pg.TxStatus() {
	case 'E':
		return tags, nil
	case 'T':
		if !v.stale.Load() {
			return tags, nil
		}
		c.changed = true
		return c.transactionTags(ctx, tags)
	}
	if v.stale.Load() {
		v.reading.Lock() // what is known is wrong: wait for who reads it
	} else if !v.reading.TryLock() {
		return tags, nil
	}
	defer v.reading.Unlock()
	if tags := v.tags.Load(); !v.stale.Load() {
		if time.Now().UnixNano()-v.asked.Load() <= int64(tagsAge) {
			return tags, nil
		}
		now, err := tagged.Fingerprint(ctx, c.pg)
		if err != nil {
			return nil, err
		}
		if now == tags.Fingerprint() {
			v.asked.Store(time.Now().UnixNano())
			return tags, nil
		}
	}
	return v.read(ctx, c.pg)
}

// transactionTags returns the tags as the open transaction sees them, which may have changed them itself.
func (c *conn) transactionTags(ctx context.Context, tags *tagged.Schema) (*tagged.Schema, error) {
	switch c.pg.TxStatus() {
	case 'I':
		c.ownTags, c.changed = nil, false
		c.connector.vault.stale.Store(true)
		return c.connector.vault.current(ctx, c)
	case 'E':
		return tags, nil
	}
	if c.changed && !c.pg.IsBusy() && c.utf8() {
		options := c.connector.vault.options
		options.Previous = tags
		own, err := tagged.Load(ctx, c.pg, options)
		if err != nil {
			return nil, err
		}
		c.ownTags, c.changed = own, false
	}
	if c.ownTags == nil {
		return tags, nil
	}
	return c.ownTags, nil
}

// A passage is a statement on its way through encryption: what goes down in its place.
type passage struct {
	text string
	args []driver.NamedValue
	tags *tagged.Schema
	// planned is nil for a statement that meets no encrypted column as far as its text says, explicit true where it has
	// arguments that were encrypted by name.
	planned  *planned
	explicit bool
	who      *principal
	// answer is the result of a statement that the driver answers by itself.
	answer driver.Rows
}

// located returns err with its position in the text that was given, not in the one that was sent.
func (p *passage) located(err error) error {
	var pgErr *pgconn.PgError
	if p.planned == nil || !errors.As(err, &pgErr) || pgErr.Position == 0 {
		return err
	}
	position := p.planned.plan.Position(int(pgErr.Position))
	if position == int(pgErr.Position) {
		return err
	}
	located := *pgErr
	located.Position = int32(position)
	return &located
}

type passageKey struct{}

// down returns the context that tells the identity conn what the text's plan asks of it.
func (p *passage) down(ctx context.Context) context.Context {
	if p == nil || p.planned == nil && !p.explicit {
		return ctx
	}
	return context.WithValue(ctx, passageKey{}, p)
}

// passageOf returns the passage of a statement, nil where it has none.
func (c *conn) passageOf(ctx context.Context) *passage {
	if tags := c.connector.vault.tags.Load(); c.ownTags == nil && !c.changed && (tags == nil || tags.Empty()) {
		return nil
	}
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// encrypt turns a statement into the one that may leave: nil where it is the same.
func (c *conn) encrypt(ctx context.Context, query string, args []driver.NamedValue) (*passage, error) {
	if !c.IsValid() || c.pg.IsBusy() {
		return nil, c.unfit()
	}
	return c.encryptOnce(ctx, query, args, false)
}

// unfit is why no statement can be sent.
func (c *conn) unfit() error {
	if !c.IsValid() {
		return driver.ErrBadConn
	}
	return errBusy
}

func (c *conn) encryptOnce(ctx context.Context, query string, args []driver.NamedValue, again bool) (*passage, error) {
	tags, err := c.connector.vault.current(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		if asked, ok := args[0].Value.(*explicit.Decryption); ok {
			return c.answer(ctx, tags, asked)
		}
	}
	if tags.Empty() {
		if i := slices.IndexFunc(args, isExplicit); i >= 0 {
			return nil, fmt.Errorf("pganon: encrypt statement: $%d: no column of the database is encrypted", i+1)
		}
		return nil, nil
	}
	if len(args) > 0 {
		if query, args, err = c.rewritten(ctx, query, args); err != nil {
			return nil, err
		}
	}
	// What meets no encrypted column, most of all statements, shares one passage: nobody keeps it beyond the statement's start.
	p := &c.unplanned
	*p = passage{text: query, args: args, tags: tags}
	if t := c.textKnown(query, tags); t.names || !c.utf8() && !isASCII(query) {
		p = &passage{text: query, args: args, tags: tags}
		if err := c.plan(ctx, p, t); err != nil {
			return nil, err
		}
	}
	options := leadingOptions(args)
	if p.planned != nil {
		p.text = p.planned.plan.Text()
		p.args, err = p.planned.plan.Arguments(ctx, args, options)
	} else {
		masked := false
		if slices.ContainsFunc(args, isExplicit) {
			p = &passage{text: query, args: args, tags: tags, explicit: true}
			if err := c.refresh(ctx); err != nil {
				return nil, err
			}
			who, err := c.principal(ctx)
			if err != nil {
				return nil, err
			}
			p.who, masked = who, who.masked
		}
		p.args, err = tags.Arguments(ctx, args, options, masked)
	}
	if errors.Is(err, tagged.ErrKeysChanged) && !again {
		c.connector.vault.stale.Store(true)
		return c.encryptOnce(ctx, query, args, true)
	}
	return p, err
}

// isExplicit says whether an argument says itself what it is to be encrypted for.
func isExplicit(a driver.NamedValue) bool { _, is := a.Value.(*explicit.Encryption); return is }

// answer gives the value of a token, as what ctx says.
func (c *conn) answer(ctx context.Context, tags *tagged.Schema, asked *explicit.Decryption) (*passage, error) {
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	who, err := c.principal(ctx)
	if err != nil {
		return nil, err
	}
	value, err := tags.Decrypt(ctx, asked, who.masked)
	return &passage{answer: &answerRows{value: value}}, err
}

// planPrepared refuses to prepare what could not run: its text goes to the server.
func (c *conn) planPrepared(ctx context.Context, query string) (*passage, error) {
	if !c.IsValid() || c.pg.IsBusy() {
		return nil, nil // the identity conn says so
	}
	tags, err := c.connector.vault.current(ctx, c)
	if err != nil || tags.Empty() {
		return nil, err
	}
	t := c.textKnown(query, tags)
	if !t.names {
		return nil, nil
	}
	p := &passage{text: query, tags: tags}
	err = c.plan(ctx, p, t)
	switch {
	case errors.Is(err, pganon.ErrNoIdentity):
		return nil, nil // nothing is sent before the first execution
	case err != nil:
		return nil, err
	case p.planned != nil && p.planned.plan.Text() != query:
		return nil, nil // it is run by itself, in its own words
	}
	return p, nil
}

// textKnown is textOf with what tags say of it.
func (c *conn) textKnown(query string, tags *tagged.Schema) *text {
	t := c.textOf(query)
	if t.tags != tags {
		t.tags, t.names, t.planned = tags, tags.MayName(query), nil
	}
	return t
}

// isASCII says whether a text means the same in every encoding.
func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// leadingOptions is how many of args are options of pgx.
func leadingOptions(args []driver.NamedValue) int {
	for i, arg := range args {
		switch arg.Value.(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode:
		default:
			return i
		}
	}
	return len(args)
}

// rewritten runs pgx's query rewriters (NamedArgs), whose text and arguments are the ones that meet columns.
func (c *conn) rewritten(ctx context.Context, query string, args []driver.NamedValue) (string, []driver.NamedValue, error) {
	if _, last := args[min(leadingOptions(args), len(args)-1)].Value.(pgx.QueryRewriter); !last {
		return query, args, nil
	}
	cl := call{sql: query, args: values(args), wantRows: true}
	if err := c.options(ctx, &cl); err != nil {
		return "", nil, err
	}
	made := make([]driver.NamedValue, 0, len(args)+len(cl.args))
	for _, arg := range args[:len(args)-countArguments(args)] {
		if _, rewriter := arg.Value.(pgx.QueryRewriter); !rewriter {
			made = append(made, arg)
		}
	}
	for _, arg := range cl.args {
		made = append(made, driver.NamedValue{Value: arg})
	}
	for i := range made {
		made[i].Ordinal = i + 1
	}
	return cl.sql, made, nil
}

// countArguments is how many of args come after pgx's options, rewriters among them.
func countArguments(args []driver.NamedValue) int {
	for i, arg := range args {
		switch arg.Value.(type) {
		case pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, pgx.QueryExecMode, pgx.QueryRewriter:
		default:
			return len(args) - i
		}
	}
	return 0
}

func (c *conn) utf8() bool { return c.pg.ParameterStatus("client_encoding") == "UTF8" }

var errEncoding = errors.New("pganon: encrypt statement: a text that may name an encrypted table needs client_encoding=UTF8 and standard_conforming_strings=on")

// plan finds or makes the plan of a text that may name an encrypted table.
func (c *conn) plan(ctx context.Context, p *passage, t *text) error {
	if !c.utf8() || c.pg.ParameterStatus("standard_conforming_strings") != "on" {
		return errEncoding
	}
	if c.pg.TxStatus() == 'E' {
		if t.control() {
			return nil
		}
		return errFailedTx
	}
	if err := c.refresh(ctx); err != nil {
		return err
	}
	who, err := c.principal(ctx)
	if err != nil {
		if errors.Is(err, pganon.ErrNoIdentity) && t.control() && !t.several {
			return nil
		}
		return err
	}
	p.who = who
	if t.planned != nil && t.plannedFor == who.pathKey && t.plannedMasked == who.masked && t.plannedPath == c.pathEpoch {
		p.planned = t.planned
		return nil
	}
	made, err := c.makePlan(ctx, p)
	if err != nil {
		return err
	}
	if made.err != nil && (c.temporary || c.pg.TxStatus() == 'I' && time.Now().UnixNano()-c.connector.vault.asked.Load() > int64(time.Second)) {
		// The schema may have changed since it was read, and the statement be right.
		c.temporary = false
		if c.connector.vault.stale.Store(true); c.pg.TxStatus() == 'T' {
			c.changed = true
		}
		if p.tags, err = c.connector.vault.current(ctx, c); err != nil {
			return err
		}
		if made, err = c.makePlan(ctx, p); err != nil {
			return err
		}
	}
	if made.err != nil {
		return made.err
	}
	t.tags, t.planned, t.plannedFor, t.plannedMasked, t.plannedPath = p.tags, made, who.pathKey, who.masked, c.pathEpoch
	p.planned = made
	return nil
}

var errFailedTx error = &pgconn.PgError{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block"}

// makePlan returns the plan of a passage under its principal's search path.
func (c *conn) makePlan(ctx context.Context, p *passage) (*planned, error) {
	path, err := c.path(ctx, p.who, p.tags)
	if err != nil {
		return nil, err
	}
	key := planKey{text: p.text, path: strings.Join(path, "\x00"), masked: p.who.masked, tags: p.tags}
	cache := &c.connector.vault.plans
	if known := cache.get(key); known != nil && (known.err == nil || time.Since(known.at) < time.Second) {
		return known, nil
	}
	made := &planned{text: strings.Clone(p.text), path: path, at: time.Now()}
	if made.plan, made.err = p.tags.Plan(p.text, path, p.who.masked); made.err == nil {
		made.guards = guardsOf(made.plan)
	}
	if key.text = made.text; p.tags == c.connector.vault.tags.Load() {
		cache.put(key, made)
	}
	return made, nil
}

// path returns the search path of who on this session, as the server sees it.
func (c *conn) path(ctx context.Context, who *principal, tags *tagged.Schema) ([]string, error) {
	key := pathKey{tags: tags, role: who.role, base: c.baseOf("search_path")}
	for _, s := range who.local {
		if s.Name == "search_path" {
			key.base = s.Value
		}
	}
	known, ok := c.paths[key]
	if !ok && !c.ownPath {
		var shared any
		if shared, ok = c.connector.vault.paths.Load(key); ok {
			known = shared.([]string)
		}
	}
	if ok {
		return known, nil
	}
	path, err := c.askPath(ctx, who)
	if err != nil {
		return nil, err
	}
	if c.ownPath || len(path) > 0 && strings.HasPrefix(path[0], "pg_temp_") {
		if c.paths == nil {
			c.paths = make(map[pathKey][]string)
		}
		c.paths[key] = path
	} else {
		c.connector.vault.paths.Store(key, path)
	}
	return path, nil
}

// repath forgets the paths that hold on this session, because something may have changed them; own says that they are not
// those of a new session any more.
func (c *conn) repath(own bool) {
	c.ownPath = own
	c.pathEpoch++
	clear(c.paths)
}

const pathSQL = "select s from pg_catalog.unnest(pg_catalog.current_schemas(true)) s"

// askPath asks the server, as who.
func (c *conn) askPath(ctx context.Context, who *principal) ([]string, error) {
	s := c.situation(who, &text{})
	steps, err := plan(s)
	if err != nil {
		return nil, err
	}
	if who.login && !c.seen {
		steps = planText
	}
	cl := &call{sql: pathSQL, text: &text{}, who: who}
	f := c.launch(ctx, who, steps, &message{sql: pathSQL})
	if err := f.untilText(); err != nil {
		return nil, c.retryable(c.landed(f, cl, nil))
	}
	var path []string
	for f.rows.NextRow() {
		path = append(path, string(f.rows.Values()[0]))
	}
	f.end()
	if err := c.landed(f, cl, nil); err != nil {
		return nil, c.retryable(err)
	}
	return path, nil
}

// again says whether a statement that has failed with err may be run once more, with tags and names read anew: it is
// certain then that nothing of it has happened.
func (c *conn) again(p *passage, err error) (bool, error) {
	retagged := errors.Is(err, errRetagged)
	if p == nil || p.planned == nil && !retagged {
		return false, err
	}
	var pgErr *pgconn.PgError
	rotated := errors.As(err, &pgErr) && pgErr.Code == "23514" && p.tags.DomainNamed(pgErr.SchemaName, pgErr.DataTypeName) != nil
	if !rotated && !retagged && !errors.Is(err, errMoved) && !errors.Is(err, errReplan) {
		return false, err
	}
	v := c.connector.vault
	v.stale.Store(true)
	v.paths.Clear()
	c.repath(true)
	switch {
	case !c.broken && (c.pg.TxStatus() == 'I' || retagged && c.pg.TxStatus() == 'T'):
		return true, err
	case rotated:
		err = fmt.Errorf("%w: %w", ErrKeyRotated, err)
	}
	return false, err
}

// noteChange notes what t, which has run, may have changed of what plans rest on.
func (c *conn) noteChange(t *text) {
	if t.moves {
		c.movedInTx = c.pg.TxStatus() != 'I'
		c.repath(true)
	}
	if t.undoes && c.movedInTx {
		c.repath(true)
	}
	if t.undoes && c.ownTags != nil {
		c.changed = true
	}
	c.temporary = c.temporary || t.temporary
	if t.ddl {
		c.changed = c.pg.TxStatus() != 'I'
		c.connector.vault.stale.Store(true)
	}
}

// keysOf makes a source of keys of what the configuration says.
func keysOf(cfg *Config) (fernet.KeySource, error) {
	switch {
	case cfg.Keys != nil && (cfg.KeysEnv != "" || cfg.KeysFile != ""), cfg.KeysEnv != "" && cfg.KeysFile != "":
		return nil, errors.New("pganon.keys_env, pganon.keys_file, Config.Keys: only one of them may say where the keys are")
	case cfg.KeysEnv != "":
		ring, err := fernet.EnvKeyring(cfg.KeysEnv)
		if err != nil {
			return nil, fmt.Errorf("pganon.keys_env: %w", err)
		}
		return ring, nil
	case cfg.KeysFile != "":
		logger := cfg.logger()
		file, err := fernet.OpenKeyFile(cfg.KeysFile, func(err error) {
			logger.Error("pganon: the keys read before stay in use", slog.String("error", err.Error()))
		})
		if err != nil {
			return nil, fmt.Errorf("pganon.keys_file: %w", err)
		}
		return file, nil
	}
	return cfg.Keys, nil
}

// witness asks the server which types it takes the parameters for: a plan that it does not agree with is refused before
// any value is sent. d is the text's description where the mode has one; else one is asked for, once for each plan.
func (c *conn) witness(ctx context.Context, cl *call, d *described, s situation) error {
	p := cl.passage
	switch {
	case p == nil || p.planned == nil:
		if d == nil || p != nil && p.explicit {
			return nil
		}
		tags := c.connector.vault.tags.Load()
		if tags == nil || tags.Empty() || d.witnessed == tags {
			return nil
		}
		if err := c.connector.vault.agree(tags, d.sd.ParamOIDs, tags.Witness(d.sd.ParamOIDs)); err != nil {
			return err
		}
		d.witnessed = tags
	case d != nil: // it was asked when it was described
	case p.planned.guards == nil || p.planned.witnessed.Load() || s.status == 'E':
	default:
		described, err := c.describeOnce(ctx, cl, s)
		if err != nil {
			return err
		}
		_, err = p.planned.plan.Types(described.ParamOIDs)
		if err := c.connector.vault.agree(p.tags, described.ParamOIDs, err); err != nil {
			return err
		}
		p.planned.witnessed.Store(true)
	}
	return nil
}

// agree returns err, which is what tags say of the types that the server takes parameters for. Where it is one, or where tags know nothing
// of a type, they may be old.
func (v *vault) agree(tags *tagged.Schema, types []uint32, err error) error {
	known := err == nil && !slices.ContainsFunc(types, func(oid uint32) bool { return !tags.KnownType(oid) })
	if !known && v.doubted.again() {
		return errRetagged
	}
	return err
}

// describeOnce has the server parse the text without a name.
func (c *conn) describeOnce(ctx context.Context, cl *call, s situation) (*pgconn.StatementDescription, error) {
	f := c.launch(ctx, cl.who, planFirst(s), &message{sd: &pgconn.StatementDescription{SQL: cl.sql}, guards: cl.guards()})
	_ = f.untilText()
	if err := c.landed(f, cl, nil); err != nil {
		return nil, err
	}
	if f.parsed == nil {
		return nil, errProtocol
	}
	return f.parsed, nil
}

// guardError returns what an error of settings with guards says of them, false where it says nothing.
func guardError(err error) (error, bool) {
	var pgErr *pgconn.PgError
	switch {
	case !errors.As(err, &pgErr):
		return err, false
	case pgErr.Code == "22012":
		return errMoved, true
	case pgErr.Code == "42501" && pgErr.Routine == "aclcheck_error":
		return err, true // of a schema that the text names: the statement's own
	}
	return err, false
}
