package tagged_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
)

func connect(t testing.TB, dsn string) *pgconn.PgConn {
	t.Helper()
	pg, err := pgconn.Connect(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { pg.Close(context.Background()) })
	return pg
}

func newRing(t testing.TB, keys int) *fernet.Keyring {
	t.Helper()
	all := make([]fernet.Key, keys)
	for i := range all {
		all[i] = fernet.GenerateKey()
	}
	ring, err := fernet.NewKeyring(all...)
	require.NoError(t, err)
	return ring
}

func mustTag(t testing.TB, text string) hooks.Tag {
	t.Helper()
	tag, err := hooks.ParseTag(text)
	require.NoError(t, err)
	return tag
}

func domainSQL(t testing.TB, d hooks.Domain) string {
	t.Helper()
	sql, err := hooks.DomainSQL(d)
	require.NoError(t, err)
	return sql
}
