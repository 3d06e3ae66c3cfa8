package driver

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/redact"
)

// catalogAge is for how long a reading of the catalog serves the connector's statements.
const catalogAge = time.Minute

// catalog is what the database says about roles and settings. It does not change once it is read.
type catalog struct {
	readAt time.Time
	roles  map[string]roleOptions
	// known are the settings with a dot that extensions have defined.
	known map[string]bool
	// transparent is true where PostgreSQL Anonymizer masks at parse analysis, so that plans belong to a role.
	transparent bool
}

type roleOptions struct {
	masked, writable bool
	searchPath       string
	hasSearchPath    bool
}

// The session's search_path may be an identity's doing: an operator found there would run as the login role.
const catalogSQL = `select pg_catalog.set_config('search_path', 'pg_catalog', true);
select r.rolname, coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid'), ''),
	exists (select from pg_catalog.pg_shseclabel l where l.objoid = r.oid and l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass and l.provider = 'anon' and pg_catalog.upper(l.label) like 'MASKED%'),
	(select pg_catalog.substr(o, 13) from pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) o
	 where s.setrole = r.oid and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())) and o like 'search\_path=%'
	 order by s.setdatabase desc limit 1)
from pg_catalog.pg_roles r
where pg_catalog.shobj_description(r.oid, 'pg_authid') like '%pganon:%'
	or exists (select from pg_catalog.pg_shseclabel l where l.objoid = r.oid and l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass)
	or exists (select from pg_catalog.pg_db_role_setting s where s.setrole = r.oid);
select pg_catalog.lower(name) from pg_catalog.pg_settings where name like '%.%';
select coalesce(pg_catalog.current_setting('anon.transparent_dynamic_masking', true), '')`

// readCatalog asks the server as the login role, in one round trip.
func readCatalog(ctx context.Context, pg *pgconn.PgConn) (*catalog, error) {
	results, err := pg.Exec(ctx, catalogSQL).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("pganon: read roles: %w", err)
	}
	if len(results) != 4 {
		return nil, fmt.Errorf("pganon: read roles: %d results, want 4", len(results))
	}
	results = results[1:]
	cat := &catalog{readAt: time.Now(), roles: make(map[string]roleOptions), known: make(map[string]bool)}
	for _, row := range results[0].Rows {
		name, comment, label := string(row[0]), string(row[1]), string(row[2])
		opts, err := roleTag(comment)
		if err != nil {
			return nil, fmt.Errorf("pganon: read roles: comment on role %q: %w", name, redact.Safe(err))
		}
		opts.masked = opts.masked || label == "t"
		if row[3] != nil {
			opts.searchPath, opts.hasSearchPath = string(row[3]), true
		}
		cat.roles[name] = opts
	}
	for _, row := range results[1].Rows {
		cat.known[string(row[0])] = true
	}
	if len(results[2].Rows) == 1 {
		cat.transparent = pgBool(string(results[2].Rows[0][0]))
	}
	return cat, nil
}

// roleTag reads the pganon:"…" tag in the comment of a role. A tag it does not know is an error: it may be meant to mask.
func roleTag(comment string) (roleOptions, error) {
	const key = `pganon:`
	var opts roleOptions
	_, rest, found := strings.Cut(comment, key)
	if !found {
		return opts, nil
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return opts, fmt.Errorf(`want pganon:"masked" or pganon:"masked,writable"`)
	}
	tag, err := strconv.Unquote(quoted)
	if err != nil {
		return opts, fmt.Errorf(`want pganon:"masked" or pganon:"masked,writable"`)
	}
	for _, option := range strings.Split(tag, ",") {
		switch strings.TrimSpace(option) {
		case "masked":
			opts.masked = true
		case "writable":
			opts.writable = true
		default:
			return opts, fmt.Errorf("unknown option %q", option)
		}
	}
	if opts.writable && !opts.masked {
		return opts, fmt.Errorf("writable says something of masked roles only")
	}
	return opts, nil
}

// pgBool reads what PostgreSQL takes for true in a setting that no server code has checked.
func pgBool(s string) bool {
	s = strings.ToLower(s)
	return s == "1" || s == "on" || s != "" && (strings.HasPrefix("true", s) || strings.HasPrefix("yes", s))
}
