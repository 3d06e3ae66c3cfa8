package hooks

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// ModelColumn is a column that a struct tag is about.
type ModelColumn struct {
	// Schema is "" where the model's table name has none.
	Schema, Table, Column string
	// Field is the struct's field, such as "shop.User.Email".
	Field string
	Tag   Tag
}

// ParseModels reads the pganon tags of models: structs, pointers to structs, slices of them, or a reflect.Type of one.
//
// The table is what the method TableName says, schema.table or table, else GORM's name for the type: the table of UserProfile is
// user_profiles. The column is that of gorm:"column:…" or db:"…", else GORM's name for the field. Embedded structs belong to the
// table, by GORM's rules. A tag on what is no column of the table is an error that names the field, and so is a model's relation to
// a struct that has tags and is not among the models.
//
// A struct that is mapped in another way, such as by another naming strategy, says its names by TableName and column.
func ParseModels(models []any) ([]ModelColumn, error) {
	p := modelParser{models: make(map[reflect.Type]bool), related: make(map[reflect.Type]string)}
	var types []reflect.Type
	for i, model := range models {
		t, err := modelType(model)
		if err != nil {
			return nil, fmt.Errorf("pganon: read struct tags: model %d: %w", i+1, err)
		}
		if !p.models[t] {
			p.models[t] = true
			types = append(types, t)
		}
	}
	for _, t := range types {
		if err := p.model(t); err != nil {
			return nil, fmt.Errorf("pganon: read struct tags: %w", err)
		}
	}
	for len(p.queue) > 0 {
		t := p.queue[0]
		p.queue = p.queue[1:]
		// What a related struct's own fields mean is not asked: it has no tags, or it is missing among the models.
		tags := modelParser{models: p.models, related: p.related, queue: p.queue}
		if err := tags.fields(t, t.String(), place{}); err != nil || len(tags.columns) > 0 {
			return nil, fmt.Errorf("pganon: read struct tags: %s: %s has pganon tags of its own: add it to the models", p.related[t], t)
		}
		p.queue = tags.queue
	}
	return p.columns, nil
}

func modelType(model any) (reflect.Type, error) {
	t, ok := model.(reflect.Type)
	if !ok {
		t = reflect.TypeOf(model)
	}
	given := t
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("want a struct, got %v", given)
	}
	return t, nil
}

// modelParser collects the tagged columns of models, and the structs that their relations lead to.
type modelParser struct {
	models  map[reflect.Type]bool
	columns []ModelColumn
	related map[reflect.Type]string // with the field that leads there
	queue   []reflect.Type
}

// place is where the fields of a struct go: the table, and what embedding puts before their columns.
type place struct {
	schema, table, prefix string
	depth                 int
}

func (p *modelParser) model(t reflect.Type) error {
	name, err := tableName(t)
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	at := place{table: name}
	if schema, table, qualified := strings.Cut(name, "."); qualified {
		at.schema, at.table = unquoteName(schema), table
	}
	at.table = unquoteName(at.table)
	before := len(p.columns)
	if err := p.fields(t, t.String(), at); err != nil {
		return err
	}
	if len(p.columns) > before && (at.table == "" || strings.ContainsAny(at.table, `."[ `)) {
		return fmt.Errorf("%s: cannot tell its table: give it a method TableName that returns table or schema.table", t)
	}
	return nil
}

func unquoteName(s string) string {
	if inner, ok := strings.CutPrefix(s, `"`); ok && strings.HasSuffix(inner, `"`) {
		return inner[:len(inner)-1]
	}
	return s
}

// tableName asks a model's zero value for its table, as GORM does.
func tableName(t reflect.Type) (name string, err error) {
	zero := reflect.New(t)
	tabler, ok := zero.Interface().(interface{ TableName() string })
	if !ok {
		if _, other := zero.Type().MethodByName("TableName"); other {
			return "", errors.New("method TableName: want one without arguments that returns a string")
		}
		return gormTable(t.Name()), nil
	}
	defer func() {
		if recover() != nil {
			err = errors.New("method TableName panics on a zero value")
		}
	}()
	return tabler.TableName(), nil
}

// maxEmbedding bounds how deep structs are embedded: a struct may embed a pointer to itself.
const maxEmbedding = 16

