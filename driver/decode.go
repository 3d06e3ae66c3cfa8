package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pganon/pganon/internal/tagged"
	"github.com/pganon/pganon/redact"
)

// origin is where an output's values come from, as PostgreSQL reports it.
type origin struct {
	table     uint32
	attribute uint16
}

// decoding is how results of these origins are decoded; nil decoders are of columns that are not.
type decoding struct {
	tags     *tagged.Schema
	masked   bool
	origins  []origin
	decoders []*tagged.Decoder // nil where no column is encrypted
}

// serves says whether a decoding is right for a result too.
func (d *decoding) serves(tags *tagged.Schema, masked bool, below *rows) bool {
	if d == nil || d.tags != tags || d.masked != masked || len(d.origins) != len(below.fields) {
		return false
	}
	for i, o := range d.origins {
		if table, attribute := below.ColumnOrigin(i); o.table != table || o.attribute != attribute {
			return false
		}
	}
	return true
}

// decode returns the decoders of a statement's result, by the origins that this execution reports, joined with what the
// statement's plan knows of outputs without one.
func (c *conn) decode(ctx context.Context, p *passage, below *rows) ([]*tagged.Decoder, error) {
	masked := p.who != nil && p.who.masked
	if p.who == nil {
		if who, err := c.principal(ctx); err == nil {
			masked = who.masked
		}
	}
	known := &below.decoding // of this execution only
	switch {
	case p.planned != nil:
		known = &p.planned.decoding
	case below.desc != nil:
		known = &below.desc.decoding
	}
	if d := known.Load(); d.serves(p.tags, masked, below) {
		return d.decoders, nil
	}
	d, err := c.decodingOf(ctx, p, below, masked)
	if err != nil {
		return nil, err
	}
	known.Store(d)
	return d.decoders, nil
}

func (c *conn) decodingOf(ctx context.Context, p *passage, below *rows, masked bool) (*decoding, error) {
	d, tags, err := c.decoded(ctx, p, below, masked)
	if err != nil {
		return nil, err
	}
	for i := range below.fields {
		if (d.decoders == nil || d.decoders[i] == nil) && tags.Wraps(below.fields[i].DataTypeOID) {
			return nil, redact.Safe(fmt.Errorf("pganon: decrypt: column %d of the result: its type holds encrypted values inside, in an array, a row or a range, "+
				"which are not decrypted: let the statement take it apart", i+1))
		}
	}
	return d, nil
}

// decoded is decodingOf by what is known of columns, whatever their types are; and the tags that it goes by.
func (c *conn) decoded(ctx context.Context, p *passage, below *rows, masked bool) (*decoding, *tagged.Schema, error) {
	d, tags := &decoding{tags: p.tags, masked: masked, origins: make([]origin, len(below.fields))}, p.tags
	for i := range d.origins {
		d.origins[i].table, d.origins[i].attribute = below.ColumnOrigin(i)
	}
	var err error
	if p.planned != nil {
		d.decoders, err = p.planned.plan.Decoders(ctx, len(d.origins), below.ColumnOrigin)
		if err == nil || c.ownTags != nil || !p.planned.doubted.again() {
			return d, tags, err
		}
		plan, failed := c.planAside(ctx, p)
		if failed != nil {
			return nil, nil, err
		}
		d.decoders, err = plan.Decoders(ctx, len(d.origins), below.ColumnOrigin)
		return d, tags, err
	}
	if slices.ContainsFunc(d.origins, func(o origin) bool {
		return o.table != 0 && !tags.Known(o.table) && !c.connector.vault.strange(tags, o.table)
	}) {
		if tags, err = c.connector.readAside(ctx); err != nil {
			return nil, nil, err
		}
		for _, o := range d.origins {
			if o.table != 0 && !tags.Known(o.table) {
				c.connector.vault.estrange(tags, o.table)
			}
		}
	}
	d.decoders, err = tags.Decoders(ctx, len(d.origins), below.ColumnOrigin, masked)
	if errors.Is(err, tagged.ErrKeysChanged) {
		if tags, err = c.connector.readAside(ctx); err == nil {
			d.decoders, err = tags.Decoders(ctx, len(d.origins), below.ColumnOrigin, masked)
		}
	}
	return d, tags, err
}

