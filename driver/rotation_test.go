package driver_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/hooks"
)

// rotationWriter, set to "1", makes the test binary a program that writes and reads while keys are exchanged.
const rotationWriter = "PGANON_TEST_ROTATION_WRITER"

func mailDomain(write fernet.KeyID, keys ...fernet.KeyID) hooks.Domain {
	return hooks.Domain{Schema: "app", Name: "d_mail", Keys: keys,
		Tag: hooks.Tag{Encrypt: true, Deterministic: true, Key: "mail", Write: write.String()}}
}

// TestRotation has two programs, whose rings have the same keys in different order, write, upsert and search one UNIQUE
// column, while hand-written SQL exchanges its key several times.
func TestRotation(t *testing.T) {
	if os.Getenv(rotationWriter) != "" {
		writeWhileRotating(t)
		return
	}
	w := newVaultWorld(t)
	k1, k2 := fernet.GenerateKey(), fernet.GenerateKey()
	ring, err := fernet.NewKeyring(k1, k2)
	require.NoError(t, err)
	made, err := hooks.DomainSQL(mailDomain(k1.ID(), k1.ID()))
	require.NoError(t, err)
	w.exec(`drop schema app cascade; create schema app; grant usage on schema app to {staff}; ` + made + `;
create table app.people (id bigint generated always as identity primary key, email app.d_mail unique not null, n int not null default 0);
create table app.sent (id bigint generated always as identity primary key, email app.d_mail references app.people (email) on update cascade deferrable initially deferred);
grant select, insert, update, delete on all tables in schema app to {staff}`)

	const seconds = 6
	var programs []*exec.Cmd
	var outs []*bufio.Scanner
	for i, keys := range []string{k1.Encode() + "," + k2.Encode(), k2.Encode() + "," + k1.Encode()} {
		program := exec.Command(os.Args[0], "-test.run=^TestRotation$", "-test.v")
		program.Env = append(os.Environ(), rotationWriter+"="+strconv.Itoa(i+1), "PGANON_KEYS="+keys,
			"ROTATION_DSN="+w.db.DSNAs(w.login), "ROTATION_ROLE="+w.staff, "ROTATION_SECONDS="+strconv.Itoa(seconds))
		out, err := program.StdoutPipe()
		require.NoError(t, err)
		program.Stderr = os.Stderr
		require.NoError(t, program.Start())
		t.Cleanup(func() { _ = program.Process.Kill() })
		programs, outs = append(programs, program), append(outs, bufio.NewScanner(out))
	}
	column, err := ring.Derive("mail")
	require.NoError(t, err)
	end := time.Now().Add((seconds + 1) * time.Second)
	rotations := 0
	for write := k2.ID(); time.Now().Before(end); rotations++ {
		time.Sleep(time.Second)
		rotate(t, w, column, write)
		if write == k2.ID() {
			write = k1.ID()
		} else {
			write = k2.ID()
		}
	}
	upserts := 0
	for i, out := range outs {
		for out.Scan() {
			if line, ok := strings.CutPrefix(out.Text(), "rotation: upserts "); ok {
				n, err := strconv.Atoi(line)
				require.NoError(t, err)
				upserts += n
			} else {
				t.Log(out.Text())
			}
		}
		require.NoError(t, programs[i].Wait())
	}
	require.Greater(t, upserts, 100)
	t.Logf("%d upserts, %d rotations", upserts, rotations)

	rows, err := w.owner.Query("select email, n from app.people")
	require.NoError(t, err)
	defer rows.Close()
	seen, total := make(map[string]bool), 0
	for rows.Next() {
		var token string
		var n int
		require.NoError(t, rows.Scan(&token, &n))
		plain, err := column.Decrypt([]byte(token))
		require.NoError(t, err)
		require.False(t, seen[string(plain)], "two rows of one value")
		seen[string(plain)] = true
		total += n
	}
	require.NoError(t, rows.Err())
	require.Equal(t, upserts, total, "every upsert is counted in one row")
}

