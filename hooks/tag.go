package hooks

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/canon"
	"github.com/pganon/pganon/internal/nearest"
)

// tagKey is the key of a tag: the struct tag's, and what stands before the quoted text in a comment.
const tagKey = "pganon"

// maxTag bounds the length of a tag's text.
const maxTag = 4096

// Tag is what a tag says of a column, or of all columns whose type is a domain. The zero Tag says nothing.
//
// Its text is options separated by commas, in any order; white space around them does not count. A value is taken as it stands
// up to the next comma outside of parentheses. One that is empty, has a comma, a quote or a parenthesis in it, or white space at an
// end, is put into single quotes, with each single quote in it doubled. Control characters are refused.
//
//	encrypt[,deterministic][,type=…][,key=<label>][,write=<id>][,migrating][,mask=<constant>][,fold][,lowcardinality]
//	redact[,mask=<function>]
//	mask=<function>
type Tag struct {
	// Encrypt is true of a column that holds tokens. All fields down to LowCardinality say something of such columns only.
	Encrypt bool
	// Deterministic: equal values have equal tokens, so =, IN, joins and UNIQUE work.
	Deterministic bool
	// Type is the type of the values, by PostgreSQL's short name. "" is the column's own: bytea of a bytea column, else text.
	Type string
	// Key is the label that the column's keys are derived from. "" is the column's name, schema.table.column.
	Key string
	// Write is the id of the key that new values are written under, as fernet.KeyID has it. "" is the ring's last key.
	// Deterministic only: others are written under the ring's first key.
	Write string
	// Migrating: plaintext in the column is read as such.
	Migrating bool
	// Mask is the constant that masked identities see in place of a value: any text without control characters that is a value of Type.
	// Without it they see NULL.
	Mask sql.Null[string]
	// Fold: the value is lower-cased before it is encrypted.
	Fold bool
	// LowCardinality: deterministic, although the type has so few values that counting tokens gives them away.
	LowCardinality bool

	// Redact is true of a column that is not encrypted, but never shown in an error or log.
	Redact bool
	// MaskFunction is how a masked role sees a column that is not encrypted: a function's name, with its arguments in parentheses
	// where it has some.
	MaskFunction string
}

// optionNames are the names of all options that a tag may have.
var optionNames = []string{"encrypt", "deterministic", "type", "key", "write", "migrating", "mask", "fold", "lowcardinality", "redact"}

// ParseTag reads the text of a tag, what stands between the quotes of pganon:"…". It refuses what it does not know and what cannot
// be, naming the option.
func ParseTag(text string) (Tag, error) {
	t, err := parseTag(text)
	if err != nil {
		return Tag{}, fmt.Errorf("pganon: parse tag: %w", err)
	}
	return t, nil
}

// FindTag looks for a tag, pganon:"…", anywhere in a comment. What looks like one and cannot be read, and a second one, are errors: it
// may have been meant to protect something.
func FindTag(comment string) (tag Tag, found bool, err error) {
	tag, found, err = findTag(comment)
	if err != nil {
		return Tag{}, found, fmt.Errorf("pganon: find tag: %w", err)
	}
	return tag, found, nil
}

func findTag(comment string) (tag Tag, found bool, err error) {
	const wanted = `want ` + tagKey + `:"…", quoted as in a Go struct tag`
	for rest := comment; ; {
		i := indexFold(rest, tagKey)
		if i < 0 {
			return tag, found, nil
		}
		exact := strings.HasPrefix(rest[i:], tagKey+`:"`)
		rest = rest[i+len(tagKey):]
		if !exact {
			if strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ":") {
				return Tag{}, true, errors.New(wanted)
			}
			continue // the word in prose
		}
		if found {
			return Tag{}, true, errors.New("two tags, where there can be one")
		}
		quoted, err := strconv.QuotedPrefix(rest[1:])
		if err != nil {
			return Tag{}, true, errors.New(wanted)
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return Tag{}, true, errors.New(wanted)
		}
		if tag, err = parseTag(text); err != nil {
			return Tag{}, true, err
		}
		found, rest = true, rest[1+len(quoted):]
	}
}

