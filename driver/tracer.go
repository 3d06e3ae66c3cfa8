package driver

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// tracer calls the user's tracer without the values of arguments and with clean errors. A nil one is not called.
type tracer struct {
	user      pgx.QueryTracer
	connector *connector
}

var (
	_ pgx.QueryTracer    = tracer{}
	_ pgx.BatchTracer    = tracer{}
	_ pgx.CopyFromTracer = tracer{}
	_ pgx.PrepareTracer  = tracer{}
	_ pgx.ConnectTracer  = tracer{}
)

// quietKey marks the context of what pgx does on our behalf and the tracer has been told of already.
type quietKey struct{}

func quiet(ctx context.Context) context.Context { return context.WithValue(ctx, quietKey{}, true) }

func (t tracer) silent(ctx context.Context) bool {
	return t.user == nil || ctx.Value(quietKey{}) != nil
}

func (t tracer) start(ctx context.Context, conn *pgx.Conn, sql string) context.Context {
	if t.user == nil {
		return ctx
	}
	return t.user.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: sql})
}

func (t tracer) end(ctx context.Context, conn *pgx.Conn, cl *call, err error) {
	if t.user != nil {
		err = t.connector.clean(err, positioned(cl.mode, cl.sql, cl.args))
		t.user.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{CommandTag: cl.tag, Err: err})
	}
}

// tracedKey holds the text of the statement for its error.
type tracedKey struct{}

func (t tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if t.silent(ctx) {
		return ctx
	}
	text := positioned(t.connector.pgxConfig.DefaultQueryExecMode, data.SQL, data.Args)
	data.Args = nil
	return context.WithValue(t.user.TraceQueryStart(ctx, conn, data), tracedKey{}, text)
}

func (t tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if !t.silent(ctx) {
		text, _ := ctx.Value(tracedKey{}).(string)
		data.Err = t.connector.clean(data.Err, text)
		t.user.TraceQueryEnd(ctx, conn, data)
	}
}

func (t tracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	if bt, ok := t.user.(pgx.BatchTracer); ok && !t.silent(ctx) {
		// The batch holds the arguments of its queries.
		return bt.TraceBatchStart(ctx, conn, pgx.TraceBatchStartData{Batch: &pgx.Batch{}})
	}
	return ctx
}

func (t tracer) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if bt, ok := t.user.(pgx.BatchTracer); ok && !t.silent(ctx) {
		data.Args = nil
		data.Err = t.connector.clean(data.Err, "")
		bt.TraceBatchQuery(ctx, conn, data)
	}
}

func (t tracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if bt, ok := t.user.(pgx.BatchTracer); ok && !t.silent(ctx) {
		data.Err = t.connector.clean(data.Err, "")
		bt.TraceBatchEnd(ctx, conn, data)
	}
}

func (t tracer) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	if ct, ok := t.user.(pgx.CopyFromTracer); ok && !t.silent(ctx) {
		return ct.TraceCopyFromStart(ctx, conn, data)
	}
	return ctx
}

func (t tracer) TraceCopyFromEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromEndData) {
	if ct, ok := t.user.(pgx.CopyFromTracer); ok && !t.silent(ctx) {
		data.Err = t.connector.clean(data.Err, "")
		ct.TraceCopyFromEnd(ctx, conn, data)
	}
}

func (t tracer) TracePrepareStart(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareStartData) context.Context {
	if pt, ok := t.user.(pgx.PrepareTracer); ok && !t.silent(ctx) {
		return pt.TracePrepareStart(ctx, conn, data)
	}
	return ctx
}

func (t tracer) TracePrepareEnd(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareEndData) {
	if pt, ok := t.user.(pgx.PrepareTracer); ok && !t.silent(ctx) {
		data.Err = t.connector.clean(data.Err, "")
		pt.TracePrepareEnd(ctx, conn, data)
	}
}

func (t tracer) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	ct, ok := t.user.(pgx.ConnectTracer)
	if !ok {
		return ctx
	}
	cfg := data.ConnConfig
	bare := &pgx.ConnConfig{ // without the connection string, which has no other name
		Config: *cfg.Config.Copy(), Tracer: cfg.Tracer, StatementCacheCapacity: cfg.StatementCacheCapacity,
		DescriptionCacheCapacity: cfg.DescriptionCacheCapacity, DefaultQueryExecMode: cfg.DefaultQueryExecMode,
	}
	bare.Password = ""
	return ct.TraceConnectStart(ctx, pgx.TraceConnectStartData{ConnConfig: bare})
}

func (t tracer) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	if ct, ok := t.user.(pgx.ConnectTracer); ok {
		if data.Err != nil {
			data.Err = t.connector.connecting(data.Err)
		}
		ct.TraceConnectEnd(ctx, data)
	}
}
