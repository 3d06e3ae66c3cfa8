package pganon

import (
	"context"
	"errors"
	"net/http"

	"github.com/pganon/pganon/internal/guc"
)

// Middleware returns a middleware that puts the identity which identify finds in a request into the request's context.
//
// Where identify fails, the handler is not called, and the client gets a status and its standard text, nothing of the error: 403 if
// [ErrInvalidIdentity] is in the error's chain (known, but not to be let in), 503 if the context was done before identify knew,
// else 401, which [ErrNoIdentity] and an empty Identity mean too. An Identity that no statement could run under is a 403.
// A header that has to go with a 401 (WWW-Authenticate) is for an outer handler to set.
//
// The handler gets the http.ResponseWriter as it came, so that flushing and hijacking go on working. A panic in identify goes on, too.
// A nil identify panics.
func Middleware(identify func(*http.Request) (Identity, error)) func(http.Handler) http.Handler {
	if identify == nil {
		panic("pganon: Middleware: identify is nil")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := identify(r)
			if err == nil {
				err = id.check()
			}
			if err != nil {
				status := refusal(err)
				http.Error(w, http.StatusText(status), status)
				return
			}
			next.ServeHTTP(w, r.WithContext(WithIdentity(r.Context(), id)))
		})
	}
}

func refusal(err error) int {
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

// MaskedHandler returns a handler that serves every request under [Masked]: an export for analysts, a public preview.
func MaskedHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(Masked(r.Context())))
	})
}
