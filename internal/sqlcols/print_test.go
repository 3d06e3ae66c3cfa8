package sqlcols_test

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/pganon/pganon/internal/sqlcols"
)

// print writes a tree as (type field …): without spans and without what is not there, a field's name only where it has no node to tell it by.
func print(node any) string {
	var b strings.Builder
	printValue(&b, reflect.ValueOf(node))
	return strings.TrimSpace(b.String())
}

func printValue(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			printValue(b, v.Elem())
		}
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(' ')
			}
			printValue(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.Struct:
		switch x := v.Interface().(type) {
		case sqlcols.Name:
			b.WriteString(x.Text)
			return
		case sqlcols.Param:
			b.WriteString("$" + strconv.Itoa(x.N))
			return
		case sqlcols.ColumnRef:
			printNames(b, x.Parts)
			return
		case sqlcols.Star:
			if len(x.Parts) > 0 {
				printNames(b, x.Parts)
				b.WriteByte('.')
			}
			b.WriteByte('*')
			return
		case sqlcols.Literal:
			b.WriteString([]string{"null", strconv.Quote(x.Text), x.Text, "bool", "bits"}[x.Kind])
			return
		}
		b.WriteString("(" + v.Type().Name())
		for i := range v.NumField() {
			field, name := v.Field(i), v.Type().Field(i).Name
			if name == "Span" || field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
				continue
			}
			b.WriteByte(' ')
			switch field.Kind() {
			case reflect.Bool:
				b.WriteString(strings.ToLower(name))
			case reflect.String:
				b.WriteString(field.String())
			default:
				switch name {
				case "X", "L", "R", "Op", "Args", "Items", "Body", "Query", "Name", "Parts", "Statement", "Table", "Type", "Names", "Symbol":
				default:
					b.WriteString(strings.ToLower(name) + ":")
				}
				printValue(b, field)
			}
		}
		b.WriteByte(')')
	default:
		b.WriteString("?")
	}
}

func printNames(b *strings.Builder, names []sqlcols.Name) {
	for i, name := range names {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(name.Text)
	}
}

// walk calls visit with each struct that has a Span, the nearest one around it, and how many are around it.
func walk(node any, visit func(node, around reflect.Value, depth int)) {
	var down func(v, around reflect.Value, depth int)
	down = func(v, around reflect.Value, depth int) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				down(v.Elem(), around, depth)
			}
		case reflect.Slice:
			for i := range v.Len() {
				down(v.Index(i), around, depth)
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[sqlcols.Span]() || v.IsZero() {
				return
			}
			if _, ok := v.Type().FieldByName("Span"); ok {
				visit(v, around, depth)
				around, depth = v, depth+1
			}
			for i := range v.NumField() {
				down(v.Field(i), around, depth)
			}
		}
	}
	down(reflect.ValueOf(node), reflect.Value{}, 0)
}

func span(v reflect.Value) sqlcols.Span { return v.FieldByName("Span").Interface().(sqlcols.Span) }
