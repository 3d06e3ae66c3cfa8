// Package scope carries what pganon's context functions ask for down to the driver.
package scope

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/pganon/pganon/internal/guc"
)

// UnnamedMask is the entry of Masks that MaskedAs leaves for an empty role: no server takes NUL in a name, so who forgets to
// call Check is refused all the same.
const UnnamedMask = "\x00"

// Scope is what one context says about who is asking. It is immutable once it is in a context, Memo excepted.
type Scope struct {
	// Identity is a *pganon.Identity that nobody else holds, or nil.
	Identity any
	// Masks are the masked roles asked for, outermost first, none twice; "" stands for the configured one.
	// No context derived from this one has fewer.
	Masks []string
	// System is true where the statement runs on purpose as the login role, for Reason. Identity is nil then.
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

// AddMask adds role to the masks of a scope that no context carries yet.
func (s *Scope) AddMask(role string) {
	if !slices.Contains(s.Masks, role) {
		// Clip: the scopes derived from one parent share its array.
		s.Masks = append(slices.Clip(s.Masks), role)
	}
}

// Check returns the mistake with which the scope was made, for which no statement may run under it: System without a
// reason, a mask that cannot be a role. s may be nil.
func (s *Scope) Check() error {
	if s == nil {
		return nil
	}
	if s.System && s.Reason == "" {
		return errors.New("pganon.System was called without a reason")
	}
	for _, role := range s.Masks {
		switch role {
		case "":
		case UnnamedMask:
			return errors.New("pganon.MaskedAs was called without a role")
		default:
			if err := guc.ValidRole(role); err != nil {
				return fmt.Errorf("pganon.MaskedAs: %w", err)
			}
		}
	}
	return nil
}

// Memo returns what owner remembered with SetMemo, nil where another owner or nobody did; s may be nil.
func (s *Scope) Memo(owner any) any {
	if s == nil {
		return nil
	}
	if m := s.memo.Load(); m != nil && m.owner == owner {
		return m.value
	}
	return nil
}

// SetMemo remembers value for owner: one request runs many statements under one scope. s may be nil, which remembers nothing.
func (s *Scope) SetMemo(owner, value any) {
	if s != nil {
		s.memo.Store(&memo{owner, value})
	}
}
