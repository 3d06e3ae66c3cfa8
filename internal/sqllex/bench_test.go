package sqllex_test

import (
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqllex"
)

// What GORM sends, 200 bytes.
const gormText = `INSERT INTO "users" ("created_at","updated_at","deleted_at","name","email","org_id","status") VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT ("id") DO UPDATE SET "name"="excluded"."name" RETURNING "id"      `

func BenchmarkClassify(b *testing.B) {
	for name, text := range map[string]string{
		"gorm":      gormText,
		"semicolon": strings.TrimSpace(gormText) + ";",
		"commit":    "COMMIT",
		"savepoint": "SAVEPOINT sp0x1400012e0c0",
		"set":       "SET LOCAL rls.tenant_id = '42'",
		"with":      "WITH a AS (SELECT id FROM users WHERE org_id = $1) " + gormText,
		"literal":   strings.Replace(gormText, "$4", "'a;b'", 1), // has to be read to the end
		"several":   "BEGIN; " + gormText,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = sqllex.Classify(text)
			}
		})
	}
}

func lexAll(text string) (n int) {
	lx := sqllex.New(text)
	for lx.Next().Kind != sqllex.EOF {
		n++
	}
	return n
}

func BenchmarkLexer(b *testing.B) {
	for name, text := range map[string]string{
		"gorm":     gormText,
		"rows":     "INSERT INTO t VALUES " + strings.Repeat("(123, 'some text', 1.5, NULL),", 40_000) + "(1)",
		"string":   "INSERT INTO t VALUES ('" + strings.Repeat("0123456789abcdef", 1<<16) + "')",
		"comments": strings.Repeat("-- a comment line of some words\n/* and another one */ a ", 20_000),
		"utf8":     "SELECT '" + strings.Repeat("日本語", 100_000) + "'",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				lexAll(text)
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat(strings.TrimSpace(gormText)+";\n", 1000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sqllex.Split(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParams(b *testing.B) {
	b.SetBytes(int64(len(gormText)))
	for b.Loop() {
		_, _, _ = sqllex.Params(gormText)
	}
}
