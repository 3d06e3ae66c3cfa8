// Package driver is the database/sql driver "pganon": it runs every statement as the identity of its context, on PostgreSQL.
//
// # First
//
// Open it as any driver, say in the context who is asking, and use SQL as before:
//
//	db, err := sql.Open("pganon", "postgres://app@localhost/clinic?pganon.roles=doctors:doctor&pganon.masked_role=analyst&pganon.masked_groups=analysts")
//	ctx = pganon.WithIdentity(ctx, pganon.Identity{User: "meg", Tenant: "north", Groups: []string{"doctors"}})
//	rows, err := db.QueryContext(ctx, "SELECT name, born FROM patients")
//
// The query runs under the role doctor, with the settings rls.user_id and rls.tenant_id, which policies read:
//
//	CREATE POLICY own_tenant ON patients USING (tenant = nullif(current_setting('rls.tenant_id', true), ''));
//
// A member of analysts runs it as analyst, a masked role, which can only read. Without an identity it is refused with
// pganon.ErrNoIdentity. The login role needs to be a member of the roles, best WITH INHERIT FALSE or NOINHERIT and without
// privileges of its own: GRANT doctor, analyst TO app.
//
// Config holds what only Go can say; OpenSystem is for migrations; InTx for COPY, batches and large objects.
//
// # What it keeps to
//
//  1. Every statement carries its identity. Role and settings travel in the same write, before the same Sync, as the
//     statement. Nothing is set on the session, and what a connection remembers can only make it send more: there is
//     nothing to leak, to forget or to undo, not through the pool, a pooler in transaction mode, ROLLBACK TO, RESET ROLE
//     or COMMIT.
//  2. One round trip. A statement under an identity costs as many as on plain pgx.
//  3. A plan belongs to the role it was analysed for. Parse happens under the role, and the text of a named statement
//     differs per role, so neither PostgreSQL nor a pooler hands one role's plan to another.
//  4. Fail closed. What cannot be proven safe is refused before it runs, with an error that names the setting and the
//     way out. There is no fallback to the login role.
//  5. What fails says why, and never with a value of the data.
//
// # Keys of the DSN
//
// Any DSN of pgx, URL or keyword form, with these keys of ours; an unknown one is an error. Each is a field of Config.
//
//	pganon.identity=required|optional     a statement without identity is refused (default), or runs as the login role
//	pganon.anonymous=<role>               or runs as this role
//	pganon.masked_role=<role>             the role of pganon.Masked and of the masked groups
//	pganon.masked_groups=<group>,…        groups that read as the masked role
//	pganon.roles=<group>:<role>,…         group to role; the first match wins, before masked_groups
//	pganon.default_role=<role>            of an identity that no group maps; unset, the login role with the settings
//	pganon.settings_prefix=rls            first part of the names of settings
//	pganon.claims=<setting>               also send the identity as one JSON setting
//	pganon.keys_env=<name>                environment variable that holds the keys of encrypted columns
//	pganon.keys_file=<path>               or the file that holds them
//	pganon.domains=optional|required      whether an encrypted column may do without a domain
//	pganon.session=clean|always|keep      what happens to what the application leaves on a session
//	pganon.raw=allow|refuse               whether sql.Conn.Raw gives the connection of pgx
//	pganon.log=off|debug                  log what statements run as, never a value
//
// # Errors and logs
//
// No error that leaves the driver holds a value of the data, a password or a connection string: not the server's, pgx's, or
// those of hooks, interceptors, tracers, Valuers and rewriters, whose own text is dropped unless they mark it with redact.Safe. A
// server's error is a *pgconn.PgError with code, position, routine and, where PostgreSQL set them, the names of constraint,
// table, column and type, so code that decides on them works unchanged; errors.Is finds what was wrapped. io.EOF,
// driver.ErrBadConn, sql.ErrNoRows, pgx.ErrTxCommitRollback and the errors of contexts are what they are. See package redact;
// redact.Unsafe returns the original.
//
// A panic in code that a statement calls becomes an error that names the function, without the value; the connection is
// given up, and a transaction on it is lost. Notices, and errors that a tracer or a handler of pgconn sees, are redacted too.
//
// database/sql itself converts what rows scan into, above the driver, and quotes values in its errors: clean those with
// redact.Error. From Go 1.27 on the driver does that by itself, unless there are interceptors.
//
// pganon.log=debug logs for each statement the identity, user and tenant as keyed hashes, the role, the names of settings,
// duration, rows, and the SQLSTATE of an error.
//
// # Roles
//
// A role is masked if the DSN says so, if its comment holds the tag pganon:"masked" (COMMENT ON ROLE), or if PostgreSQL
// Anonymizer's MASKED label is on it. Masked roles are read only, or an ORM would write masked values back; the tag
// pganon:"masked,writable" lifts that. Comments and labels are read on every new connection and every minute. A role's option
// search_path (ALTER ROLE … SET search_path) is sent with the role: SET ROLE alone would ignore it.
//
// # Transactions
//
// A statement in a transaction whose context says nothing runs as the transaction's identity, the one of BeginTx; one with
// an identity of its own runs as that. A transaction begun under a masked role is read only. Deferred triggers run as the
// transaction's identity; from PostgreSQL 18 on under the role of the statement that wrote, with the settings of that identity.
//
// # Encrypted columns
//
// A column is encrypted by the tag of its type, a domain, whose SQL hooks.DomainSQL writes. The driver finds out which parameter of a statement
// meets such a column, sends a token in its place, and gives back values; pganon.keys_env or Config.Keys says where the keys are.
//
//	COMMENT ON DOMAIN phone IS 'pganon:"encrypt,key=phone"';
//
//	db.ExecContext(ctx, "UPDATE patients SET phone = $1 WHERE name = $2", "555-0171", "Ada")
//
// A statement that would send plaintext, compare tokens with something else or put them where nobody decrypts them is refused
// before anything is sent. Masked roles get NULL, or the constant of the tag. CopyFrom copies rows; hooks.Encrypted says the column of a
// parameter where SQL does not. Package hooks has all of it.
//
// # GORM and sqlx
//
// gorm.io/driver/postgres takes the driver's name, postgres.Config{DriverName: "pganon", DSN: dsn}, or a database handle as Conn,
// such as OpenSystem's for AutoMigrate. sqlx goes by the driver's name to know how parameters are written, and must be told once per
// program: sqlx.BindDriver("pganon", sqlx.DOLLAR). This package does not say it, or sqlx would be a dependency of everybody.
// There is a program with each of them in examples.
//
// # Limits
//
// What one statement does within itself is PostgreSQL's: a SECURITY DEFINER function runs as its owner, and a function that
// resets the role and then runs SQL from its arguments runs that as the login role. Give the login role no privileges of
// its own, and identities no right to create functions. VACUUM, CREATE DATABASE and what else cannot run in a pipeline
// run under pganon.System only. A batch of pgx and large objects need InTx, COPY FROM STDIN InTx or CopyFrom; InTx does not
// decrypt. After Raw nothing is known of the session but that it must be cleaned; what Raw gives is plain pgx, errors
// included. A tracer gets the text of statements with the literals in it. With interceptors, Go 1.27's scanning of arrays into
// slices is not available.
package driver
