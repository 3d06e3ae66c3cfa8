package pganon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/pganon/pganon/internal/guc"
	"github.com/pganon/pganon/internal/loghash"
	"github.com/pganon/pganon/internal/refusal"
)

// Middleware returns a middleware that puts the identity which identify finds in a request into the request's context.
// Package pganonhttp has functions that identify by common means.
//
// Where identify fails, the handler is not called, and the client gets a status and its standard text, nothing of the error: 403
// if [ErrInvalidIdentity] is in the error's chain (known, but not to be let in), 503 if the context was done before identify
// knew, else 401, which [ErrNoIdentity] and an empty Identity mean too. An Identity that no statement could run under is a 403.
// [RefuseAs] says otherwise; nothing is logged unless [LogRefusals] says so. A header that has to go with a 401
// (WWW-Authenticate) is for an outer handler to set.
//
// The handler gets the http.ResponseWriter as it came, so that flushing and hijacking go on working. A panic in identify goes on,
// too. A nil identify panics.
func Middleware(identify func(*http.Request) (Identity, error), options ...MiddlewareOption) func(http.Handler) http.Handler {
	if identify == nil {
		panic("pganon: Middleware: identify is nil")
	}
	var refuse refuser
	for _, option := range options {
		option(&refuse)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := identify(r)
			if err == nil {
				err = id.check()
			}
			if err != nil {
				refuse.request(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), id)))
		})
	}
}

// MiddlewareOption says how [Middleware] refuses a request.
type MiddlewareOption func(*refuser)

// RefuseAs has statusOf choose the status of a refusal by its error. What it leaves alone, with a 0 or any other number that is
// not from 400 to 599, gets the status that Middleware has for it.
func RefuseAs(statusOf func(error) int) MiddlewareOption {
	return func(r *refuser) { r.statusOf = statusOf }
}

// LogRefusals has each refusal logged: its status and a keyed hash of the error's text, and that text only where this module
// wrote it, which names claims, headers, roles and settings but holds no value. Nothing else of the request or of the error is logged.
func LogRefusals(logger *slog.Logger) MiddlewareOption {
	return func(r *refuser) { r.logger = logger }
}

type refuser struct {
	statusOf func(error) int
	logger   *slog.Logger
}

func (rf *refuser) request(w http.ResponseWriter, r *http.Request, err error) {
	status := refusedStatus(err)
	if rf.statusOf != nil {
		if own := rf.statusOf(err); 400 <= own && own <= 599 {
			status = own
		}
	}
	if rf.logger != nil {
		attrs := []slog.Attr{slog.Int("status", status), slog.String("error", "#"+loghash.Sum("error", err.Error()))}
		if ours, ok := errors.AsType[*refusal.Error](err); ok {
			attrs = append(attrs, slog.String("reason", ours.Reason()))
		}
		rf.logger.LogAttrs(r.Context(), slog.LevelInfo, "pganon: request refused", attrs...)
	}
	http.Error(w, http.StatusText(status), status)
}

func refusedStatus(err error) int {
	switch {
	case errors.Is(err, guc.ErrEmpty):
		return http.StatusUnauthorized
	case errors.Is(err, ErrInvalidIdentity):
		return http.StatusForbidden
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnauthorized
	}
}

// MaskedHandler returns a handler that serves every request under [Masked]: an export for analysts, a public preview. It lets in
// everybody who comes this far.
func MaskedHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(Masked(r.Context())))
	})
}
