package guc_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/pganontest"
)

func connect(t *testing.T, db *pganontest.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.DSN())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// randomName is a name of a few parts, most of their bytes allowed ones.
func randomName(r *rand.Rand) string {
	const likely, unlikely = "aZ_09$.é", "-'\" \t\n;,=(:/\\@[`{\u00a0\u2024\U0001F3AD"
	var b strings.Builder
	for range 1 + r.IntN(12) {
		from := []rune(likely)
		if r.IntN(25) == 0 {
			from = []rune(unlikely)
		}
		b.WriteRune(from[r.IntN(len(from))])
	}
	return b.String()
}

// The server is the judge of ValidName: what we take it takes, under the name that we compare by, and what it takes we take.
func TestValidNameAsTheServer(t *testing.T) {
	db := pganontest.New(t)
	// A name that is taken is read again through its folded form.
	db.Exec(`CREATE FUNCTION takes(name text, folded text) RETURNS bool LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM set_config(name, 'x', true);
			RETURN current_setting(folded, true) IS NOT DISTINCT FROM 'x';
		EXCEPTION WHEN invalid_name OR undefined_object THEN RETURN false;
		END $$`)
	conn := connect(t, db)
	var version int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&version))

	names := []string{"a.b", "A.B", "a..b", ".a", "a.", "a.b.c.d", "a.1", "1.a", "a.$", "$.a", "a$1.b$1", "é.É", "a b.c", `"a".b`, "a.b ",
		"ROLE.x", "none.none", "a." + strings.Repeat("b", guc.MaxName-2)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		names = append(names, randomName(r))
	}
	var ours, theirs, folded []string
	for _, name := range names {
		require.True(t, utf8.ValidString(name) && len(name) <= guc.MaxName)
		folded = append(folded, guc.Fold(name))
		if guc.ValidName(name) == nil {
			ours = append(ours, name)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT name FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n(name, folded, i)
		WHERE name LIKE '%.%' AND takes(name, folded) ORDER BY i`, names, folded)
	require.NoError(t, err)
	theirs, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(ours), 200)
	require.Less(t, len(ours), len(names)-200)
	if version < 140000 { // any name with a dot
		assert.Subset(t, theirs, ours)
		return
	}
	assert.Equal(t, theirs, ours)
}

// Every setting that this server has is known to Resolve as PostgreSQL's own, hidden ones included.
func TestBuiltinAsTheServer(t *testing.T) {
	conn := connect(t, pganontest.New(t))
	rows, err := conn.Query(t.Context(), `SELECT name FROM pg_settings WHERE name NOT LIKE '%.%'`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(names), 300)
	rules, err := guc.NewRules("rls", "", nil)
	require.NoError(t, err)
	for _, name := range append(names, "role", "session_authorization", "is_superuser", "seed", "sort_mem") {
		var value *string
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting($1, true)", name).Scan(&value))
		assert.NotNil(t, value, "%s is no setting", name)
		_, err := rules.Resolve(map[string]string{name: "x"}, nil)
		assert.Error(t, err, name)
	}
	got, err := rules.Resolve(map[string]string{"region": "x"}, nil)
	require.NoError(t, err)
	assert.Len(t, got, 1)
}

// A role that ValidRole takes is the one that runs. What it refuses runs as another, or as nobody.
func TestValidRoleAsTheServer(t *testing.T) {
	db := pganontest.New(t)
	conn := connect(t, db)
	var login string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT session_user").Scan(&login))
	unique := db.Role("guc") // the server's, made unique by the package; the others are made from its name
	long := unique + strings.Repeat("x", 63-len(unique))
	quoted := unique + ` "É`
	for _, role := range []string{long, quoted} {
		db.Exec("CREATE ROLE " + pgx.Identifier{role}.Sanitize())
		db.Exec("GRANT " + pgx.Identifier{role}.Sanitize() + " TO CURRENT_USER")
		t.Cleanup(func() { db.Exec("DROP ROLE " + pgx.Identifier{role}.Sanitize()) })
	}
	as := func(role string) (string, error) {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.Background()) }()
		if _, err := tx.Exec(t.Context(), "SELECT set_config('role', $1, true)", role); err != nil {
			return "", err
		}
		var user string
		err = tx.QueryRow(t.Context(), "SELECT current_user").Scan(&user)
		return user, err
	}
	for _, role := range []string{unique, long, quoted} {
		require.NoError(t, guc.ValidRole(role))
		user, err := as(role)
		require.NoError(t, err)
		assert.Equal(t, role, user)
	}
	for role, want := range map[string]string{"none": login, long + "y": long} {
		require.Error(t, guc.ValidRole(role))
		user, err := as(role)
		require.NoError(t, err)
		assert.Equal(t, want, user)
	}
	_, err := as("")
	assert.Error(t, err)
}
