package pganon_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/internal/scope"
)

var bg = context.Background()

func TestIdentityFrom(t *testing.T) {
	full := pganon.Identity{User: "u", Tenant: "t", Groups: []string{"g"}, Role: "r", Settings: map[string]string{"a": "b"}}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want pganon.Identity
		ok   bool
	}{
		{"nothing", bg, pganon.Identity{}, false},
		{"identity", pganon.WithIdentity(bg, full), full, true},
		{"empty identity", pganon.WithIdentity(bg, pganon.Identity{}), pganon.Identity{}, true},
		{"innermost identity", pganon.WithIdentity(pganon.WithIdentity(bg, pganon.Identity{User: "outer", Role: "outer"}), full), full, true},
		{"masked", pganon.Masked(pganon.WithIdentity(bg, full)), full, true},
		{"masked alone", pganon.Masked(bg), pganon.Identity{}, false},
		{"system", pganon.System(pganon.WithIdentity(bg, full), "why"), pganon.Identity{}, false},
		{"system without reason", pganon.System(pganon.WithIdentity(bg, full), " "), pganon.Identity{}, false},
		{"identity in system", pganon.WithIdentity(pganon.System(bg, "why"), full), full, true},
		{"another scope's type", scope.With(bg, &scope.Scope{Identity: full}), pganon.Identity{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := pganon.IdentityFrom(tt.ctx)
			assert.Equal(t, tt.ok, ok)
			assert.True(t, same(tt.want, got))
		})
	}
}

// same compares fields: testify would print them.
func same(a, b pganon.Identity) bool {
	type plain pganon.Identity
	return assert.ObjectsAreEqual(plain(a), plain(b))
}

// Whoever still holds a map or slice of an identity, before it went in or after it came out, changes nothing in the context.
func TestIdentityIsAValue(t *testing.T) {
	groups, settings := []string{"a", "b"}, map[string]string{"region": "north"}
	ctx := pganon.WithIdentity(bg, pganon.Identity{User: "u", Groups: groups[:1], Settings: settings})
	want := pganon.Identity{User: "u", Groups: []string{"a"}, Settings: map[string]string{"region": "north"}}

	spoil := func(groups []string, settings map[string]string) {
		groups[0] = "root"
		_ = append(groups, "root")
		settings["region"], settings["more"] = "south", "x"
		delete(settings, "region")
	}
	spoil(groups, settings)
	got, _ := pganon.IdentityFrom(ctx)
	require.True(t, same(want, got))

	spoil(got.Groups, got.Settings)
	again, _ := pganon.IdentityFrom(ctx)
	require.True(t, same(want, again))

	derived := pganon.Masked(ctx)
	spoil(again.Groups, again.Settings)
	of, _ := pganon.IdentityFrom(derived)
	assert.True(t, same(want, of))
}

func TestIdentityUsedByManyGoroutines(t *testing.T) {
	id := pganon.Identity{User: "u", Groups: []string{"a"}, Settings: map[string]string{"region": "north"}}
	ctx := pganon.Masked(pganon.WithIdentity(bg, id))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				got, _ := pganon.IdentityFrom(pganon.MaskedAs(ctx, "m"))
				got.Settings["region"] = "south"
				got.Groups[0] = "root"
			}
		})
	}
	wg.Wait()
	got, _ := pganon.IdentityFrom(ctx)
	assert.True(t, same(id, got))
}

// Every order of up to four calls, against what the documentation says of each: the innermost of identity and system holds,
// masks only grow, and a context is never changed by what is derived from it.
func TestEveryOrder(t *testing.T) {
	type state struct {
		user, reason string
		system       bool
		masks        []string
	}
	type step struct {
		name  string
		apply func(context.Context) context.Context
		model func(state) state
	}
	mask := func(role string) func(state) state {
		return func(s state) state {
			if !slices.Contains(s.masks, role) {
				s.masks = append(slices.Clone(s.masks), role)
			}
			return s
		}
	}
	steps := []step{
		{"WithIdentity a", func(c context.Context) context.Context { return pganon.WithIdentity(c, pganon.Identity{User: "a"}) },
			func(s state) state { return state{user: "a", masks: s.masks} }},
		{"WithIdentity b", func(c context.Context) context.Context { return pganon.WithIdentity(c, pganon.Identity{User: "b"}) },
			func(s state) state { return state{user: "b", masks: s.masks} }},
		{"System", func(c context.Context) context.Context { return pganon.System(c, " why ") },
			func(s state) state { return state{system: true, reason: "why", masks: s.masks} }},
		{"System without reason", func(c context.Context) context.Context { return pganon.System(c, " \t\n") },
			func(s state) state { return state{system: true, masks: s.masks} }},
		{"Masked", pganon.Masked, mask("")},
		{"MaskedAs m", func(c context.Context) context.Context { return pganon.MaskedAs(c, "m") }, mask("m")},
		{"MaskedAs nothing", func(c context.Context) context.Context { return pganon.MaskedAs(c, "") }, mask(scope.UnnamedMask)},
		{"another value", func(c context.Context) context.Context {
			return context.WithValue(context.WithoutCancel(c), new(int), 1)
		}, func(s state) state { return s }},
	}
	read := func(ctx context.Context) state {
		var got state
		id, ok := pganon.IdentityFrom(ctx)
		if got.user = id.User; ok {
			assert.NotEmpty(t, id.User)
		}
		if s := scope.From(ctx); s != nil {
			assert.Equal(t, ok, s.Identity != nil)
			got.system, got.reason, got.masks = s.System, s.Reason, s.Masks
			wrong := slices.Contains(s.Masks, scope.UnnamedMask) || s.System && s.Reason == ""
			assert.Equal(t, wrong, s.Check() != nil)
		}
		return got
	}
	checked := 0
	var walk func(path []string, ctx context.Context, want state, depth int)
	walk = func(path []string, ctx context.Context, want state, depth int) {
		require.Equal(t, want, read(ctx), strings.Join(path, ", "))
		checked++
		if depth == 0 {
			return
		}
		for _, s := range steps {
			next := s.model(want)
			require.Subset(t, next.masks, want.masks)
			walk(append(slices.Clip(path), s.name), s.apply(ctx), next, depth-1)
		}
		require.Equal(t, want, read(ctx), "deriving changed it: %s", strings.Join(path, ", "))
	}
	walk(nil, bg, state{}, 4)
	assert.Equal(t, 4681, checked) // 8⁰ + … + 8⁴
}

func TestErrNoIdentityNamesTheWaysOut(t *testing.T) {
	for _, way := range []string{"pganon.WithIdentity", "pganon.System with a reason", "pganon.identity=optional", "pganon.anonymous=<role>"} {
		assert.ErrorContains(t, pganon.ErrNoIdentity, way)
	}
}
