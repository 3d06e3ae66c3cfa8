package pganon_test

import (
	"context"
	"testing"
	"time"

	"github.com/pganon/pganon"
)

// BenchmarkContext is what a request pays for its identity, beside the context.WithValue that any middleware pays.
func BenchmarkContext(b *testing.B) {
	type key struct{}
	id := pganon.Identity{User: "u42", Tenant: "north", Groups: []string{"doctors", "staff"}, Settings: map[string]string{"ward": "3"}}
	ctx := pganon.WithIdentity(bg, id)
	for name, f := range map[string]func() context.Context{
		"WithValue":    func() context.Context { return context.WithValue(bg, key{}, &id) },
		"WithIdentity": func() context.Context { return pganon.WithIdentity(bg, id) },
		"Masked":       func() context.Context { return pganon.Masked(ctx) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	b.Run("IdentityFrom", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pganon.IdentityFrom(ctx)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	ctx := pganon.WithIdentity(bg, secret)
	token := must(pganon.SealIdentity(ctx, ring, time.Hour))
	b.Run("SealIdentity", func(b *testing.B) {
		for b.Loop() {
			must(pganon.SealIdentity(ctx, ring, time.Hour))
		}
	})
	b.Run("OpenIdentity", func(b *testing.B) {
		for b.Loop() {
			must(pganon.OpenIdentity(bg, ring, token))
		}
	})
}
