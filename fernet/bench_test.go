package fernet_test

import (
	"fmt"
	"testing"

	"github.com/pganon/pganon/fernet"
)

// The comparison with other libraries and with the bare primitives is in bench/fernet.

func BenchmarkKeyring(b *testing.B) {
	ring := mustRing(b, fernet.GenerateKey())
	for _, size := range []int{16, 128, 1024, 65536} {
		text := make([]byte, size)
		token := ring.Encrypt(text)
		var buf []byte
		b.Run(fmt.Sprintf("encrypt/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = ring.AppendEncrypt(buf[:0], text)
			}
		})
		b.Run(fmt.Sprintf("decrypt/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = ring.AppendDecrypt(buf[:0], token)
			}
		})
	}
	b.Run("encrypt/16/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			text, buf := make([]byte, 16), []byte(nil)
			for pb.Next() {
				buf = ring.AppendEncrypt(buf[:0], text)
			}
		})
	})
}

func BenchmarkColumn(b *testing.B) {
	ring := mustRing(b, fernet.GenerateKey(), fernet.GenerateKey())
	id, text := ring.KeyIDs()[1], make([]byte, 16)
	var token, plain []byte
	for name, mode := range map[string]fernet.Mode{"random": fernet.Random, "deterministic": fernet.Deterministic} {
		b.Run("encrypt/16/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				column, _ := ring.Derive("app.users.email")
				token, _ = column.AppendEncrypt(token[:0], text, mode, id)
			}
		})
		b.Run("decrypt/16/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				column, _ := ring.Derive("app.users.email")
				plain, _ = column.AppendDecrypt(plain[:0], token)
			}
		})
	}
	b.Run("Derive/remembered", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ring.Derive("app.users.email")
			}
		})
	})
	b.Run("Derive/first", func(b *testing.B) {
		key := fernet.GenerateKey()
		for b.Loop() {
			mustRing(b, key).Derive("app.users.email")
		}
	})
}
