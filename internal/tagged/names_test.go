package tagged_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/tagged"
)

// naive is what a matcher must find.
func naive(names []string, text string) bool {
	text = strings.ToLower(text)
	for _, name := range names {
		name = strings.ToLower(name)
		if strings.Contains(text, name) || strings.Contains(text, strings.ReplaceAll(name, `"`, `""`)) {
			return true
		}
	}
	return len(names) > 0 && strings.Contains(text, `u&"`)
}

func TestMatcher(t *testing.T) {
	names := []string{"users", "Weird Table", `a"b`, "Größe", "users_archive", "sers", "xqz", "xqzc"}
	m := tagged.NewMatcher(names)
	for text, want := range map[string]bool{
		"":                                false,
		"select 1":                        false,
		"select * from users":             true,
		`SELECT * FROM "USERS"`:           true,
		"select * from serverusers2":      true,
		"select user s":                   false,
		`select * from "weird table"`:     true,
		`select * from weird_table`:       false,
		`select * from "A""B"`:            true,
		`select * from a"b`:               true,
		`select * from "a b"`:             false,
		`select * from U&"\0075sers"`:     true,
		`select * from u & "x"`:           false,
		`select 'größe'`:                  true,
		`select 'GRÖSSE', 'GRÖ', 'grö'`:   false,
		`select GRÖßE`:                    true,
		`select "Ünrelated" from "Öther"`: false,
		"SELEKT XQZ":                      true,
		"\xff\xfe users":                  true,
	} {
		assert.Equal(t, want, m.Match(text), text)
		if utf8.ValidString(text) {
			assert.Equal(t, want, naive(names, text), text)
		}
	}
	assert.False(t, tagged.NewMatcher(nil).Match(`select u&"x" from users`))
}

// With more names than its table takes, everything may name one.
func TestMatcherBound(t *testing.T) {
	names := make([]string, 20_000)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range names {
		for range 30 {
			names[i] += string(rune('a' + random.IntN(26)))
		}
	}
	assert.True(t, tagged.NewMatcher(names).Match("select 1"))
	assert.False(t, tagged.NewMatcher(names[:1000]).Match("select 1"))
	assert.True(t, tagged.NewMatcher(names[:1000]).Match("select 1 from x"+names[999]))
}

func FuzzMatcher(f *testing.F) {
	f.Add("users\norders\na\"b", "select * from Users")
	f.Add("aab\nab", "aaab")
	f.Add("abcd\nbcx\ncx", "abcabcx")
	f.Add("größe\nK", "GRÖßE K")
	f.Fuzz(func(t *testing.T, list, text string) {
		if !utf8.ValidString(list) {
			return
		}
		var names []string
		for name := range strings.SplitSeq(list, "\n") {
			if name != "" {
				names = append(names, name)
			}
		}
		found := tagged.NewMatcher(names).Match(text)
		if utf8.ValidString(text) {
			require.Equal(t, naive(names, text), found)
		} else if naive(names, text) {
			require.True(t, found)
		}
	})
}

func BenchmarkMatcher(b *testing.B) {
	var names []string
	for _, word := range []string{"user", "customer", "order", "invoice", "payment", "address", "patient", "session", "message", "account"} {
		for i := range 50 {
			names = append(names, fmt.Sprintf("%s_%c%c_items", word, 'a'+i%26, 'a'+i/26))
		}
	}
	m := tagged.NewMatcher(names)
	text := `SELECT "p"."id", "p"."title", "p"."status", "p"."created_at" FROM "products" "p" JOIN "stocks" "s" ON "s"."product_id" = "p"."id" ` +
		`WHERE "p"."status" = $1 AND "s"."amount" > $2 ORDER BY "p"."title" LIMIT $3`
	for _, length := range []int{50, 200} {
		b.Run(fmt.Sprintf("names=%d/text=%d", len(names), length), func(b *testing.B) {
			b.SetBytes(int64(length))
			for b.Loop() {
				if m.Match(text[:length]) {
					b.Fatal("found")
				}
			}
		})
	}
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			tagged.NewMatcher(names)
		}
	})
}
