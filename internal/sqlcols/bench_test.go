package sqlcols_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/sqlcols"
)

const gormInsert = `INSERT INTO "users" ("name","email","ssn","org_id","status","active","created_at","updated_at","deleted_at","id") ` +
	`VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) RETURNING "id"`

func BenchmarkAnalyze(b *testing.B) {
	wide := "app.wide: "
	for i := range 50 {
		if wide += fmt.Sprintf("c%d", i); i%10 == 0 {
			wide += " D"
		}
		wide += ", "
	}
	s := newSchema(keyD, keyR, keyB, append(clinic, strings.TrimSuffix(wide, ", "))...)
	var many strings.Builder
	many.WriteString("INSERT INTO wide VALUES ")
	for i := range 500 {
		if i > 0 {
			many.WriteString(",")
		}
		for j := range 50 {
			fmt.Fprintf(&many, "%c$%d", "(,"[min(j, 1)], i*50+j+1)
		}
		many.WriteString(")")
	}
	for _, row := range []struct{ name, text string }{
		{"gorm insert", gormInsert},
		{"select", `SELECT * FROM "users" WHERE "users"."email" = $1 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT $2`},
		{"upsert", `INSERT INTO audit (user_id, email, note) VALUES ($1,$2,$3) ON CONFLICT (user_id) DO UPDATE SET email = $4, note = EXCLUDED.note WHERE audit.email <> $5 AND audit.locked = $6`},
		{"500 rows of 50", many.String()},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(row.text)))
			for b.Loop() {
				if _, err := sqlcols.Analyze(row.text, s); err != nil {
					require.NoError(b, err)
				}
			}
		})
	}
}
