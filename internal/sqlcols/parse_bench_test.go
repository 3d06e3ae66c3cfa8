package sqlcols_test

import (
	"strings"
	"testing"

	"github.com/pganon/pganon/internal/sqlcols"
	"github.com/stretchr/testify/require"
)

// texts are what a program sends: as GORM writes it, and many rows at once.
var texts = map[string]string{
	"insert": `INSERT INTO "users" ("created_at","updated_at","deleted_at","name","email","ssn","org_id","status","active","note") ` +
		`VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10) RETURNING "id"`,
	"select": `SELECT "users"."id","users"."name","Org"."id" AS "Org__id","Org"."note" AS "Org__note" FROM "users" ` +
		`LEFT JOIN "orders" "Org" ON "users"."org_id" = "Org"."id" AND "Org"."email" = $1 ` +
		`WHERE "users"."status" = $2 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT $3`,
	"update": `UPDATE "users" SET "email"=$1,"updated_at"=$2 WHERE id = $3 AND "users"."deleted_at" IS NULL`,
	"500 rows of 50": "INSERT INTO t VALUES (" + strings.Repeat("$12345,", 49) + "$12345)" +
		strings.Repeat(",("+strings.Repeat("$12345,", 49)+"$12345)", 499),
}

func BenchmarkParse(b *testing.B) {
	for name, text := range texts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := sqlcols.Parse(text)
				require.NoError(b, err)
			}
		})
	}
}
