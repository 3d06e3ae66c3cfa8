package sqlcols_test

import (
	"strings"

	"github.com/pganon/pganon/internal/sqlcols"
)

var (
	keyD = &sqlcols.Key{Label: "D", Searchable: true}
	keyR = &sqlcols.Key{Label: "R"}
	keyB = &sqlcols.Key{Label: "B", Searchable: true} // of bytea columns
)

// schema is that of testdata/statements.md, and a little more.
type schema struct {
	relations []*sqlcols.Relation
	functions map[string][]sqlcols.Function
}

func (s *schema) Relation(schema, name string) *sqlcols.Relation {
	if schema == "" {
		schema = "app" // the search_path
	}
	for _, r := range s.relations {
		if r.Schema == schema && r.Name == name {
			return r
		}
	}
	return nil
}

func (s *schema) Functions(schema, name string) []sqlcols.Function { return s.functions[name] }

// newSchema makes relations of "schema.name: column, column D …", where D, R and B are keys.
func newSchema(d, r, b *sqlcols.Key, relations ...string) *schema {
	s := &schema{}
	for i, text := range relations {
		name, list, _ := strings.Cut(text, ": ")
		relation := &sqlcols.Relation{OID: uint32(16400 + i)}
		relation.Schema, relation.Name, _ = strings.Cut(name, ".")
		for j, c := range strings.Split(list, ", ") {
			column := sqlcols.Column{Number: int16(j + 1), Text: true}
			var key string
			column.Name, key, _ = strings.Cut(c, " ")
			switch key {
			case "D":
				column.Key = d
			case "R":
				column.Key = r
			case "B":
				column.Key, column.Text = b, false
			}
			relation.Columns = append(relation.Columns, column)
		}
		s.relations = append(s.relations, relation)
	}
	return s
}

var clinic = []string{
	"app.users: id, name, email D, ssn R, org_id, status, active, created_at, updated_at, deleted_at",
	"app.orders: id, user_id, total, status, note, email D, created_at",
	"app.audit: id, user_id, email D, note, locked",
	"app.profiles: user_id, country, ssn R",
	"app.logs: id, msg",
	`app.Weird Table: Select, E-Mail D, a"b`,
	"crm.users: id, email, name",
	"app.files: id, name, digest B, body",
}

// withFunctions adds find(D) returns setof (id, email D), mask(D) returns D, told(D) and told(text), kept(D[], D).
func (s *schema) withFunctions() *schema {
	d := s.Relation("app", "users").Columns[2].Key
	s.functions = map[string][]sqlcols.Function{
		"find": {{Args: []*sqlcols.Key{d}, Columns: []sqlcols.Column{{Name: "id"}, {Name: "email", Key: d, Text: true}}}},
		"mask": {{Args: []*sqlcols.Key{d}, Result: d}},
		"told": {{Args: []*sqlcols.Key{d}}, {Args: []*sqlcols.Key{nil}}},
		"kept": {{Args: []*sqlcols.Key{nil, d}, Wraps: []bool{true, false}}},
	}
	return s
}
