// Package redact takes the data out of errors, logs, SQL texts and HTTP requests.
//
// # Errors
//
// PostgreSQL and the packages above it quote values in their errors: the row that violates a constraint, the argument that cannot
// be encoded, the password of a connection string. [Error] returns an error that says what happened without them:
//
//	if err := row.Scan(&age); err != nil {
//		return redact.Error(err)
//	}
//
// A server's error leaves as a *pgconn.PgError, with SQLSTATE, severity, position and routine, and, where PostgreSQL itself set
// them, the names of constraint, schema, table, column and data type. Its message is written anew from those. errors.Is works with
// every error of the chain; errors.As finds the cleaned *pgconn.PgError, *net.OpError, *strconv.NumError and the like.
//
// Text that is not known to be free of data is dropped, the text of fmt.Errorf included: nobody can tell "load " from the name
// behind it. So clean an error before you wrap it, or say that its text is harmless:
//
//	return fmt.Errorf("load user: %w", redact.Error(err))
//	var errClosed = redact.Safe(errors.New("shop: closed"))
//
// What [Error] has cleaned, and [Safe] has marked, it leaves alone in whatever it is wrapped. [Unsafe] returns the original.
//
// # Logs
//
// [Handler] stands before any slog.Handler and stars what is sensitive by its name, its type or its shape:
//
//	logger := slog.New(redact.Handler(slog.NewJSONHandler(os.Stderr, nil), redact.Options{Names: []string{"email"}}))
//
// A [Secret] is never printed, whoever prints it. [SQL], [Form] and [Request] make statements, forms and requests fit to be logged.
//
// # Limits
//
// A handler cannot know that "note" holds a diagnosis: name it in [Options]. An identifier that a statement's author wrote, and that
// the server does not know, is quoted in class 42 errors only where it cannot be part of a broken or double-quoted string.
package redact