// indexFold is strings.Index for a word of lower-case ASCII letters, in any case.
func indexFold(s, word string) int {
	for i := 0; i+len(word) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}

// option is one option of a tag.
type option struct {
	name, value string
	assigned    bool // it has =
	quoted      bool // its value is in quotes
}

// splitTag cuts a tag's text into its options.
func splitTag(text string) ([]option, error) {
	switch {
	case len(text) > maxTag:
		return nil, fmt.Errorf("longer than %d bytes", maxTag)
	case !utf8.ValidString(text):
		return nil, errors.New("not UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("a control character in it")
	}
	var options []option
	start, depth, quoted := 0, 0, false
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text):
			if quoted {
				return nil, errors.New("a quote ' that is not closed")
			}
			if depth > 0 {
				return nil, errors.New("a parenthesis that is not closed")
			}
		case text[i] == '\'':
			quoted = !quoted
			continue
		case quoted:
			continue
		case text[i] == '(':
			depth++
			continue
		case text[i] == ')':
			if depth--; depth < 0 {
				return nil, errors.New("a parenthesis that is not opened")
			}
			continue
		case text[i] != ',' || depth > 0:
			continue
		}
		o, err := parseOption(text[start:i])
		if err != nil {
			return nil, err
		}
		options = append(options, o)
		start = i + 1
	}
	return options, nil
}

func parseOption(text string) (option, error) {
	name, value, assigned := strings.Cut(text, "=")
	o := option{name: strings.TrimSpace(name), value: strings.TrimSpace(value), assigned: assigned}
	if !strings.HasPrefix(o.value, "'") {
		return o, nil
	}
	o.quoted = true
	inner := strings.TrimPrefix(o.value, "'")
	inner, closed := strings.CutSuffix(inner, "'")
	o.value = strings.ReplaceAll(inner, "''", "'")
	if !closed || strings.Count(inner, "'") != 2*strings.Count(inner, "''") {
		return o, fmt.Errorf("option %s: more than one quoted text", o.name)
	}
	return o, nil
}

func parseTag(text string) (Tag, error) {
	options, err := splitTag(text)
	if err != nil {
		return Tag{}, err
	}
	var t Tag
	var mask option
	seen := make(map[string]bool, len(options))
	for _, o := range options {
		if seen[o.name] {
			return Tag{}, fmt.Errorf("option %s: given twice", o.name)
		}
		seen[o.name] = true
		text, flag := t.field(o.name)
		switch {
		case flag != nil && o.assigned:
			return Tag{}, fmt.Errorf("option %s: takes no value", o.name)
		case flag != nil:
			*flag = true
			continue
		case text == nil && o.name != "mask":
			return Tag{}, unknownOption(o.name)
		case o.value == "" && !o.quoted:
			return Tag{}, fmt.Errorf("option %s: needs a value: %s=…", o.name, o.name)
		}
		if o.name == "mask" {
			mask = o
			continue
		}
		if *text = o.value; !o.quoted && strings.ContainsAny(o.value, "'()") && o.name != "type" {
			return Tag{}, fmt.Errorf("option %s: put the value into single quotes", o.name)
		}
	}
	if !t.Encrypt {
		return t, t.finishPlain(seen, mask)
	}
	return t, t.finishEncrypted(seen, mask)
}

// field returns where the value of an option belongs: a text, a flag, or neither.
func (t *Tag) field(name string) (*string, *bool) {
	switch name {
	case "encrypt":
		return nil, &t.Encrypt
	case "deterministic":
		return nil, &t.Deterministic
	case "migrating":
		return nil, &t.Migrating
	case "fold":
		return nil, &t.Fold
	case "lowcardinality":
		return nil, &t.LowCardinality
	case "redact":
		return nil, &t.Redact
	case "type":
		return &t.Type, nil
	case "key":
		return &t.Key, nil
	case "write":
		return &t.Write, nil
	}
	return nil, nil
}

func unknownOption(name string) error {
	switch name {
	case "":
		return errors.New("empty option")
	case "tenant":
		return errors.New("option tenant: reserved, it has no meaning yet")
	}
	return fmt.Errorf("option %s: unknown, did you mean %s?", name, nearest.Of(name, optionNames...))
}

