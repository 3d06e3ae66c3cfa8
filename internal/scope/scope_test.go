package scope_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pganon/pganon/internal/scope"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		scope *scope.Scope
		want  string
	}{
		{"no scope", nil, ""},
		{"nothing said", &scope.Scope{}, ""},
		{"configured mask", &scope.Scope{Masks: []string{""}}, ""},
		{"named mask", &scope.Scope{Masks: []string{"", "masked_reader"}}, ""},
		{"system", &scope.Scope{System: true, Reason: "migration"}, ""},
		{"system without reason", &scope.Scope{System: true}, "pganon.System was called without a reason"},
		{"unnamed mask", &scope.Scope{Masks: []string{"", scope.UnnamedMask}}, "pganon.MaskedAs was called without a role"},
		{"impossible mask", &scope.Scope{Masks: []string{"None"}}, `pganon.MaskedAs: role "none"`},
		{"mask the server would cut", &scope.Scope{Masks: []string{strings.Repeat("m", 64)}}, "pganon.MaskedAs: role"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				assert.NoError(t, tt.scope.Check())
			} else {
				assert.ErrorContains(t, tt.scope.Check(), tt.want)
			}
		})
	}
}

func TestAddMaskSharesNothing(t *testing.T) {
	parent := &scope.Scope{Masks: make([]string, 0, 8)}
	parent.AddMask("parent")
	a, b := parent.Derive(), parent.Derive()
	a.AddMask("a")
	b.AddMask("b")
	b.AddMask("parent")
	assert.Equal(t, []string{"parent"}, parent.Masks)
	assert.Equal(t, []string{"parent", "a"}, a.Masks)
	assert.Equal(t, []string{"parent", "b"}, b.Masks)
}

func TestMemo(t *testing.T) {
	var none *scope.Scope
	none.SetMemo("driver", 1)
	assert.Nil(t, none.Memo("driver"))
	assert.Nil(t, scope.From(context.Background()))

	s := none.Derive()
	assert.Nil(t, s.Memo("driver"))
	s.SetMemo("driver", 1)
	assert.Equal(t, 1, scope.From(scope.With(context.Background(), s)).Memo("driver"))
	assert.Nil(t, s.Memo("another"))
	assert.Nil(t, s.Derive().Memo("driver"), "a derived scope says something else")
}
