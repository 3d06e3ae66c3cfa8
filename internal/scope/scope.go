// Package scope carries what pganon's context functions ask for down to the driver.
package scope

import (
	"context"
	"sync/atomic"
)

// Scope is what one context says about who is asking. It is immutable once it is in a context, Memo excepted.
type Scope struct {
	// Identity is a *pganon.Identity that nobody else holds, or nil.
	Identity any
	// Masks are the masked roles asked for, outermost first; "" stands for the configured one.
	Masks []string
	// System is true where the statement runs on purpose as the login role, for Reason.
	System bool
	Reason string

	memo atomic.Pointer[memo]
}

type memo struct{ owner, value any }

type key struct{}

// From returns the scope of ctx, nil where it has none.
func From(ctx context.Context) *Scope {
	s, _ := ctx.Value(key{}).(*Scope)
	return s
}

// With returns a context that carries s.
func With(ctx context.Context, s *Scope) context.Context {
	return context.WithValue(ctx, key{}, s)
}

// Derive returns a new scope that says what s says; s may be nil.
func (s *Scope) Derive() *Scope {
	if s == nil {
		return &Scope{}
	}
	return &Scope{Identity: s.Identity, Masks: s.Masks, System: s.System, Reason: s.Reason}
}

// Memo returns what owner remembered with SetMemo, nil where another owner or nobody did.
func (s *Scope) Memo(owner any) any {
	if m := s.memo.Load(); m != nil && m.owner == owner {
		return m.value
	}
	return nil
}

// SetMemo remembers value for owner: one request runs many statements under one scope.
func (s *Scope) SetMemo(owner, value any) { s.memo.Store(&memo{owner, value}) }
