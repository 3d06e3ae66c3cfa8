package driver_test

import (
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