func (p *modelParser) fields(t reflect.Type, path string, at place) error {
	if at.depth++; at.depth > maxEmbedding {
		return fmt.Errorf("%s: embedded deeper than %d", path, maxEmbedding)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if err := p.field(f, path+"."+f.Name, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *modelParser) field(f reflect.StructField, path string, at place) error {
	text, tagged := f.Tag.Lookup(tagKey)
	if !tagged && indexFold(string(f.Tag), tagKey) >= 0 {
		if _, found, err := findTag(string(f.Tag)); found || err != nil {
			return fmt.Errorf(`%s: the struct tag cannot be read: want key:"value" pairs separated by spaces`, path)
		}
	}
	var tag Tag
	if tagged {
		var err error
		if tag, err = parseTag(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	settings := gormSettings(f.Tag.Get("gorm"))
	kind := fieldKind(f, settings)
	switch {
	case kind == relationField:
		p.relate(f.Type, path)
	case kind == embeddedField:
		inner := at
		inner.prefix += settings["EMBEDDEDPREFIX"]
		if err := p.fields(indirect(f.Type), path, inner); err != nil {
			return err
		}
	}
	switch {
	case !tagged:
		return nil
	case kind != columnField:
		return fmt.Errorf("%s: has a pganon tag, but %s", path, kind)
	}
	name, err := columnName(f, settings)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.columns = append(p.columns, ModelColumn{Schema: at.schema, Table: at.table, Column: at.prefix + name, Field: path, Tag: tag})
	return nil
}

// kindOfField is what a field of a model is, in words that complete "but".
type kindOfField string

const (
	columnField     kindOfField = "is a column"
	embeddedField   kindOfField = "is an embedded struct: tag the fields in it"
	relationField   kindOfField = "is a relation to another table: tag that table's struct"
	ignoredField    kindOfField = `is no column: gorm:"-" or db:"-" says so`
	unexportedField kindOfField = "is not exported: no library stores it"
)

func fieldKind(f reflect.StructField, settings map[string]string) kindOfField {
	db, hasDB := dbName(f)
	_, says := settings["EMBEDDED"]
	plain := indirect(f.Type).Kind() == reflect.Struct && !isValue(f.Type)
	switch {
	case plain && (says || f.Anonymous && !gormIgnores(settings)): // the fields of an embedded struct are exported even if its type is not
		return embeddedField
	case !f.IsExported():
		return unexportedField
	case gormIgnores(settings) && !hasDB, db == "-" && !makesColumn(settings):
		return ignoredField
	case hasDB, makesColumn(settings), !isRelation(f.Type):
		return columnField
	}
	return relationField
}

func gormIgnores(settings map[string]string) bool {
	switch strings.ToLower(strings.TrimSpace(settings["-"])) {
	case "-", "all":
		return true
	}
	return false
}

// makesColumn says whether a gorm tag makes a column of whatever the field holds.
func makesColumn(settings map[string]string) bool {
	for _, name := range []string{"COLUMN", "TYPE", "SERIALIZER", "JSON"} {
		if settings[name] != "" {
			return true
		}
	}
	return false
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var (
	valuerType = reflect.TypeFor[driver.Valuer]()
	timeType   = reflect.TypeFor[time.Time]()
	typerType  = reflect.TypeFor[interface{ GormDataType() string }]()
)

// isValue tells structs that are one value of a column: those that say so, and those like netip.Addr that hide what they hold.
func isValue(t reflect.Type) bool {
	t = indirect(t)
	pointer := reflect.PointerTo(t)
	if pointer.Implements(valuerType) || pointer.Implements(typerType) || t.ConvertibleTo(timeType) {
		return true
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			return false
		}
	}
	return true
}

// isRelation tells structs, and lists of structs, that are rows of another table.
func isRelation(t reflect.Type) bool {
	for range maxEmbedding { // a slice can be one of its own type
		t = indirect(t)
		switch {
		case isValue(t):
			return false
		case t.Kind() == reflect.Struct:
			return true
		case t.Kind() != reflect.Slice && t.Kind() != reflect.Array:
			return false
		}
		t = t.Elem()
	}
	return false
}

// relate remembers the structs that a relation leads to.
func (p *modelParser) relate(t reflect.Type, path string) {
	for t.Kind() != reflect.Struct {
		t = t.Elem() // isRelation has seen that there is one
	}
	if _, known := p.related[t]; !known && !p.models[t] {
		p.related[t] = path
		p.queue = append(p.queue, t)
	}
}

// dbName returns the column of a db tag, as sqlx reads it.
func dbName(f reflect.StructField) (name string, ok bool) {
	name, _, _ = strings.Cut(f.Tag.Get("db"), ",")
	return name, name != "" && name != "-"
}

func columnName(f reflect.StructField, settings map[string]string) (string, error) {
	name := settings["COLUMN"]
	if name == "" {
		name = gormName(f.Name)
	}
	db, hasDB := dbName(f)
	switch {
	case !hasDB:
		return name, nil
	case db != name && f.Tag.Get("gorm") != "" && !gormIgnores(settings):
		return "", fmt.Errorf(`gorm calls its column %s and db %s: give both the same`, name, db)
	}
	return db, nil
}