// planAside makes the plan of a statement that has its rows open by the tags as they are now: what it says of parameters comes too
// late, but the rows can be read.
func (c *conn) planAside(ctx context.Context, p *passage) (*tagged.Plan, error) {
	tags := c.connector.vault.tags.Load()
	if tags == p.tags {
		var err error
		if tags, err = c.connector.readAside(ctx); err != nil {
			return nil, err
		}
	}
	return tags.Plan(p.planned.text, p.planned.path, p.who.masked)
}

// undecoded refuses rows of which a column would have to be decrypted.
func (c *conn) undecoded(ctx context.Context, cl *call) error {
	tags := c.connector.vault.tags.Load()
	if c.ownTags != nil {
		tags = c.ownTags
	}
	if tags == nil || tags.Empty() {
		return nil
	}
	p := cl.passage
	if p == nil {
		p = &passage{tags: tags, who: cl.who}
	}
	decoders, err := c.decode(ctx, p, cl.rows)
	if err == nil && decoders != nil {
		err = errTxDecrypt
	}
	return err
}

// decodeRow decodes a row in place.
func decodeRow(decoders []*tagged.Decoder, row []driver.Value) (err error) {
	for i, d := range decoders {
		if d != nil {
			if row[i], err = d.Value(row[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// strangers are tables that only a session knows which has not committed them, or temporary ones: of them it has been
// asked once.
type strangers struct {
	tags   *tagged.Schema
	tables map[uint32]bool
}

const maxStrangers = 1024

func (v *vault) strange(tags *tagged.Schema, table uint32) bool {
	v.strangersMu.Lock()
	defer v.strangersMu.Unlock()
	return v.strangers.tags == tags && v.strangers.tables[table]
}

func (v *vault) estrange(tags *tagged.Schema, table uint32) {
	v.strangersMu.Lock()
	defer v.strangersMu.Unlock()
	if v.strangers.tags != tags || len(v.strangers.tables) >= maxStrangers {
		v.strangers = strangers{tags: tags, tables: make(map[uint32]bool)}
	}
	v.strangers.tables[table] = true
}

// readAside reads the tags over a connection of its own, while the one that asks has rows open.
func (c *connector) readAside(ctx context.Context) (*tagged.Schema, error) {
	made, err := c.parent.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer made.Close()
	c.vault.reading.Lock()
	defer c.vault.reading.Unlock()
	return c.vault.read(ctx, made.(*stdlib.Conn).Conn().PgConn())
}

// PlaintextReads returns, for each label whose columns are migrating, how many values db has read that were plaintext still: while
// it grows, a backfill has something left to do. It takes a connection of db for a moment.
func PlaintextReads(ctx context.Context, db *sql.DB) (reads map[string]uint64, err error) {
	err = withTags(ctx, db, func(tags *tagged.Schema) { reads = tags.PlaintextReads() })
	return reads, err
}

// TaggedNames returns the names of all columns of the database, and of all fields of Config.Models, that have a tag: encrypted ones and
// those tagged pganon:"redact". They are for redact.Options.Names, so that a log shows none of their values. It takes a
// connection of db for a moment.
func TaggedNames(ctx context.Context, db *sql.DB) (names []string, err error) {
	err = withTags(ctx, db, func(tags *tagged.Schema) { names = tags.Names() })
	return names, err
}

func withTags(ctx context.Context, db *sql.DB, use func(*tagged.Schema)) error {
	sqlConn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer sqlConn.Close()
	return sqlConn.Raw(func(driverConn any) error {
		holder, ok := driverConn.(interface{ identityConn() *conn })
		if !ok {
			return fmt.Errorf("pganon: read tags: the connection is a %T, want one of this package's", driverConn)
		}
		use(holder.identityConn().connector.vault.tags.Load())
		return nil
	})
}

// answerRows are a result that the driver gives by itself: one value.
type answerRows struct {
	value driver.Value
	read  bool
}

func (r *answerRows) Columns() []string { return []string{"value"} }
func (r *answerRows) Close() error      { return nil }

func (r *answerRows) Next(dest []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read, dest[0] = true, r.value
	return nil
}