// finishPlain checks the tag of a column that is not encrypted.
func (t *Tag) finishPlain(seen map[string]bool, mask option) error {
	for _, name := range optionNames[1:] {
		if seen[name] && name != "mask" && name != "redact" {
			return fmt.Errorf("option %s: says something of encrypted columns only: write encrypt,%s", name, name)
		}
	}
	if !seen["mask"] {
		return nil
	}
	if mask.quoted || !isCall(mask.value) {
		return errors.New("option mask: want a function's name, with arguments in parentheses where it has some; a constant is for encrypted columns")
	}
	t.MaskFunction = mask.value
	return nil
}

// isCall tells a function's name, with or without arguments. splitTag has seen that quotes and parentheses are closed.
func isCall(s string) bool {
	name, arguments, called := strings.Cut(s, "(")
	for part := range strings.SplitSeq(strings.TrimSpace(name), ".") {
		for i, c := range part {
			if c != '_' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c)) {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	depth, quoted := 1, false
	for i, c := range []byte(arguments) {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i == len(arguments)-1
			}
		}
	}
	return !called
}

// finishEncrypted checks the tag of an encrypted column.
func (t *Tag) finishEncrypted(seen map[string]bool, mask option) error {
	typ, err := canon.ParseType(t.Type)
	switch {
	case t.Redact:
		return errors.New("option redact: an encrypted column is redacted by itself; take one of the two away")
	case err != nil:
		return fmt.Errorf("option type: %w", err)
	case seen["type"] && typ.String() == "":
		return errors.New("option type: empty")
	case seen["key"] && t.Key == "":
		return errors.New("option key: an empty label")
	case !t.Deterministic && t.Write != "":
		return errors.New("option write: only deterministic columns have a key of their own to write under; others use the ring's first")
	case !t.Deterministic && t.LowCardinality:
		return errors.New("option lowcardinality: says something of deterministic columns only")
	case t.Fold && !typ.Folds():
		return fmt.Errorf("option fold: values of type %s have no case", typ)
	}
	t.Type = typ.String()
	if t.Deterministic {
		err := typ.Deterministic()
		if errors.Is(err, canon.ErrLowCardinality) {
			if t.LowCardinality {
				err = nil
			} else {
				err = fmt.Errorf("%w; add lowcardinality if that is no harm", err)
			}
		}
		if err != nil {
			return fmt.Errorf("option deterministic: %w", err)
		}
	}
	if seen["write"] {
		if _, err := fernet.ParseKeyID(t.Write); err != nil {
			return errors.New("option write: want a key's id, four characters of base64url")
		}
	}
	if !seen["mask"] {
		return nil
	}
	if !mask.quoted && strings.ContainsAny(mask.value, "'()") {
		return errors.New("option mask: put the constant into single quotes; an encrypted column has no function, only a constant")
	}
	if _, _, err := typ.AppendPlain(nil, mask.value, canon.Options{}); err != nil {
		return fmt.Errorf("option mask: no value of type %s", typ)
	}
	t.Mask = sql.Null[string]{V: mask.value, Valid: true}
	return nil
}

// String returns the tag's text, as ParseTag reads it.
func (t Tag) String() string {
	var b strings.Builder
	for _, name := range optionNames {
		text, flag := t.field(name)
		switch {
		case flag != nil && *flag:
			add(&b, name)
		case text != nil && *text != "":
			add(&b, name, "=", quoteValue(*text))
		case name == "mask" && t.Mask.Valid:
			add(&b, name, "=", quoteValue(t.Mask.V))
		}
	}
	if t.MaskFunction != "" {
		add(&b, "mask=", t.MaskFunction)
	}
	return b.String()
}

func add(b *strings.Builder, parts ...string) {
	if b.Len() > 0 {
		b.WriteByte(',')
	}
	for _, part := range parts {
		b.WriteString(part)
	}
}

func quoteValue(s string) string {
	if s != "" && s == strings.TrimSpace(s) && !strings.ContainsAny(s, ",'()") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Comment returns the tag as it stands in a comment or in a struct tag: pganon:"…".
func (t Tag) Comment() string { return tagKey + ":" + strconv.Quote(t.String()) }
