package driver_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

// TestModes walks one identity after the other through every mode: the first thing to look at when something is wrong.
func TestModes(t *testing.T) {
	db := pganontest.New(t)
	tenant := db.Role("tenant")
	db.Exec(`create table notes(id bigint generated always as identity primary key, tenant text, body text);
alter table notes enable row level security;
create policy p on notes using (tenant = nullif(current_setting('rls.tenant_id', true), ''));
insert into notes(tenant, body) values ('a','one'),('a','two'),('b','three');
grant all on notes to ` + tenant)
	for _, mode := range identityModes {
		t.Run(mode, func(t *testing.T) {
			h, err := driver.Open(db.DSN()+"&default_query_exec_mode="+mode, driver.Config{})
			require.NoError(t, err)
			defer h.Close()
			h.SetMaxOpenConns(1)
			as := func(tn string) context.Context {
				return pganon.WithIdentity(context.Background(), pganon.Identity{Tenant: tn, Role: tenant})
			}
			_, err = h.Exec("select 1")
			require.ErrorIs(t, err, pganon.ErrNoIdentity)
			for range 4 {
				for tn, want := range map[string]int{"a": 2, "b": 1} {
					var n int
					var user string
					require.NoError(t, h.QueryRowContext(as(tn), "select count(*), current_user from notes where id > $1 group by 2", 0).Scan(&n, &user))
					require.Equal(t, want, n)
					require.Equal(t, tenant, user)
				}
			}
			tx, err := h.BeginTx(as("a"), nil)
			require.NoError(t, err)
			_, err = tx.Exec("insert into notes(tenant, body) values ('a', $1)", "x")
			require.NoError(t, err)
			_, err = tx.Exec("reset role")
			require.NoError(t, err)
			var user string
			require.NoError(t, tx.QueryRow("select current_user").Scan(&user))
			require.Equal(t, tenant, user)
			require.NoError(t, tx.Rollback())
			_, err = h.ExecContext(as("a"), "do $$ begin commit; end $$")
			require.ErrorContains(t, err, "2D000")
			_, err = h.ExecContext(as("a"), "reset role; select 1; insert into notes(tenant) values ('b')")
			require.ErrorContains(t, err, "row-level security")
			_, err = h.ExecContext(pganon.WithIdentity(context.Background(), pganon.Identity{Role: "nobody_x"}), "select 1")
			require.ErrorContains(t, err, `set role "nobody_x": role unknown`)
		})
	}
}
