package hooks

import (
	"strings"

	"github.com/jinzhu/inflection"
)

// GORM's names, by the rules of gorm.io/gorm/schema (MIT licence): NamingStrategy as it is without settings, and ParseTagSetting.

// gormTable returns the table of a type without a TableName method. A program that has taught inflection other plurals has taught
// it to both.
func gormTable(typeName string) string { return inflection.Plural(gormName(typeName)) }

// gormInitialisms turns initialisms into words: UserID into UserId.
var gormInitialisms = func() *strings.Replacer {
	var pairs []string
	for _, s := range []string{
		"API", "ASCII", "CPU", "CSS", "DNS", "EOF", "GUID", "HTML", "HTTP", "HTTPS", "ID", "IP", "JSON", "LHS", "QPS", "RAM", "RHS", "RPC",
		"SLA", "SMTP", "SSH", "TLS", "TTL", "UID", "UI", "UUID", "URI", "URL", "UTF8", "VM", "XML", "XSRF", "XSS",
	} {
		pairs = append(pairs, s, s[:1]+strings.ToLower(s[1:]))
	}
	return strings.NewReplacer(pairs...)
}()

// gormName returns the column of a field of that name.
func gormName(name string) string {
	isUpper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	if name == "" {
		return ""
	}
	name = gormInitialisms.Replace(name)
	var b strings.Builder
	wasUpper, upper := false, isUpper(name[0])
	last := len(name) - 1
	for i, r := range name[:last] {
		next := name[i+1]
		switch {
		case !upper:
			b.WriteRune(r)
		case wasUpper && (isUpper(next) || '0' <= next && next <= '9'):
			b.WriteRune(r + 'a' - 'A')
		default:
			if i > 0 && name[i-1] != '_' && next != '_' {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		}
		wasUpper, upper = upper, isUpper(next)
	}
	if !upper {
		b.WriteByte(name[last])
		return b.String()
	}
	if !wasUpper && len(name) > 1 {
		b.WriteByte('_')
	}
	b.WriteByte(name[last] + 'a' - 'A')
	return b.String()
}

// gormSettings reads a gorm tag into its settings, by their names in upper case. One without a value has its name for one.
func gormSettings(tag string) map[string]string {
	settings := make(map[string]string)
	parts := strings.Split(tag, ";")
	for i := 0; i < len(parts); i++ {
		part := parts[i]
		for strings.HasSuffix(part, `\`) && i+1 < len(parts) {
			i++
			part = part[:len(part)-1] + ";" + parts[i]
		}
		name, value, assigned := strings.Cut(part, ":")
		name = strings.TrimSpace(strings.ToUpper(name))
		switch {
		case assigned:
			settings[name] = strings.ReplaceAll(value, `\"`, `"`)
		case name != "":
			settings[name] = name
		}
	}
	return settings
}
