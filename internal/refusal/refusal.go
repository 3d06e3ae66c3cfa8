// Package refusal marks errors about an identity or a request whose text holds nothing of either's values: it may be logged.
package refusal

import "errors"

// Error is an error of a kind, with the reason.
type Error struct{ kind, reason error }

// New returns an error that is both kind and reason. The reason's text is made of the program's own words and names.
func New(kind, reason error) *Error { return &Error{kind, reason} }

// Error returns the texts of both.
func (e *Error) Error() string { return e.kind.Error() + ": " + e.reason.Error() }

// Unwrap returns the kind alone: what cleans errors for logs would clean the reason once more.
func (e *Error) Unwrap() error { return e.kind }

// Is matches the reason.
func (e *Error) Is(target error) bool { return errors.Is(e.reason, target) }

// Reason returns the text without the kind's.
func (e *Error) Reason() string { return e.reason.Error() }