// rotate gives the label another key, as encryption's documentation says: in one transaction.
func rotate(t *testing.T, w *vaultWorld, column *fernet.ColumnKeys, write fernet.KeyID) {
	t.Helper()
	domain := mailDomain(write, write)
	change, err := hooks.ChangeDomainSQL(domain)
	require.NoError(t, err)
	validate, err := hooks.ValidateDomainSQL(domain)
	require.NoError(t, err)
	ctx := context.Background()
	tx, err := w.owner.BeginTx(ctx, nil)
	require.NoError(t, err)
	defer tx.Rollback()
	exec := func(query string, args ...any) {
		t.Helper()
		_, err := tx.Exec(query, args...)
		require.NoError(t, err)
	}
	exec("lock table app.people, app.sent in share row exclusive mode")
	exec("set constraints all deferred")
	exec(change)
	for _, table := range []string{"people", "sent"} {
		rows, err := tx.Query("select id, email from app." + table)
		require.NoError(t, err)
		tokens := make(map[int64]string)
		for rows.Next() {
			var id int64
			var token string
			require.NoError(t, rows.Scan(&id, &token))
			rotated, _, err := column.Rotate([]byte(token), fernet.Deterministic, write)
			require.NoError(t, err)
			tokens[id] = string(rotated)
		}
		require.NoError(t, rows.Err())
		for id, token := range tokens {
			exec("update app."+table+" set email = $1 where id = $2", token, id)
		}
	}
	exec("set constraints all immediate")
	exec(validate)
	require.NoError(t, tx.Commit())
}

func writeWhileRotating(t *testing.T) {
	db, err := driver.Open(os.Getenv("ROTATION_DSN"), driver.Config{KeysEnv: "PGANON_KEYS"})
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(2)
	seconds, err := strconv.Atoi(os.Getenv("ROTATION_SECONDS"))
	require.NoError(t, err)
	ctx := pganon.WithIdentity(context.Background(), pganon.Identity{User: "w", Role: os.Getenv("ROTATION_ROLE"), Settings: nil})
	const upsert = "INSERT INTO app.people (email, n) VALUES ($1, 1) ON CONFLICT (email) DO UPDATE SET n = people.n + 1"
	upserts, rotated := 0, 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		mail := fmt.Sprintf("p%d@example.org", rand.IntN(50))
		switch rand.IntN(4) {
		case 0: // in a transaction
			err := func() error {
				tx, err := db.BeginTx(ctx, nil)
				require.NoError(t, err)
				defer tx.Rollback()
				if _, err := tx.Exec(upsert, mail); err != nil {
					return err
				}
				if _, err := tx.Exec("INSERT INTO app.sent (email) VALUES ($1)", mail); err != nil {
					return err
				}
				return tx.Commit()
			}()
			if errors.Is(err, driver.ErrKeyRotated) {
				rotated++
				continue
			}
			require.NoError(t, err)
		case 1:
			st, err := db.PrepareContext(ctx, upsert)
			require.NoError(t, err)
			_, err = st.ExecContext(ctx, mail)
			require.NoError(t, err)
			require.NoError(t, st.Close())
		default:
			_, err := db.ExecContext(ctx, upsert, mail)
			require.NoError(t, err)
		}
		upserts++
		// What has been written is found, whatever key it is under.
		var got string
		var n int
		require.NoError(t, db.QueryRowContext(ctx, "SELECT email, n FROM app.people WHERE email = $1", mail).Scan(&got, &n), "a row is lost")
		require.Equal(t, mail, got)
		require.NoError(t, db.QueryRowContext(ctx, "SELECT count(*) FROM app.people WHERE email IN ($1, $2) OR email = ANY($3)", mail, "nobody", []string{mail}).Scan(&n))
		require.Equal(t, 1, n)
		require.NoError(t, db.QueryRowContext(ctx, "SELECT count(*) FROM app.people WHERE email <> $1 AND email = $1", mail).Scan(&n))
		require.Zero(t, n)
		var none sql.NullString
		require.ErrorIs(t, db.QueryRowContext(ctx, "SELECT email FROM app.people WHERE email = $1 AND email IS DISTINCT FROM $1", mail).Scan(&none), sql.ErrNoRows)
	}
	fmt.Printf("rotation: rotated in a transaction %d times\n", rotated)
	fmt.Printf("rotation: upserts %d\n", upserts)
}
