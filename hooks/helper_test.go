package hooks_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func connect(t testing.TB, dsn string) *pgconn.PgConn {
	t.Helper()
	pg, err := pgconn.Connect(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { pg.Close(context.Background()) })
	return pg
}
