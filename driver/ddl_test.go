package driver_test

import (
	"fmt"
	"testing"

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
