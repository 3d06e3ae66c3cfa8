package driver

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// stepSQL are the commands of the steps that are one command without values.
var stepSQL = map[step]string{
	stepDiscardPlans:  "discard plans",
	stepBegin:         "begin",
	stepBeginReadOnly: "begin read only",
	stepSavepoint:     "savepoint pganon_masked",
	stepRelease:       "release savepoint pganon_masked",
	stepCommit:        "commit",
	stepLogin:         "set session role none",
}

// cleanSQL removes what an application can leave on a session, prepared statements excepted: their names are ours.
var cleanSQL = []string{
	"reset all", "close all", "unlisten *", "reset session authorization", "discard temp", "discard sequences",
	"select pg_catalog.pg_advisory_unlock_all()",
}

// cleanUnseenSQL removes prepared statements too, where some may have been made that we have not seen.
var cleanUnseenSQL = append(slices.Clone(cleanSQL), "deallocate all")

// cleaning returns the commands that clean the session now, and forgets what they take from us.
func (c *conn) cleaning() []string {
	if c.unseen {
		c.forget()
		c.pgxForgot = true
		return cleanUnseenSQL
	}
	c.closing = append(c.closing, c.prepared...)
	c.prepared = nil
	c.epoch++
	return cleanSQL
}

// maxClosing is how many dropped statements are closed with one other statement.
const maxClosing = 64

// message is the user's text as it goes on the wire.
type message struct {
	sql     string // unnamed where sd has no name
	sd      *pgconn.StatementDescription
	values  [][]byte
	oids    []uint32
	formats []int16
	results []int16
	types   []uint32 // of the parameters, for a Parse of sd
	reparse bool     // the session may have a statement of sd's name
	guards  *guards  // of the names in the text; nil without any
}

// A flight is one write of steps, and the reading of what comes back. Exactly one of batch and pipeline carries it: a
// batch costs less, and cannot hold Parse, Close or two Syncs.
type flight struct {
	conn     *conn
	who      *principal
	steps    []step
	at       int
	batch    *pgconn.MultiResultReader
	pipeline *pgconn.Pipeline

	shape   *shape            // of stepSettings
	set     *settingStatement // its named statement, nil where it is sent unnamed
	clean   []string          // commands of stepClean
	closing int               // statements of stepCloseStatements
	epoch   int               // of the connection, at the write
	reshape bool              // stepSettingsParse stands behind a Close of its name
	reparse bool              // and so does stepParse

	rows   *pgconn.ResultReader // of stepText
	parsed *pgconn.StatementDescription
	tag    pgconn.CommandTag

	failedAt step
	err      error
	done     bool
}

// launch writes steps. who may be nil where no step is stepSettings, msg where none is stepText or stepParse.
func (c *conn) launch(ctx context.Context, who *principal, steps []step, msg *message) *flight {
	f := &flight{conn: c, who: who, steps: steps, reparse: msg != nil && msg.reparse}
	if c.pg.IsBusy() { // rows are open: as on pgx's stdlib
		f.err, f.done = errBusy, true
		return f
	}
	var values [][]byte
	if slices.Contains(steps, stepClean) {
		f.clean = c.cleaning()
	}
	if slices.Contains(steps, stepSettings) {
		f.shape, values = c.settings(who)
		if msg != nil && msg.guards != nil {
			f.shape, values = c.connector.principals.guarded(f.shape, values, msg.guards)
		}
		if c.named {
			f.set = c.setting(f.shape)
			if f.set.epoch != c.epoch {
				f.reshape = c.epoch > 0
				f.steps = slices.Insert(slices.Clone(f.steps), slices.Index(f.steps, stepSettings), stepSettingsParse)
			}
		}
	}
	f.epoch = c.epoch
	if len(c.closing) > 0 {
		f.closing = min(len(c.closing), maxClosing)
		if f.has(stepClean) {
			f.closing = len(c.closing)
		}
		f.steps = slices.Insert(slices.Clone(f.steps), 0, stepCloseStatements)
	}
	if f.closing > 0 || slices.Contains(f.steps, stepParse) || slices.Contains(f.steps, stepSettingsParse) ||
		slices.Index(f.steps, stepSync) != len(f.steps)-1 {
		f.sendPipeline(ctx, values, msg)
	} else {
		f.sendBatch(ctx, values, msg)
	}
	return f
}

