package hooks_test

import (
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/hooks"
)

type base struct {
	ID        int64
	CreatedAt time.Time
	Note      string `pganon:"redact"`
}

type address struct {
	Street string `pganon:"encrypt"`
	City   string
}

type UserProfile struct {
	base
	Email     string          `pganon:"encrypt,deterministic" json:"email"`
	HomeURL   sql.NullString  `pganon:"encrypt"`
	SSN       *string         `gorm:"column:social;not null" pganon:"encrypt,type=text"`
	Phone     string          `db:"phone_no,omitempty" pganon:"encrypt"`
	Born      *time.Time      `pganon:"encrypt,type=date"`
	Photo     []byte          `pganon:"encrypt"`
	IP        netip.Addr      `pganon:"encrypt,type=inet"`
	Extra     map[string]any  `gorm:"serializer:json" pganon:"encrypt,type=jsonb"`
	Settings  struct{ A int } `gorm:"type:text" pganon:"encrypt,type=jsonb"`
	Kept      string          `gorm:"-:migration" pganon:"encrypt"`
	SqlxOnly  string          `gorm:"-" db:"sqlx_only" pganon:"encrypt"`
	Home      address         `gorm:"embedded;embeddedPrefix:home_"`
	Work      *address        `gorm:"embedded;embeddedPrefix:work_"`
	Plain     string
	Friends   []*UserProfile
	CompanyID int
	Company   *Company
}

type Company struct {
	Name   string
	Owners []UserProfile
}

type Qualified struct {
	A string `pganon:"encrypt"`
}

func (Qualified) TableName() string { return "crm.people" }

type PointerNamed struct {
	A string `pganon:"mask=anon.fake_email"`
}

func (*PointerNamed) TableName() string { return `"Weird"."Table Of"` }

func TestParseModels(t *testing.T) {
	columns, err := hooks.ParseModels([]any{&UserProfile{}, []Qualified(nil), reflect.TypeFor[*Company](), (*UserProfile)(nil)})
	require.NoError(t, err)
	var got [][3]string
	for _, c := range columns {
		assert.NotZero(t, c.Tag)
		got = append(got, [3]string{c.Schema + "." + c.Table, c.Column, c.Field})
	}
	const user = ".user_profiles"
	assert.Equal(t, [][3]string{
		{user, "note", "hooks_test.UserProfile.base.Note"},
		{user, "email", "hooks_test.UserProfile.Email"},
		{user, "home_url", "hooks_test.UserProfile.HomeURL"},
		{user, "social", "hooks_test.UserProfile.SSN"},
		{user, "phone_no", "hooks_test.UserProfile.Phone"},
		{user, "born", "hooks_test.UserProfile.Born"},
		{user, "photo", "hooks_test.UserProfile.Photo"},
		{user, "ip", "hooks_test.UserProfile.IP"},
		{user, "extra", "hooks_test.UserProfile.Extra"},
		{user, "settings", "hooks_test.UserProfile.Settings"},
		{user, "kept", "hooks_test.UserProfile.Kept"},
		{user, "sqlx_only", "hooks_test.UserProfile.SqlxOnly"},
		{user, "home_street", "hooks_test.UserProfile.Home.Street"},
		{user, "work_street", "hooks_test.UserProfile.Work.Street"},
		{"crm.people", "a", "hooks_test.Qualified.A"},
	}, got)

	columns, err = hooks.ParseModels(nil)
	require.NoError(t, err)
	assert.Empty(t, columns)
}

type notTagged struct{ Related []tagged }

type tagged struct {
	Secret string `pganon:"encrypt"`
}

type selfEmbedding struct{ *selfEmbedding }

type list []list

type odd struct{}

func (odd) TableName(int) string { return "odd" }

type panics struct{ name *string }

func (p panics) TableName() string { return *p.name }

type spaces struct {
	A string `pganon:"encrypt"`
}

func (spaces) TableName() string { return "a.b.c" }

