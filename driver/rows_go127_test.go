//go:build go1.27

package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/ngrok/sqlmw"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/internal/failing"
	"github.com/pganon/pganon/pganontest"
)

// TestScanColumn compares what only Go 1.27's scanning of each column gives with plain pgx.
func TestScanColumn(t *testing.T) {
	db := pganontest.New(t)
	role := db.Role("reader")
	plain, err := sql.Open("pgx", db.DSN())
	require.NoError(t, err)
	defer plain.Close()
	ours, err := driver.Open(db.DSN(), driver.Config{})
	require.NoError(t, err)
	defer ours.Close()
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{Role: role})
	type row struct {
		ints  []int32
		texts []string
		none  []string
		name  *string
		n     int
		any   any
		raw   []byte
		null  sql.NullInt64
	}
	const query = "select array[1,2,3], array['a','b'], null::text[], 'x'::text, 7, 1.5::float8, '\\x00ff'::bytea, null::int8"
	scan := func(h *sql.DB, ctx context.Context) (r row) {
		require.NoError(t, h.QueryRowContext(ctx, query).Scan(&r.ints, &r.texts, &r.none, &r.name, &r.n, &r.any, &r.raw, &r.null))
		return r
	}
	want := scan(plain, context.Background())
	require.Equal(t, []int32{1, 2, 3}, want.ints)
	for range 2 {
		assert.Equal(t, want, scan(ours, ctx))
	}
	var wrong []int32
	plainErr := plain.QueryRow("select 'x'::text").Scan(&wrong)
	oursErr := ours.QueryRowContext(ctx, "select 'x'::text").Scan(&wrong)
	require.Error(t, plainErr)
	assert.Equal(t, plainErr.Error(), oursErr.Error())

	// With interceptors arrays come as text, as before Go 1.27.
	over, err := driver.Open(db.DSN(), driver.Config{Interceptors: []sqlmw.Interceptor{sqlmw.NullInterceptor{}}})
	require.NoError(t, err)
	defer over.Close()
	require.Error(t, over.QueryRowContext(ctx, "select array[1,2,3]").Scan(new([]int32)))
	var text string
	require.NoError(t, over.QueryRowContext(ctx, "select array[1,2,3]").Scan(&text))
	assert.Equal(t, "{1,2,3}", text)
}

// Where rows scan each column by themselves, what database/sql would quote the value in does not leave either, and a
// Scanner's panic becomes an error.
func TestScanColumnShowsNoValue(t *testing.T) {
	db := pganontest.New(t)
	role := db.Role("reader")
	h, err := driver.Open(db.DSN(), driver.Config{})
	require.NoError(t, err)
	defer h.Close()
	h.SetMaxOpenConns(1)
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{Role: role})
	for name, dest := range map[string]any{
		"number": new(int), "bool": new(bool), "time": new(time.Time), "array": new([]int32), "null number": new(sql.NullInt64),
		"scanner": &failingScanner{func(src any) error { return fmt.Errorf("bad %v", src) }},
		"panic":   &failingScanner{func(src any) error { panic(src) }},
	} {
		t.Run(name, func(t *testing.T) {
			err := h.QueryRowContext(ctx, "select $1::text", failing.AllOfThem).Scan(dest)
			require.Error(t, err)
			assertClean(t, err, failing.AllOfThem)
			assert.ErrorContains(t, err, `sql: Scan error on column index 0, name "text": `)
			require.NoError(t, h.QueryRowContext(ctx, "select 1").Scan(new(int)))
		})
	}
}
