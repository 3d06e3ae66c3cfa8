package driver_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// Another program migrates while this one runs: a table gets another shape under a statement that is known already. Then a statement
// goes on as on plain pgx, which in the modes that prepare fails once.
func TestEncryptWhileOthersMigrate(t *testing.T) {
	w := newVaultWorld(t)
	const canary = "c4n4ry@example.org"
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			w.exec("drop table if exists app.people; create table app.people (id int, email app.d_mail, name text, ssn app.d_ssn); grant all on app.people to {staff}")
			db := w.open(mode, driver.Config{})
			_, err := db.ExecContext(w.as(w.staff), "INSERT INTO people (id, email, ssn) VALUES (1, $1, $2)", canary, canary)
			require.NoError(t, err)
			const query = "SELECT * FROM people WHERE email = $1"
			read := func() (string, error) { return w.lines(db.QueryContext(w.as(w.staff), query, canary)) }
			got, err := read()
			require.NoError(t, err)
			require.Equal(t, "1 "+canary+" NULL "+canary, got)
			for _, row := range []struct{ sql, want string }{
				{"alter table app.people add column age int", "1 " + canary + " NULL " + canary + " NULL"},
				{"alter table app.people drop column name", "1 " + canary + " " + canary + " NULL"},
				{"alter table app.people add column phone app.d_mail", "1 " + canary + " " + canary + " NULL NULL"},
				{"update app.people set phone = email", "1 " + canary + " " + canary + " NULL " + canary},
				{"alter table app.people rename column phone to mobile", "1 " + canary + " " + canary + " NULL " + canary},
				{"alter table app.people drop column ssn", "1 " + canary + " NULL " + canary},
			} {
				w.exec(row.sql)
				failed := 0
				for range 4 {
					got, err := read()
					if err != nil {
						failed++
						pganontest.AssertNoLeak(t, []string{canary}, err)
						continue
					}
					assert.Equal(t, row.want, got, row.sql)
				}
				assert.LessOrEqual(t, failed, 1, row.sql)
			}
		})
	}
	pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
}

// Another program makes columns encrypted that this one has never heard of: PostgreSQL says of a parameter that it is a value of a domain
// before a value is sent, in the modes that ask it, and the tags are read again.
func TestEncryptWhatOthersHaveTagged(t *testing.T) {
	w := newVaultWorld(t)
	const canary = "c4n4ry@example.org"
	n := 0
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec"} {
		for _, how := range []string{"", "prepared", "in a transaction"} {
			t.Run(mode+" "+how, func(t *testing.T) {
				n++
				w.exec(fmt.Sprintf("create table app.plain%d (v text); grant all on app.plain%[1]d to {staff}", n))
				db := w.open(mode, driver.Config{})
				_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name) VALUES ('x')") // reads the tags
				require.NoError(t, err)
				w.proxy.Reset()
				// A table with a label of its own; a table with a known label; a column that was plaintext.
				w.exec(domain(fmt.Sprintf("app.d_new%d", n), "text", fmt.Sprint("new", n), "", "gAAAAAAB") +
					fmt.Sprintf("create table app.new%d (v app.d_new%[1]d); create table app.more%[1]d (v app.d_mail); grant all on app.new%[1]d, app.more%[1]d to {staff};", n) +
					fmt.Sprintf("alter table app.plain%d alter column v type app.d_mail", n))
				for _, table := range []string{"new", "more", "plain"} {
					table = fmt.Sprint(table, n)
					got := run(w.as(w.staff), db, how, "INSERT INTO "+table+" (v) VALUES ($1)", []any{canary}, false)
					require.NoError(t, got.err, table)
					require.Regexp(t, "^gAAAAAA", w.raw("select v from app."+table))
					read, err := w.readAlone(db, "SELECT v FROM "+table)
					require.NoError(t, err)
					require.Equal(t, canary, read)
				}
				pganontest.AssertNoLeak(t, []string{canary}, w.proxy)
			})
		}
	}
}

// Many at once, over one pool, while tables and domains come and go.
func TestEncryptConcurrently(t *testing.T) {
	w := newVaultWorld(t)
	w.exec("alter role {staff} set search_path = app; alter role {masked} set search_path = app")
	for _, mode := range []string{"cache_statement", "exec"} {
		db := w.open(mode, driver.Config{})
		db.SetMaxOpenConns(6)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		var wait sync.WaitGroup
		var done atomic.Int64
		for worker := range 8 {
			wait.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					mail := fmt.Sprintf("%s-%d-%d@example.org", mode, worker, n)
					_, err := db.ExecContext(w.as(w.staff), "INSERT INTO users (name, email, ssn, balance) VALUES ('n', $1, $2, $3)", mail, mail, n)
					if !assert.NoError(t, err) {
						return
					}
					for _, role := range []string{w.masked, w.staff} {
						want := []any{nil, nil, "0"}
						query, args := "SELECT email, ssn, balance FROM users WHERE id = (SELECT max(id) FROM users)", []any(nil)
						if role == w.staff {
							want = []any{mail, mail, fmt.Sprint(n)}
							query, args = "SELECT email, ssn, balance FROM users WHERE email = $1", []any{mail}
						}
						got := make([]any, 3)
						err := db.QueryRowContext(w.as(role), query, args...).Scan(&got[0], &got[1], &got[2])
						if !assert.NoError(t, err) || !assert.Equal(t, want, got) {
							return
						}
					}
					done.Add(1)
				}
			})
		}
		for n := 0; ctx.Err() == nil; n++ {
			w.exec(fmt.Sprintf("alter table app.logs add column c%d text; create table app.t%[1]d (v app.d_mail)", n))
			w.exec(domain("app.d_other", "text", fmt.Sprint("other", n), "", "gAAAAAAB") + "drop domain app.d_other")
			w.exec(fmt.Sprintf("alter table app.logs drop column c%d; drop table app.t%[1]d", n))
			time.Sleep(20 * time.Millisecond)
		}
		wait.Wait()
		cancel()
		require.Greater(t, done.Load(), int64(10))
	}
}