// structOf returns a struct of one string with a tag that vet would not let pass.
func structOf(name, tag string) reflect.Type {
	f := reflect.StructField{Name: name, Type: reflect.TypeFor[string](), Tag: reflect.StructTag(tag)}
	if name[0] >= 'a' {
		f.PkgPath = "example.org/shop"
	}
	return reflect.StructOf([]reflect.StructField{f})
}

func TestParseModelsRefuses(t *testing.T) {
	const prefix = "pganon: read struct tags: "
	for _, c := range []struct {
		model any
		want  string
	}{
		{1, "model 1: want a struct, got int"},
		{nil, "model 1: want a struct, got <nil>"},
		{"users", "model 1: want a struct, got string"},
		{struct {
			A string `pganon:"encrypt,determinstic"`
		}{}, "option determinstic: unknown, did you mean deterministic?"},
		{structOf("a", `pganon:"encrypt"`), ".a: has a pganon tag, but is not exported: no library stores it"},
		{struct {
			A string `gorm:"-" pganon:"encrypt"`
		}{}, `.A: has a pganon tag, but is no column: gorm:"-" or db:"-" says so`},
		{struct {
			A string `db:"-" pganon:"encrypt"`
		}{}, `.A: has a pganon tag, but is no column: gorm:"-" or db:"-" says so`},
		{struct {
			A []Company `pganon:"encrypt"`
		}{}, ".A: has a pganon tag, but is a relation to another table: tag that table's struct"},
		{struct {
			Company `pganon:"encrypt"`
		}{}, ".Company: has a pganon tag, but is an embedded struct: tag the fields in it"},
		{struct {
			A string `gorm:"column:x" db:"y" pganon:"encrypt"`
		}{}, ".A: gorm calls its column x and db y: give both the same"},
		{struct {
			A string `gorm:"index" db:"y" pganon:"encrypt"`
		}{}, ".A: gorm calls its column a and db y: give both the same"},
		{structOf("A", `pganon:encrypt`), `.A: the struct tag cannot be read: want key:"value" pairs separated by spaces`},
		{structOf("A", `json:"a", pganon:"encrypt"`), `.A: the struct tag cannot be read: want key:"value" pairs separated by spaces`},
		{structOf("A", `Pganon:"encrypt"`), `.A: the struct tag cannot be read: want key:"value" pairs separated by spaces`},
		{structOf("A", `pganon : "encrypt"`), `.A: the struct tag cannot be read: want key:"value" pairs separated by spaces`},
		{struct {
			A string `pganon:"encrypt"`
		}{}, "cannot tell its table: give it a method TableName that returns table or schema.table"},
		{spaces{}, "hooks_test.spaces: cannot tell its table: give it a method TableName that returns table or schema.table"},
		{notTagged{}, "hooks_test.notTagged.Related: hooks_test.tagged has pganon tags of its own: add it to the models"},
		{selfEmbedding{}, "embedded deeper than 16"},
		{odd{}, "hooks_test.odd: method TableName: want one without arguments that returns a string"},
		{panics{}, "hooks_test.panics: method TableName panics on a zero value"},
	} {
		_, err := hooks.ParseModels([]any{c.model})
		require.Error(t, err, c.want)
		assert.Contains(t, err.Error(), prefix)
		assert.Contains(t, err.Error(), c.want)
	}
	_, err := hooks.ParseModels([]any{struct{ Tree list }{}, struct {
		Doc string `doc:"about pganon"`
	}{}})
	assert.NoError(t, err)
}

// GORM's own names, as the module hooks/gormtest has recorded them.
func TestGormNames(t *testing.T) {
	text, err := os.ReadFile("testdata/gorm-names.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		var name, column, table string
		_, err := fmt.Sscan(line, &name, &column, &table)
		require.NoError(t, err, line)
		assert.Equal(t, column, hooks.GormName(name), name)
		assert.Equal(t, table, hooks.GormTable(name), name)
	}
}