func (f *flight) sendBatch(ctx context.Context, values [][]byte, msg *message) {
	var batch pgconn.Batch
	steps := f.steps
	if steps[0] == stepSettings && f.set != nil {
		batch, steps = f.conn.sent.of(f.set.sd, values), steps[1:]
	}
	for _, s := range steps {
		switch s {
		case stepClean:
			for _, sql := range f.clean {
				batch.ExecParams(sql, nil, nil, nil, nil)
			}
		case stepSettings:
			if f.set != nil {
				batch.ExecStatement(f.set.sd, values, nil, nil)
			} else {
				batch.ExecParams(f.shape.sql, values, f.shape.oids, nil, nil)
			}
		case stepText:
			if msg.sd != nil && msg.sd.Name != "" {
				batch.ExecStatement(msg.sd, msg.values, msg.formats, msg.results)
			} else {
				batch.ExecParams(msg.sql, msg.values, msg.oids, msg.formats, msg.results)
			}
		case stepAgain: // unnamed: the text may have taken the statement away
			shape, values := f.conn.settings(f.who)
			batch.ExecParams(shape.sql, values, shape.oids, nil, nil)
		case stepRestore:
			shape, values := f.conn.settings(f.conn.tx.who)
			batch.ExecParams(shape.sql, values, shape.oids, nil, nil)
		case stepSync:
		default:
			batch.ExecParams(stepSQL[s], nil, nil, nil, nil)
		}
	}
	f.batch = f.conn.pg.ExecBatch(ctx, &batch)
	// Closed at once and not by the context: the write failed, so the Sync did not arrive and nothing can have been kept.
	if f.conn.pg.IsClosed() && ctx.Err() == nil {
		f.unsent()
	}
}

// settingsBatch is the beginning of a batch, the settings that went out last as they go on the wire. What is put behind
// them may use the same spare room each time: a batch has been written, and read, before the connection begins the next.
type settingsBatch struct {
	values *[]byte
	batch  pgconn.Batch
}

func (sb *settingsBatch) of(sd *pgconn.StatementDescription, values [][]byte) pgconn.Batch {
	if sb.values != &values[0] {
		sb.values, sb.batch = &values[0], pgconn.Batch{}
		sb.batch.ExecStatement(sd, values, nil, nil)
	}
	return sb.batch
}

func (f *flight) sendPipeline(ctx context.Context, values [][]byte, msg *message) {
	c := f.conn
	p := c.pg.StartPipeline(ctx)
	f.pipeline = p
	for _, s := range f.steps {
		switch s {
		case stepCloseStatements:
			for _, name := range c.closing[:f.closing] {
				p.SendDeallocate(name)
			}
		case stepClean:
			for _, sql := range f.clean {
				p.SendQueryParams(sql, nil, nil, nil, nil)
			}
		case stepSettingsParse:
			if f.reshape {
				p.SendDeallocate(f.set.sd.Name)
			}
			p.SendPrepare(f.set.sd.Name, f.shape.sql, f.shape.oids)
		case stepSettings:
			if f.set != nil {
				p.SendQueryStatement(f.set.sd, values, nil, nil)
			} else {
				p.SendQueryParams(f.shape.sql, values, f.shape.oids, nil, nil)
			}
		case stepParse:
			if f.reparse {
				p.SendDeallocate(msg.sd.Name)
			}
			p.SendPrepare(msg.sd.Name, msg.sd.SQL, msg.types)
		case stepText:
			if msg.sd != nil && msg.sd.Name != "" {
				p.SendQueryStatement(msg.sd, msg.values, msg.formats, msg.results)
			} else {
				p.SendQueryParams(msg.sql, msg.values, msg.oids, msg.formats, msg.results)
			}
		case stepAgain:
			shape, values := c.settings(f.who)
			p.SendQueryParams(shape.sql, values, shape.oids, nil, nil)
		case stepRestore:
			shape, values := c.settings(c.tx.who)
			p.SendQueryParams(shape.sql, values, shape.oids, nil, nil)
		case stepSync:
			p.SendPipelineSync()
		default:
			p.SendQueryParams(stepSQL[s], nil, nil, nil, nil)
		}
	}
	if err := p.Flush(); err != nil {
		f.fail(stepSync, err)
		f.done = true
	}
}

