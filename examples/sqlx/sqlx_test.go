package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/pganontest"
)

var update = flag.Bool("update", false, "write testdata/output.txt")

// What an error says beyond its SQLSTATE is PostgreSQL's and the driver's.
var sqlState = regexp.MustCompile(`(?m)^        .*(\(SQLSTATE \w+\))$`)

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	got := sqlState.ReplaceAllString(out.String(), "        … $1")
	const golden = "testdata/output.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// open returns a store on a database of t's own, and contexts of a seller of each shop and of an analyst. The roles have names
// of their own, too.
func open(t *testing.T) (store *Store, north, south, analyst context.Context) {
	t.Helper()
	db := pganontest.New(t)
	app := db.Role("shop_app", "LOGIN", "NOINHERIT")
	names := []string{"shop_app", app}
	for _, name := range []string{"shop_seller", "shop_analyst", "shop_masks"} {
		names = append(names, name, db.Role(name))
	}
	here := strings.NewReplacer(names...)
	db.Exec(here.Replace(schema))
	store, err := NewStore(t.Context(), db.DSNAs(app)+here.Replace(identities))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store, pganon.WithIdentity(t.Context(), ada), pganon.WithIdentity(t.Context(), bob), pganon.WithIdentity(t.Context(), eve)
}

func code(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

func TestOpenKnowsHowParametersAreWritten(t *testing.T) {
	store, north, _, _ := open(t)
	assert.Equal(t, "pganon", store.db.DriverName())
	assert.Equal(t, sqlx.DOLLAR, sqlx.BindType(store.db.DriverName()))
	var name string
	rows, err := store.db.NamedQueryContext(north, `SELECT CAST(:name AS text)`, map[string]any{"name": "ann"})
	require.NoError(t, err)
	require.True(t, rows.Next())
	require.NoError(t, rows.Scan(&name))
	require.NoError(t, rows.Close())
	assert.Equal(t, "ann", name)

	// Why the program says so: a name that sqlx does not know.
	unknown := sqlx.NewDb(store.db.DB, "pganon-unknown-to-sqlx")
	_, err = unknown.NamedExecContext(north, `INSERT INTO customers (name, email) VALUES (:name, :email)`, Customer{Name: "n", Email: "e"})
	assert.Equal(t, "42601", code(err), "%v", err)
}

func TestStore(t *testing.T) {
	store, north, south, analyst := open(t)
	require.NoError(t, store.Add(north,
		Customer{Name: "Ann Berg", Email: "ann@example.com"}, Customer{Name: "Ben Castro", Email: "ben@example.org"}))
	require.NoError(t, store.Add(south, Customer{Name: "Cleo Dubois", Email: "cleo@example.com"}))

	customers, err := store.Customers(north)
	require.NoError(t, err)
	require.Len(t, customers, 2)
	ann := customers[0]
	assert.Equal(t, Customer{ID: ann.ID, Shop: "north", Name: "Ann Berg", Email: "ann@example.com"}, ann)

	got, err := store.Customer(north, ann.ID)
	require.NoError(t, err)
	assert.Equal(t, ann, got)
	_, err = store.Customer(south, ann.ID)
	assert.Equal(t, sql.ErrNoRows, err)
	got, err = store.Customer(analyst, ann.ID)
	require.NoError(t, err)
	assert.Equal(t, Customer{ID: ann.ID, Shop: "north", Name: "A***", Email: "***@example.com"}, got)

	for ctx, want := range map[context.Context]int{north: 1, south: 1, analyst: 0} {
		found, err := store.ByEmail(ctx, "ann@example.com", "cleo@example.com")
		require.NoError(t, err)
		assert.Len(t, found, want)
	}

	orders, err := store.Place(north, ann.ID, "19.90", "5.10")
	require.NoError(t, err)
	assert.Equal(t, []Order{{orders[0].ID, ann.ID, "19.90"}, {orders[1].ID, ann.ID, "5.10"}}, orders)
	_, err = store.Place(north, ann.ID, "1", "-1", "1")
	assert.Equal(t, "23514", code(err), "%v", err)
	spending, err := store.Spending(north, "north", 1)
	require.NoError(t, err)
	assert.Equal(t, []Spending{{"Ann Berg", 2, "25.00"}}, spending, "all or none")

	require.Error(t, store.Add(south, Customer{Name: "Ann again", Email: "ann@example.com"}))
	_, err = store.Place(south, ann.ID, "1") // the foreign key is checked without policies: it says that there is such a customer
	require.NoError(t, err)

	assert.Error(t, store.Add(analyst, Customer{Name: "Eve", Email: "eve@example.com"}))
	assert.Error(t, store.Add(pganon.Masked(north), Customer{Name: "Eve", Email: "eve@example.com"}))
	for _, err := range []error{
		store.Add(t.Context(), Customer{}),
		second(store.Customers(t.Context())),
		second(store.Place(t.Context(), ann.ID, "1")),
		second(store.Spending(t.Context(), "%", 0)),
	} {
		assert.ErrorIs(t, err, pganon.ErrNoIdentity)
	}
}

func second[T any](_ T, err error) error { return err }

// One statement, prepared once, is everybody's at once, and nobody sees another's rows.
func TestPreparedForEverybody(t *testing.T) {
	store, north, south, analyst := open(t)
	store.db.SetMaxOpenConns(2)
	require.NoError(t, store.Add(north, Customer{Name: "Ann Berg", Email: "ann@example.com"}))
	require.NoError(t, store.Add(south, Customer{Name: "Cleo Dubois", Email: "cleo@example.com"}))
	var all sync.WaitGroup
	for ctx, want := range map[context.Context][]Spending{
		north:                {{"Ann Berg", 0, "0"}},
		south:                {{"Cleo Dubois", 0, "0"}},
		analyst:              {{"A***", 0, "0"}, {"C***", 0, "0"}},
		pganon.Masked(south): {{"C***", 0, "0"}},
	} {
		all.Go(func() {
			for range 50 {
				got, err := store.Spending(ctx, "%", 0)
				if !assert.NoError(t, err) || !assert.Equal(t, want, got) {
					return
				}
			}
		})
	}
	all.Wait()
}
