// Command quickstart is a clinic on pganon: the same SELECT as a doctor of one clinic, a doctor of another, an analyst and
// nobody. It starts a database by itself and leaves nothing behind.
//
//	go run ./examples/quickstart
//
// What the database holds is in schema.sql; roundtrips.go counts what an identity costs.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver" // registers "pganon"
	"github.com/pganon/pganon/pganontest"
)

//go:embed schema.sql
var schema string

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// Who asks. A web application makes these from its session, see pganon.Middleware.
var (
	doctorNorth = pganon.Identity{User: "ada", Tenant: "north", Groups: []string{"doctors"}}
	doctorSouth = pganon.Identity{User: "bob", Tenant: "south", Groups: []string{"doctors"}}
	analyst     = pganon.Identity{User: "eve", Tenant: "north", Groups: []string{"analysts"}}
)

// What the DSN says of them: which group runs under which role.
const identities = "pganon.roles=doctors:doctor&pganon.masked_role=masked_reader&pganon.masked_groups=analysts"

const query = `SELECT p.name, p.born, p.phone, v.seen, v.diagnosis
FROM patients p JOIN visits v ON v.patient = p.id
ORDER BY p.id, v.seen`

func run(ctx context.Context, out io.Writer) (err error) {
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	fmt.Fprintf(out, "This is %s.\n", server)

	// Migrations take no context: they run as the login role, on purpose and with a reason.
	admin, err := driver.OpenSystem(server.DSN(), "create the clinic")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	if _, err := admin.Exec(schema); err != nil {
		return fmt.Errorf("schema.sql: %w", err)
	}
	defer func() { err = errors.Join(err, dropAll(admin)) }()
	password := rand.Text()
	if _, err := admin.Exec("ALTER ROLE clinic_app PASSWORD '" + password + "'"); err != nil {
		return err
	}

	dsn, err := url.Parse(server.DSN())
	if err != nil {
		return err
	}
	dsn.User = url.UserPassword("clinic_app", password)
	dsn.RawQuery += "&" + identities
	db, err := sql.Open("pganon", dsn.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	fmt.Fprintf(out, "\nThe same statement for everyone:\n\n%s\n", indent(query))
	for _, who := range []struct {
		title string
		ctx   context.Context
	}{
		{"A doctor of the north clinic sees its patients", pganon.WithIdentity(ctx, doctorNorth)},
		{"A doctor of the south clinic sees its own", pganon.WithIdentity(ctx, doctorSouth)},
		{"An analyst of the north clinic sees them masked, and no other clinic", pganon.WithIdentity(ctx, analyst)},
		{"That doctor, once the program has said pganon.Masked, sees no more than the analyst", pganon.Masked(pganon.WithIdentity(ctx, doctorNorth))},
	} {
		fmt.Fprintf(out, "\n%s:\n\n", who.title)
		if err := show(who.ctx, out, db); err != nil {
			return err
		}
	}

	fmt.Fprint(out, "\nA statement that does not say who asks is refused:\n\n")
	if err := refused(out, show(ctx, out, db)); err != nil {
		return err
	}

	fmt.Fprint(out, "\nThe analyst can neither read behind the masks nor write: a masked role is read only:\n\n")
	for _, attempt := range []string{
		"SELECT name FROM public.patients",
		"UPDATE public.visits SET diagnosis = 'none'",
	} {
		fmt.Fprintf(out, "    %s\n", attempt)
		_, err := db.ExecContext(pganon.WithIdentity(ctx, analyst), attempt)
		if err := refused(out, err); err != nil {
			return err
		}
	}

	fmt.Fprint(out, "\nRESET ROLE in a transaction gets nobody out: the next statement is the doctor's again:\n\n")
	if err := transaction(pganon.WithIdentity(ctx, doctorNorth), out, db); err != nil {
		return err
	}

	fmt.Fprint(out, "\nRound trips, counted between program and server:\n\n")
	return roundTrips(ctx, out, server.DSN(), dsn.String())
}

// show runs the query as whoever ctx says and prints what they see.
func show(ctx context.Context, out io.Writer, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "    PATIENT\tBORN\tPHONE\tSEEN\tDIAGNOSIS")
	for rows.Next() {
		var name, phone, diagnosis string
		var born, seen time.Time
		if err := rows.Scan(&name, &born, &phone, &seen, &diagnosis); err != nil {
			return err
		}
		fmt.Fprintf(table, "    %s\t%s\t%s\t%s\t%s\n", name, born.Format(time.DateOnly), phone, seen.Format(time.DateOnly), diagnosis)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return table.Flush()
}

// refused prints the error of what must fail.
func refused(out io.Writer, err error) error {
	if err == nil {
		return errors.New("what must be refused was not")
	}
	_, err = fmt.Fprintf(out, "    refused: %v\n", err)
	return err
}

// transaction admits a patient, tries to get out of its role, and looks who it is and what it sees.
func transaction(ctx context.Context, out io.Writer, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// What runs in the transaction needs no context: it has the transaction's identity.
	if _, err := tx.Exec("INSERT INTO patients (name, born, phone) VALUES ($1, $2, $3)", "Eli Fox", "1969-09-09", "555-0168"); err != nil {
		return err
	}
	if _, err := tx.Exec("RESET ROLE"); err != nil {
		return err
	}
	var role, clinics string
	var patients int
	if err := tx.QueryRow("SELECT current_user, string_agg(DISTINCT clinic, ', '), count(*) FROM patients").Scan(&role, &clinics, &patients); err != nil {
		return err
	}
	fmt.Fprintf(out, "    after INSERT and RESET ROLE: role %s, %d patients, all of %s\n", role, patients, clinics)
	return tx.Commit()
}

// dropAll is for a server that was there before (PGANON_TEST_DSN): roles do not go with a database.
func dropAll(admin *sql.DB) error {
	_, err := admin.Exec(`DROP SCHEMA masked_reader CASCADE; DROP TABLE visits, patients;
		DROP ROLE clinic_app, doctor, masked_reader, clinic_masks`)
	return err
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