func (f *flight) has(s step) bool { return slices.Contains(f.steps, s) }

// results is how many results a step has.
func (f *flight) results(s step) int {
	switch s {
	case stepClean:
		return len(f.clean)
	case stepCloseStatements:
		return f.closing
	case stepSettingsParse:
		if f.reshape {
			return 2
		}
	case stepParse:
		if f.reparse {
			return 2
		}
	}
	return 1
}

// unsent marks a flight that did not leave.
func (f *flight) unsent() {
	f.err = errUnsent
	f.done = true
	_ = f.batch.Close()
}

// busyError is pgx's error for a connection whose rows are open.
type busyError struct{}

func (busyError) Error() string     { return "conn busy" }
func (busyError) SafeToRetry() bool { return true }

var errBusy = busyError{}

var errUnsent = errors.New("pganon: connection lost before the statement was sent")

func (f *flight) fail(at step, err error) {
	if f.err == nil {
		f.failedAt, f.err = at, err
	}
}

// untilText reads the results of all steps before stepText, and of all steps where there is none.
func (f *flight) untilText() error {
	for !f.done && f.at < len(f.steps) && f.rows == nil {
		f.next()
	}
	if f.rows == nil && !f.done {
		f.end()
	}
	if f.done || f.err != nil {
		f.end()
		return f.err
	}
	return nil
}

// next reads the result of one step.
func (f *flight) next() {
	s := f.steps[f.at]
	f.at++
	if f.pipeline != nil {
		f.nextPipeline(s)
		return
	}
	if s == stepSync {
		if err := f.batch.Close(); err != nil {
			f.fail(s, err)
		}
		f.done = true
		return
	}
	for range f.results(s) {
		if !f.batch.NextResult() {
			err := f.batch.Close()
			if err == nil {
				err = errProtocol
				f.conn.broken = true
			}
			f.fail(s, err)
			f.done = true
			return
		}
		rr := f.batch.ResultReader()
		if s == stepText {
			f.rows = rr
			return
		}
		if _, err := rr.Close(); err != nil {
			_ = f.batch.Close()
			f.fail(s, err)
			f.done = true
			return
		}
	}
}

var errProtocol = errors.New("pganon: the server answered fewer steps than were sent")

func (f *flight) nextPipeline(s step) {
	for range f.results(s) {
		result, err := f.pipeline.GetResults()
		if err != nil {
			f.pipelineError(s, err)
			return
		}
		switch result := result.(type) {
		case *pgconn.StatementDescription:
			switch s {
			case stepParse:
				f.parsed = result
			case stepSettingsParse:
				f.set.epoch = f.epoch
			}
		case *pgconn.ResultReader:
			if s == stepText {
				f.rows = result
				return
			}
			if _, err := result.Close(); err != nil {
				f.pipelineError(s, err)
				return
			}
		case *pgconn.CloseComplete, *pgconn.PipelineSync:
		default:
			f.conn.broken = true
			f.pipelineError(s, errProtocol)
			return
		}
	}
	if s == stepCloseStatements {
		f.conn.closing = f.conn.closing[f.closing:]
	}
}

// pipelineError notes the error and goes to the Sync that ends what it took along.
func (f *flight) pipelineError(s step, err error) {
	f.fail(s, err)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		f.done = true
		_ = f.pipeline.Close()
		return
	}
	if s == stepSync {
		f.at-- // an error at Sync leaves the Sync to be read
		return
	}
	for f.at < len(f.steps) && f.steps[f.at] != stepSync {
		f.at++
	}
}

// end reads what is left: nothing has succeeded before its Sync.
func (f *flight) end() {
	if f.rows != nil {
		tag, err := f.rows.Close()
		f.rows = nil
		switch {
		case err == nil:
			f.tag = tag
		case f.pipeline != nil:
			f.pipelineError(stepText, err)
		default:
			_ = f.batch.Close()
			f.fail(stepText, err)
			f.done = true
		}
	}
	for !f.done && f.at < len(f.steps) {
		f.next()
	}
	if f.pipeline != nil && !f.done {
		if err := f.pipeline.Close(); err != nil {
			f.fail(stepSync, err)
		}
	}
	if !f.done {
		f.done = true
	}
}
