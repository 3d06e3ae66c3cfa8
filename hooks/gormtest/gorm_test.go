// Package gormtest holds package hooks to the names that GORM itself gives. It is a module of its own so that GORM reaches nobody
// who does not use it.
package gormtest

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/pganon/pganon/hooks"
)

type Audited struct {
	gorm.Model
	EditedBy string `pganon:"redact"`
}

type Place struct {
	Street string `pganon:"encrypt"`
	ZIPCode
}

type ZIPCode struct {
	Digits5 string `gorm:"column:zip5" pganon:"encrypt"`
}

type APIUserProfile struct {
	Audited
	Email      string         `pganon:"encrypt,deterministic"`
	HomeURL    sql.NullString `pganon:"encrypt"`
	SSN        *string        `gorm:"not null;column:social" pganon:"encrypt"`
	Semicolon  string         `gorm:"default:a\\;b;COLUMN:semi" pganon:"encrypt"`
	Born       *time.Time     `pganon:"encrypt,type=date"`
	Photo      []byte         `pganon:"encrypt"`
	Extra      map[string]any `gorm:"serializer:json" pganon:"encrypt,type=jsonb"`
	Kept       string         `gorm:"-:migration" pganon:"encrypt"`
	Home       Place          `gorm:"embedded;embeddedPrefix:home_"`
	Work       *Place         `gorm:"embedded;embeddedPrefix:work_"`
	Bare       Place          `gorm:"embedded"`
	X1Y2       string         `pganon:"encrypt"`
	UserID2    string         `pganon:"encrypt"`
	Snake_Case string         `pganon:"encrypt"`
	Company    *Company
	CompanyID  uint
}

type Company struct {
	ID   uint
	Name string `pganon:"redact"`
}

type Datum struct {
	ID uint
	V  string `pganon:"encrypt"`
}

type Named struct {
	V string `pganon:"encrypt"`
}

func (Named) TableName() string { return "crm.named_things" }

func TestModels(t *testing.T) {
	for _, model := range []any{&APIUserProfile{}, &Company{}, &Datum{}, &Named{}, &Audited{}, &Place{}} {
		want, err := schema.Parse(model, &sync.Map{}, schema.NamingStrategy{})
		require.NoError(t, err)
		columns, err := hooks.ParseModels([]any{model, &Company{}})
		require.NoError(t, err)
		require.NotEmpty(t, columns)
		seen := 0
		for _, c := range columns {
			typ, path, _ := strings.Cut(strings.TrimPrefix(c.Field, "gormtest."), ".")
			if typ != want.Name {
				continue // Company's
			}
			table := c.Table
			if c.Schema != "" {
				table = c.Schema + "." + table
			}
			assert.Equal(t, want.Table, table)
			field := want.FieldsByBindName[path]
			if assert.NotNil(t, field, path) {
				assert.Equal(t, field.DBName, c.Column, path)
				seen++
			}
		}
		tagged := 0
		for _, f := range want.Fields {
			if f.StructField.Tag.Get("pganon") != "" {
				tagged++
			}
		}
		assert.Equal(t, tagged, seen, want.Name)
	}
}

var update = flag.Bool("update", false, "write the names anew")

const namesFile = "../testdata/gorm-names.txt"

// The names that package hooks is tested with are GORM's.
func TestNames(t *testing.T) {
	if *update {
		var b strings.Builder
		for _, name := range names() {
			ns := schema.NamingStrategy{}
			fmt.Fprintln(&b, name, ns.ColumnName("", name), ns.TableName(name))
		}
		require.NoError(t, os.WriteFile(namesFile, []byte(b.String()), 0o644))
	}
	text, err := os.ReadFile(namesFile)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	require.Greater(t, len(lines), 500)
	for _, line := range lines {
		words := strings.Fields(line)
		require.Len(t, words, 3, line)
		ns := schema.NamingStrategy{}
		assert.Equal(t, []string{words[0], ns.ColumnName("", words[0]), ns.TableName(words[0])}, words)
	}
}

// names returns names of fields and types: some that are known to be odd, and random ones of the same parts.
func names() []string {
	all := []string{
		"A", "Aa", "AA", "AAA", "AaA", "a", "aB", "ID", "Id", "IDs", "UserID", "UserIDs", "UUID", "GUIDs", "HTTPServer", "HTTPSPort", "MyHTTP",
		"URL", "HomeURL", "URLHome", "APIURL", "OAuth2Token", "X1", "X1Y2", "SHA256Hash", "ThisIsATest", "Field123", "ABC123Def", "E_Mail",
		"_Private", "Trailing_", "Double__Under", "UTF8Text", "IPv6", "Größe", "ÄrgerÜber", "EMail", "Email", "JSONData", "UIDesign", "VMs", "XMLXSS",
		"Person", "People", "Child", "Ox", "Mouse", "Matrix", "Index", "Status", "Address", "Category", "Toy", "Shoe", "Datum", "Data", "Equipment",
		"News", "Series", "Species", "Fish", "Sheep", "Money", "Information", "Hero", "Wife", "Leaf", "Analysis", "Quiz", "Octopus", "Virus", "Bus",
		"Tomato", "Buffalo", "Photo", "UserProfile", "OrderItem", "SalesPerson", "Move", "Sex", "Man", "Woman", "Human", "Police", "Media",
	}
	parts := []string{"User", "ID", "Id", "API", "S", "s", "X", "2", "10", "_", "URL", "name", "Data", "HTTP", "HTTPS", "Y", "man", "Box", "ies", "IP", "v6", "UTF8"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		name := []string{"A", "My", "HTTP", "User", "U", "ID", "Xs"}[random.IntN(7)]
		for range 1 + random.IntN(4) {
			name += parts[random.IntN(len(parts))]
		}
		all = append(all, name)
	}
	return all
}
