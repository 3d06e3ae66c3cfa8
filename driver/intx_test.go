package driver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

func TestInTx(t *testing.T) {
	db := pganontest.New(t)
	tenant, masked := db.Role("tenant"), db.Role("masked")
	db.Exec(fmt.Sprintf(`create table t (id int primary key, body text); grant all on t to %[1]s, %[2]s; comment on role %[2]s is 'pganon:"masked"'`, tenant, masked))
	as := func(role string) context.Context {
		return pganon.WithIdentity(context.Background(), pganon.Identity{User: "u-" + role, Role: role})
	}
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			h, err := driver.Open(db.DSN()+"&default_query_exec_mode="+mode, driver.Config{})
			require.NoError(t, err)
			defer h.Close()
			conn, err := h.Conn(context.Background())
			require.NoError(t, err)
			defer func() { conn.Close() }()
			db.Exec("truncate t")
			ctx, bg := as(tenant), context.Background()
			me := tenant + " u-" + tenant
			whoAmI := func(tx pgx.Tx, ctx context.Context) (who string) {
				require.NoError(t, tx.QueryRow(ctx, "select current_user::text || ' ' || current_setting('rls.user_id')").Scan(&who))
				return who
			}

			t.Run("copy, batch, rows", func(t *testing.T) {
				err := driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					assert.Equal(t, me, whoAmI(tx, bg), "a context that says nothing")
					n, err := tx.CopyFrom(bg, pgx.Identifier{"t"}, []string{"id", "body"}, pgx.CopyFromRows([][]any{{1, "one"}, {2, "two"}}))
					require.NoError(t, err)
					assert.EqualValues(t, 2, n)
					b := &pgx.Batch{}
					b.Queue("insert into t values ($1, $2)", 3, "three")
					b.Queue("reset role")
					var who string
					b.Queue("select current_user::text").QueryRow(func(row pgx.Row) error { return row.Scan(&who) })
					var ids []int
					b.Queue("select id from t where id > $1 order by id", 1).Query(func(rows pgx.Rows) error {
						var err error
						ids, err = pgx.CollectRows(rows, pgx.RowTo[int])
						return err
					})
					require.NoError(t, tx.SendBatch(bg, b).Close())
					assert.Equal(t, tenant, who)
					assert.Equal(t, []int{2, 3}, ids)

					rows, err := tx.Query(bg, "select id, body from t order by id")
					require.NoError(t, err)
					type row struct {
						ID   int
						Body string
					}
					all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
					require.NoError(t, err)
					assert.Equal(t, []row{{1, "one"}, {2, "two"}, {3, "three"}}, all)
					rows, err = tx.Query(bg, "select 7::int8, null, 'x'::text")
					require.NoError(t, err)
					require.True(t, rows.Next())
					values, err := rows.Values()
					require.NoError(t, err)
					assert.Equal(t, []any{int64(7), nil, "x"}, values)
					rows.Close()
					require.ErrorIs(t, tx.QueryRow(bg, "select id from t where id = 99").Scan(new(int)), pgx.ErrNoRows)
					return nil
				})
				require.NoError(t, err)
			})

			t.Run("nothing shakes the identity off", func(t *testing.T) {
				for _, shake := range []string{
					"reset role", "set role none", "reset all", "set session authorization default", "select set_config('role', 'none', true)",
					"select set_config('role', 'none', false)", "savepoint s; reset role; rollback to s", "do $$ begin perform set_config('role','none',true); end $$",
				} {
					err := driver.InTx(ctx, conn, func(tx pgx.Tx) error {
						_, err := tx.Exec(bg, shake)
						require.NoError(t, err, shake)
						// CopyFrom and large objects do not pass through the driver: they find the role in force.
						lo := tx.LargeObjects()
						oid, err := lo.Create(bg, 0)
						require.NoError(t, err, shake)
						var owner string
						require.NoError(t, tx.QueryRow(bg, "select pg_get_userbyid(lomowner)::text from pg_largeobject_metadata where oid = $1", oid).Scan(&owner))
						assert.Equal(t, tenant, owner, shake)
						require.NoError(t, lo.Unlink(bg, oid))
						assert.Equal(t, me, whoAmI(tx, bg), shake)
						return nil
					})
					require.NoError(t, err, shake)
				}
			})

			t.Run("a batch cannot exchange statements", func(t *testing.T) {
				err := driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					for range 2 {
						b := &pgx.Batch{}
						b.Queue(`do $o$ declare s record; begin
							for s in select name, statement from pg_prepared_statements where name like 'pganon%' loop
								execute 'deallocate ' || quote_ident(s.name);
							end loop; end $o$`)
						var who string
						b.Queue("select current_user::text || ' ' || current_setting('rls.user_id')").QueryRow(func(row pgx.Row) error { return row.Scan(&who) })
						require.NoError(t, tx.SendBatch(bg, b).Close())
						assert.Equal(t, me, who)
						assert.Equal(t, me, whoAmI(tx, bg))
					}
					return nil
				})
				require.NoError(t, err)
			})

			t.Run("it begins and ends the transaction", func(t *testing.T) {
				for _, text := range []string{"commit", "rollback", "begin", "end", "abort", "commit and chain", "prepare transaction 'x'", "select 1; commit"} {
					err := driver.InTx(ctx, conn, func(tx pgx.Tx) error {
						_, err := tx.Exec(bg, text)
						return err
					})
					assert.ErrorContains(t, err, "InTx begins and ends", text)
				}
				assert.Error(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(bg, "do $$ begin commit; end $$")
					return err
				}))
			})

			t.Run("errors and nesting", func(t *testing.T) {
				boom := errors.New("boom")
				err := driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(bg, "insert into t values (10, 'x')")
					require.NoError(t, err)
					return boom
				})
				require.ErrorIs(t, err, boom)
				require.Panics(t, func() {
					_ = driver.InTx(ctx, conn, func(tx pgx.Tx) error { panic("in fn") })
				})
				conn, err = h.Conn(context.Background()) // database/sql discards a connection whose Raw has panicked
				require.NoError(t, err)
				err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					nested, err := tx.Begin(bg)
					require.NoError(t, err)
					_, err = nested.Exec(bg, "insert into t values (1, 'duplicate')")
					var pgErr *pgconn.PgError
					require.ErrorAs(t, err, &pgErr)
					require.NoError(t, nested.Rollback(bg))
					require.ErrorIs(t, nested.Rollback(bg), pgx.ErrTxClosed)
					assert.Equal(t, me, whoAmI(tx, bg))
					nested, err = tx.Begin(bg)
					require.NoError(t, err)
					_, err = nested.Exec(bg, "insert into t values (11, 'kept')")
					require.NoError(t, err)
					return nested.Commit(bg)
				})
				require.NoError(t, err)
				var n int
				require.NoError(t, conn.QueryRowContext(ctx, "select count(*) from t where id in (10, 11)").Scan(&n))
				assert.Equal(t, 1, n)
				err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					b := &pgx.Batch{}
					b.Queue("select 1")
					b.Queue("select 1/0")
					b.Queue("select 2")
					return tx.SendBatch(bg, b).Close()
				})
				assert.ErrorContains(t, err, "division by zero")
				require.NoError(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error { return nil }))
			})

			t.Run("masked", func(t *testing.T) {
				err := driver.InTx(as(masked), conn, func(tx pgx.Tx) error {
					_, err := tx.CopyFrom(bg, pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows([][]any{{50}}))
					return err
				})
				assert.ErrorContains(t, err, "25006")
				err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.CopyFrom(as(masked), pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows([][]any{{50}}))
					return err
				})
				assert.ErrorContains(t, err, "masked")
			})

			t.Run("refused", func(t *testing.T) {
				require.ErrorIs(t, driver.InTx(bg, conn, func(pgx.Tx) error { return nil }), pganon.ErrNoIdentity)
				require.NoError(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					assert.Nil(t, tx.Conn())
					_, err := tx.Prepare(bg, "p", "select 1")
					assert.Error(t, err)
					return nil
				}))
				sqlTx, err := conn.BeginTx(ctx, nil)
				require.NoError(t, err)
				assert.ErrorContains(t, driver.InTx(ctx, conn, func(pgx.Tx) error { return nil }), "in one already")
				require.NoError(t, sqlTx.Rollback())
				var late pgx.Tx
				require.NoError(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error { late = tx; return nil }))
				_, err = late.Exec(ctx, "select 1")
				require.ErrorIs(t, err, pgx.ErrTxClosed)
				_, err = late.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows(nil))
				require.ErrorIs(t, err, pgx.ErrTxClosed)
			})

			t.Run("a hundred queries in one round trip", func(t *testing.T) {
				if mode == "simple_protocol" || mode == "describe_exec" {
					t.Skip("these modes do not batch, or describe each time")
				}
				proxy := db.Proxy()
				h, err := driver.Open(proxy.DSN()+"&default_query_exec_mode="+mode, driver.Config{})
				require.NoError(t, err)
				defer h.Close()
				conn, err := h.Conn(context.Background())
				require.NoError(t, err)
				defer conn.Close()
				for range 2 {
					err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
						b := &pgx.Batch{}
						for i := range 100 {
							b.Queue("select $1::int", i)
						}
						proxy.Reset()
						return tx.SendBatch(bg, b).Close()
					})
					require.NoError(t, err)
				}
				assert.LessOrEqual(t, proxy.RoundTrips(), 2) // the batch, and commit
			})
		})
	}
}

