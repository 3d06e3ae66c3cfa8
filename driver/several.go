package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/internal/sqllex"
)

// part is one command of a Query message: of the user's text, or of ours, before or after it.
type part struct {
	at    step
	query int // where it starts in the Query
	text  int // where it starts in the user's text
	size  int
}

var (
	errStrings = errors.New("pganon: run statement: several commands in one text, and simple_protocol, need standard_conforming_strings=on and client_encoding=UTF8")
	errControl = errors.New("pganon: run statement: under a masked role in a writable transaction a text of several commands may hold no transaction control")
)

// runSeveral sends a text of several commands as one Query, with the settings before each of them: whatever one command
// does to the role, the next one runs under the identity again.
func (c *conn) runSeveral(ctx context.Context, cl *call, s situation) error {
	if c.pg.ParameterStatus("standard_conforming_strings") != "on" || c.pg.ParameterStatus("client_encoding") != "UTF8" {
		return errStrings
	}
	commands, err := sqllex.Split(cl.sql)
	if err != nil {
		return fmt.Errorf("pganon: run statement: split text: %w", err)
	}
	if len(commands) == 0 {
		return c.simpleBare(ctx, cl)
	}
	texts := make([]*text, len(commands))
	for i, command := range commands {
		texts[i] = readText(cl.sql[command.Start:command.End])
		if texts[i].ours && cl.named() {
			return errOurs
		}
	}
	query, parts, err := c.severalQuery(cl, s, commands, texts)
	if err != nil {
		return err
	}
	mrr := c.pg.Exec(ctx, query)
	completed := 0
	for mrr.NextResult() {
		tag, err := mrr.ResultReader().Close()
		if err == nil {
			if completed < len(parts) && parts[completed].at == stepText {
				cl.tag = tag
			}
			completed++
		}
	}
	err = mrr.Close()
	for _, t := range texts {
		c.leave(t, cl.who.key)
		c.distrust(t, cl.who)
	}
	c.noteChange(cl.text)
	c.lastKey = cl.who.key
	if c.plans != cl.who.role {
		c.plans = mixed
	}
	c.transactionIs(c.pg.TxStatus(), cl.who, true)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	local := *pgErr
	local.Position = userPosition(query, cl.sql, parts, int(pgErr.Position))
	at := stepText
	if completed < len(parts) && local.Position == 0 && settingsCode(local.Code) {
		at = parts[completed].at // the server parses all before it runs any: only a position tells whose an error is
	}
	if cl.guards() != nil && completed < len(parts) && parts[completed].at == stepSettings {
		if guarded, ok := guardError(err); ok {
			return guarded
		}
	}
	return c.stepError(at, cl.who, &local)
}

// severalQuery builds the Query and says what its commands are.
func (c *conn) severalQuery(cl *call, s situation, commands []sqllex.Statement, texts []*text) (string, []part, error) {
	shape, values := c.settings(cl.who)
	if g := cl.guards(); g != nil {
		shape, values = c.connector.principals.guarded(shape, values, g)
	}
	settings := shape.literal(values)
	var query strings.Builder
	var parts []part
	add := func(p part, sql string) {
		if query.Len() > 0 {
			query.WriteString("\n;") // a new line ends a comment of the command before it
		}
		p.query, p.size = query.Len(), len(sql)
		parts = append(parts, p)
		query.WriteString(sql)
	}
	ours := func(at step, sql string) { add(part{at: at, text: -1}, sql) }
	savepoint := s.status == 'T' && s.readOnly && !s.txReadOnly
	if savepoint {
		ours(stepSavepoint, stepSQL[stepSavepoint])
	}
	if s.plans && s.status != 'E' {
		ours(stepDiscardPlans, stepSQL[stepDiscardPlans])
	}
	failed := s.status == 'E'
	for i, command := range commands {
		t := texts[i]
		switch {
		case t.copyIn:
			return "", nil, errCopy
		case t.control() && savepoint:
			return "", nil, errControl
		case failed:
			// Nothing but the end of the failed transaction runs; behind it settings are needed again.
			failed = !t.control()
		case t.kind == kindBegin || t.kind == kindControl:
		default:
			ours(stepSettings, settings)
		}
		add(part{at: stepText, text: command.Start}, cl.sql[command.Start:command.End])
	}
	if savepoint {
		ours(stepRelease, stepSQL[stepRelease])
	}
	// What the implicit commit at the end fires must not see what the last command did to the role.
	if last := texts[len(texts)-1]; s.status == 'I' && last.kind != kindBegin && last.kind != kindCommit {
		ours(stepSettings, settings)
	}
	if cl.pinned != nil {
		shape, values := c.settings(c.tx.who)
		ours(stepRestore, shape.literal(values))
	}
	return query.String(), parts, nil
}

