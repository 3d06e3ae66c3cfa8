package driver

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// settingsError says that the statement did not run because what it would have run as was refused. Its text holds no values.
type settingsError struct {
	text string
	pg   *pgconn.PgError // the server's error without its prose, which may quote a value
}

func (e *settingsError) Error() string { return e.text }
func (e *settingsError) Unwrap() error { return e.pg }

// stepError makes of a server error one that says which step failed. The statement's own errors are left as they are.
func (c *conn) stepError(at step, who *principal, err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	switch at {
	case stepSettings, stepSettingsParse, stepAgain, stepRestore:
	case stepClean:
		return fmt.Errorf("pganon: clean session: %w", err)
	case stepText, stepParse:
		if who != nil && who.readOnly && refusesWrite(pgErr) {
			hinted := *pgErr
			clean := c.connector.clean(&hinted, "").(*pgconn.PgError) // here, or redaction would take the hint away
			clean.Hint = fmt.Sprintf("Role %q is masked: what it reads must not be written back.", who.role)
			return clean
		}
		return err
	default:
		return err
	}
	if !settingsCode(pgErr.Code) {
		return err
	}
	var why string
	switch {
	case pgErr.Code == "42501":
		why = "role not granted to the login role: GRANT it (from PostgreSQL 16 on WITH SET TRUE)"
		if len(who.local) > 0 {
			why += ", or a setting that the role may not set: " + localNames(who)
		}
	case len(who.local) == 0 || pgErr.Code == "42704" || strings.Contains(pgErr.Message, `"`+who.role+`"`):
		why = "role unknown"
	default:
		why = "setting refused: " + localNames(who) + " (SQLSTATE " + pgErr.Code + ")"
	}
	e := &settingsError{text: fmt.Sprintf("pganon: set role %q: %s", who.role, why)}
	e.pg = &pgconn.PgError{Severity: pgErr.Severity, SeverityUnlocalized: pgErr.SeverityUnlocalized, Code: pgErr.Code, Message: e.text, Routine: pgErr.Routine}
	return e
}

// refusesWrite says whether a read-only role was refused a write. A view that masks is mostly one that cannot be written through, which
// PostgreSQL finds first.
func refusesWrite(pgErr *pgconn.PgError) bool {
	switch pgErr.Code {
	case "25006":
		return true
	case "0A000", "55000":
		return pgErr.Routine == "rewriteTargetView" || pgErr.Routine == "error_view_not_updatable"
	}
	return false
}

// settingsCode says whether set_config gives code of its own accord: all others can befall any statement.
func settingsCode(code string) bool {
	switch code {
	case "22023", "42501", "42704", "25001", "55P02", "0LP01", "0L000", "28000":
		return true
	}
	return false
}

// withoutComment takes out of an error what it has of the role's comment behind the text.
func withoutComment(err error, cl *call) error {
	var pgErr *pgconn.PgError
	if cl.who == nil || !errors.As(err, &pgErr) {
		return err
	}
	end := int32(utf8.RuneCountInString(cl.sql) + 1)
	comment := roleText("", cl.who.tag)
	if pgErr.Position <= end && !strings.Contains(pgErr.Message, comment) {
		return err
	}
	cut := *pgErr
	cut.Position = min(cut.Position, end)
	cut.Message = strings.ReplaceAll(cut.Message, comment, "")
	return &cut
}

func localNames(who *principal) string {
	names := make([]string, len(who.local))
	for i, s := range who.local {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}
