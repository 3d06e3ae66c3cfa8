//go:build go1.27

package driver_test

import (
	"context"
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
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
}