// userPosition turns a position in the Query into one in the user's text; 0 where it is in neither of its commands.
func userPosition(query, text string, parts []part, position int) int32 {
	if position <= 0 {
		return 0
	}
	offset, ok := sqllex.Offset(query, position)
	if !ok {
		return 0
	}
	for _, p := range parts {
		if p.at == stepText && offset >= p.query && offset <= p.query+p.size+1 {
			return int32(sqllex.Position(text, p.text+min(offset-p.query, p.size)))
		}
	}
	return 0
}

// runSimple sends a statement on a connection whose mode is the simple protocol: settings and statement as one Query,
// quoted by pgx.
func (c *conn) runSimple(ctx context.Context, cl *call, s situation) error {
	if cl.text.several {
		if len(cl.args) > 0 || cl.wantRows {
			return errors.New("pganon: run statement: in simple_protocol a text of several commands runs under an identity by Exec without arguments only")
		}
		return c.runSeveral(ctx, cl, s)
	}
	steps, err := plan(s)
	if err != nil {
		return err
	}
	if cl.who == nil || cl.text.empty || s.kind == kindAlone || s.kind == kindBlock && s.login || s.status == 'E' || !slices.Contains(steps, stepSettings) {
		return c.simpleBare(ctx, cl)
	}
	if c.pg.ParameterStatus("standard_conforming_strings") != "on" || c.pg.ParameterStatus("client_encoding") != "UTF8" {
		return errStrings
	}
	if !cl.wantRows && len(cl.args) == 0 && !cl.text.control() && strings.Contains(cl.sql, "$") {
		return c.runSeveral(ctx, cl, s) // as it is: pgx looks for an argument for each $1 in it, in strings too
	}
	var batch pgx.Batch
	before, after, prefix := 0, 0, 0
	ours := func(sql string) {
		batch.Queue(sql)
		if batch.Len() > before+1 {
			after++
			return
		}
		before++
		prefix += utf8.RuneCountInString(sql) + len("\n;")
	}
	for _, st := range steps {
		switch st {
		case stepSettings:
			shape, values := c.settings(cl.who)
			if g := cl.guards(); g != nil {
				shape, values = c.connector.principals.guarded(shape, values, g)
			}
			ours(shape.literal(values))
		case stepDiscardPlans, stepSavepoint, stepRelease:
			ours(stepSQL[st])
		case stepText:
			batch.Queue(cl.sql, cl.args...)
		}
	}
	if cl.pinned != nil {
		shape, values := c.settings(c.tx.who)
		ours(shape.literal(values))
	}
	cl.discarded = slices.Contains(steps, stepDiscardPlans)
	if err := c.witness(ctx, cl, nil, s); err != nil {
		return err
	}
	br := c.pgx.SendBatch(quiet(ctx), &batch)
	for range before {
		if _, err := br.Exec(); err != nil {
			_ = br.Close()
			return c.simpleLanded(cl, stepSettings, err, prefix)
		}
	}
	finish := func(tag pgconn.CommandTag, err error) error {
		for range after {
			if err == nil {
				_, err = br.Exec()
			}
		}
		if closeErr := br.Close(); err == nil {
			err = closeErr
		}
		return c.simpleLanded(cl, stepText, err, prefix)
	}
	if !cl.wantRows {
		cl.tag, err = br.Exec()
		return finish(cl.tag, err)
	}
	pgxRows, err := br.Query()
	if err != nil {
		return finish(pgconn.CommandTag{}, err)
	}
	cl.rows = &rows{conn: c, plain: pgxRows, finish: finish}
	return nil
}

// simpleBare sends a text that nothing may stand before.
func (c *conn) simpleBare(ctx context.Context, cl *call) error {
	if !cl.wantRows {
		var err error
		cl.tag, err = c.pgx.Exec(quiet(ctx), cl.sql, cl.args...)
		return c.simpleLanded(cl, stepText, err, 0)
	}
	pgxRows, err := c.pgx.Query(quiet(ctx), cl.sql, cl.args...)
	if err != nil {
		return c.simpleLanded(cl, stepText, err, 0)
	}
	cl.rows = &rows{conn: c, plain: pgxRows, finish: func(_ pgconn.CommandTag, err error) error { return c.simpleLanded(cl, stepText, err, 0) }}
	return nil
}

// simpleLanded takes stock after a Query, in which prefix characters stood before the statement.
func (c *conn) simpleLanded(cl *call, at step, err error, prefix int) error {
	key := mixed
	if cl.who != nil {
		key = cl.who.key
		c.lastKey = key
		switch {
		case cl.discarded && err == nil:
			c.plans = cl.who.role
		case c.plans != cl.who.role:
			c.plans = mixed
		}
	}
	c.leave(cl.text, key)
	c.noteChange(cl.text)
	c.transactionIs(c.pg.TxStatus(), cl.who, cl.who != nil && !cl.text.control())
	if at == stepSettings && cl.guards() != nil {
		if guarded, ok := guardError(err); ok {
			return guarded
		}
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Position > 0 {
		local := *pgErr
		local.Position = max(0, local.Position-int32(prefix))
		at, err = stepText, &local // settings have no position
	}
	return c.stepError(at, cl.who, err)
}
