// Package pganon says who is asking. Its database/sql driver, package driver, reads that from each statement's context and has
// PostgreSQL run the statement as them: under their database role, with the settings that row-level-security policies read, in the
// same round trip. This package is all that most of a program imports.
//
// # First steps
//
// Open the database with the driver's name, say once per request who is asking, and use SQL, GORM or sqlx as before:
//
//	import _ "github.com/pganon/pganon/driver"
//
//	db, err := sql.Open("pganon", "postgres://app@localhost/clinic?pganon.default_role=clinic_user")
//
//	ctx = pganon.WithIdentity(ctx, pganon.Identity{User: "u42", Tenant: "north"})
//	rows, err := db.QueryContext(ctx, "SELECT name FROM patients")
//
// The policy reads what the identity was sent as:
//
//	CREATE POLICY tenant ON patients
//	  USING (tenant_id = nullif(current_setting('rls.tenant_id', true), ''));
//
// The nullif matters: a setting that was there and is gone is the empty string, not NULL.
//
// Methods without a context (db.Query, db.Exec) say nothing of who is asking. They are refused with [ErrNoIdentity], as is every
// statement whose context has no identity, unless the DSN says otherwise: pganon.anonymous=<role> runs them as that role,
// pganon.identity=optional as the login role.
//
// A transaction begun under an identity keeps it for statements whose context has none; one with another identity runs as that.
//
// # Roles and settings
//
// [Identity.Role] names the database role. Most programs leave it empty and give Groups, which the DSN maps to roles:
// pganon.roles=support:support_masked,billing:billing_full takes the first pair whose group the identity has, then
// pganon.masked_groups=analysts,qa_team sends its groups to pganon.masked_role, and pganon.default_role takes the rest. The login role
// must be a member of each of them (GRANT clinic_user TO app) and should have no rights of its own.
//
// User and Tenant are sent as rls.user_id and rls.tenant_id, further Settings by the same prefix, which pganon.settings_prefix
// sets. A name with a dot is sent as it is. PostgreSQL's own settings (statement_timeout) are refused until the driver's Config
// allows them by name. pganon.claims=request.jwt.claims sends the whole identity as one JSON setting as well.
//
// # Masked
//
// [Masked] makes what follows run as the masked role, whoever is asking: an export, a screen that is shared, a debug session.
//
//	ctx = pganon.Masked(ctx)
//	rows, err := db.QueryContext(ctx, "SELECT name, phone FROM patients") // the mask's view of them
//
// It cannot be undone: nothing that gets the masked context, or one derived from it, sees more. A masked role only reads, so that no masked
// row is saved over the real one. [MaskedAs] names another masked role; two different ones in one context are refused.
//
// # System
//
// Migrations, maintenance and the query that finds out who is asking run as the login role, on purpose and with a reason that is logged:
//
//	_, err := db.ExecContext(pganon.System(ctx, "nightly purge"), "DELETE FROM sessions WHERE expires < now()")
//
// # HTTP
//
// [Middleware] puts the identity of a request into its context, from wherever the application keeps it, and refuses requests without one;
// [MaskedHandler] masks every request to a handler:
//
//	auth := pganon.Middleware(func(r *http.Request) (pganon.Identity, error) {
//		s, err := sessions.Get(r)
//		if err != nil {
//			return pganon.Identity{}, err // 401
//		}
//		return pganon.Identity{User: s.User, Tenant: s.Tenant, Groups: s.Groups}, nil
//	})
//	mux.Handle("GET /patients", auth(patients))
//	mux.Handle("GET /export", auth(pganon.MaskedHandler(export)))
//
// Package pganonhttp finds identities by common means: claims of a token, headers of a proxy, the subdomain, a look-up that is
// remembered.
//
// # Jobs
//
// An identity leaves the process as a token, encrypted, signed and with an end. An identity that came out of a queue, a
// header or a session as anything else could have been written by anyone; Identity does not unmarshal.
//
//	token, err := pganon.SealIdentity(ctx, keys, time.Hour)   // with the job
//	ctx, err := pganon.OpenIdentity(ctx, keys, job.Token)     // in the worker: same identity, same masks
//
// # Limits
//
// An identity is what the program says it is: this package authenticates nobody.
//
// What bypasses row-level security in PostgreSQL bypasses it here: superusers, roles with BYPASSRLS, the owner of a table
// without FORCE ROW LEVEL SECURITY, views without security_invoker, SECURITY DEFINER functions.
//
// An identity has at most 256 settings and 1 MiB in all; it travels with each statement. The server can log it
// (log_min_duration_statement prints parameters).
//
// [Identity] prints a keyed hash of its user and tenant. Its fields are strings: what prints or logs id.User shows it.
package pganon