// What a batch does to names, tables and cursors counts for the queries behind it.
func TestInTxBatchEncrypts(t *testing.T) {
	const canary = "c4n4ry-in-a-batch"
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w := newVaultWorld(t)
			w.exec(`comment on column app.logs.msg is 'pganon:"encrypt"';
create table crm.logs (id bigint generated always as identity, msg text); grant all on crm.logs to {staff};
create table app.made (note text); alter table app.made owner to {staff}; grant create on schema app to {staff}`)
			ctx, simple := w.as(w.staff), mode == "simple_protocol" // which sends them one by one
			conn, err := w.open(mode, driver.Config{}).Conn(ctx)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.ExecContext(ctx, "INSERT INTO users (email) VALUES ($1)", canary)
			require.NoError(t, err)
			inTx := func(before string, queue func(*pgx.Batch)) error {
				return driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(ctx, before)
					require.NoError(t, err)
					b := &pgx.Batch{}
					queue(b)
					return tx.SendBatch(ctx, b).Close()
				})
			}

			// The second query would mean app.logs, by which its argument was not encrypted.
			err = inTx("SET LOCAL search_path = crm", func(b *pgx.Batch) {
				b.Queue("SET LOCAL search_path = app")
				b.Queue("INSERT INTO logs (msg) VALUES ($1)", canary)
			})
			if simple {
				require.NoError(t, err)
				require.Equal(t, "gAAAAAAB", w.raw("select left(msg, 8) from app.logs"))
			} else {
				require.ErrorContains(t, err, "a name in it means another table")
				require.Equal(t, "NULL", w.raw("select max(msg) from app.logs"))
			}

			w.proxy.Reset()
			err = inTx("select 1", func(b *pgx.Batch) {
				b.Queue("ALTER TABLE app.made ALTER note TYPE app.d_mail")
				b.Queue("INSERT INTO app.made VALUES ($1)", canary)
			})
			if simple {
				require.NoError(t, err)
				require.Equal(t, "gAAAAAAA", w.raw("select left(note, 8) from app.made"))
			} else {
				require.ErrorContains(t, err, "send it in a batch of its own")
			}

			// What a batch has made is known behind it.
			require.NoError(t, driver.InTx(ctx, conn, func(tx pgx.Tx) error {
				b := &pgx.Batch{}
				b.Queue("CREATE TABLE app.fresh (email app.d_mail)")
				require.NoError(t, tx.SendBatch(ctx, b).Close())
				_, err := tx.Exec(ctx, "INSERT INTO app.fresh VALUES ($1)", canary)
				return err
			}))
			require.Equal(t, "gAAAAAAA", w.raw("select left(email, 8) from app.fresh"))
			pganontest.AssertNoLeak(t, []string{canary}, w.proxy)

			// No token comes out of it, whatever does not say in its text that it reads one.
			for _, ctx := range []context.Context{ctx, w.as(w.masked)} {
				err = driver.InTx(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "DECLARE c CURSOR FOR SELECT email FROM users")
					require.NoError(t, err)
					b := &pgx.Batch{}
					b.Queue("FETCH 1 FROM c")
					br := tx.SendBatch(ctx, b)
					defer br.Close()
					return br.QueryRow().Scan(new(string))
				})
				require.ErrorContains(t, err, "it reads an encrypted column")
			}
		})
	}
}
