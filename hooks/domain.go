package hooks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pganon/pganon/fernet"
	"github.com/pganon/pganon/internal/sqllex"
)

// Domain describes the domain that the columns of one label have for a type.
type Domain struct {
	// Schema may be empty: then the search_path decides where the domain is made.
	Schema, Name string
	// Tag says encrypt and names its label by Key.
	Tag Tag
	// Bytea makes it a domain over bytea in place of text.
	Bytea bool
	// Keys are the keys whose tokens the domain's CHECK lets in; none: those of every key. While a deterministic label has one key here, equal
	// values have one token, and a search needs no rewriting.
	Keys []fernet.KeyID
	// Mixed: tokens of the other mode, and those with a time in them as Django's libraries make them, are still in the columns, so the
	// CHECK lets them in. It excludes Keys.
	Mixed bool
}

// tokenCheck is the name of the CHECK of a domain.
const tokenCheck = "pganon_token"

// shortestToken is the length of a token of the empty value.
const shortestToken = 100

// DomainSQL returns the SQL that makes a domain for columns that hold nothing but tokens and NULL: CREATE DOMAIN, its CHECK and
// its COMMENT, which holds the tag. The CHECK refuses plaintext, whoever writes, and its error does not print the value.
//
// Where the tag says migrating there is no CHECK yet. Plaintext becomes tokens without a table being rewritten in these steps:
// DomainSQL; ALTER TABLE … ALTER COLUMN … TYPE; once every program that writes encrypts, [ChangeDomainSQL], after which no
// plaintext can be written; the rows that are there encrypted; [ValidateDomainSQL]; ChangeDomainSQL without migrating.
func DomainSQL(d Domain) (string, error) {
	if err := d.check(); err != nil {
		return "", fmt.Errorf("pganon: write domain: %w", err)
	}
	base := "text"
	if d.Bytea {
		base = "bytea"
	}
	sql := "CREATE DOMAIN " + d.ident() + " AS pg_catalog." + base + ";\n"
	if !d.Tag.Migrating {
		sql += d.addCheck() + ";\n"
	}
	return sql + d.comment(), nil
}

// ChangeDomainSQL returns the SQL that makes a domain's CHECK and comment those of d. New values are held to the CHECK at once, those
// that are there when [ValidateDomainSQL] has been run.
//
// The key that a deterministic label writes under is changed in one transaction: LOCK TABLE … IN SHARE ROW EXCLUSIVE MODE of all tables
// that have it, ChangeDomainSQL with the new key as the only one of Keys and as the tag's write, the rows encrypted anew,
// ValidateDomainSQL.
func ChangeDomainSQL(d Domain) (string, error) {
	if err := d.check(); err != nil {
		return "", fmt.Errorf("pganon: change domain: %w", err)
	}
	return "ALTER DOMAIN " + d.ident() + " DROP CONSTRAINT IF EXISTS " + tokenCheck + ";\n" +
		d.addCheck() + " NOT VALID;\n" + d.comment(), nil
}

// ValidateDomainSQL returns the SQL that holds all values to the domain's CHECK. It reads the tables, and fails while one has a value
// that does not pass.
func ValidateDomainSQL(d Domain) (string, error) {
	if err := d.check(); err != nil {
		return "", fmt.Errorf("pganon: validate domain: %w", err)
	}
	return "ALTER DOMAIN " + d.ident() + " VALIDATE CONSTRAINT " + tokenCheck + ";\n", nil
}

func (d *Domain) check() error {
	tag, err := parseTag(d.Tag.String())
	switch {
	case err != nil:
		return err
	case !tag.Encrypt:
		return errors.New("option encrypt: missing")
	case tag.Key == "":
		return errors.New("option key: a domain's tag must name its label")
	case d.Mixed && len(d.Keys) > 0:
		return errors.New("keys: cannot be told in all tokens of a mixed column: give none")
	case len(d.Keys) > 0 && tag.Write != "" && !slices.ContainsFunc(d.Keys, func(k fernet.KeyID) bool { return k.String() == tag.Write }):
		return errors.New("option write: names a key that is not among the keys")
	}
	for _, name := range []string{d.Schema, d.Name} {
		if err := checkName(name); err != nil && (name == d.Name || name != "") {
			return err
		}
	}
	d.Tag = tag
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("name: empty")
	case len(name) > 63:
		return errors.New("name: longer than the 63 bytes that PostgreSQL keeps")
	case !utf8.ValidString(name) || strings.Contains(name, "\x00"):
		return errors.New("name: not UTF-8, or a zero byte in it")
	}
	return nil
}

func (d *Domain) ident() string {
	if d.Schema == "" {
		return sqllex.QuoteIdent(d.Name)
	}
	return sqllex.QuoteIdent(d.Schema) + "." + sqllex.QuoteIdent(d.Name)
}

// addCheck asks for the same in text and bytea; a bytea is compared as text, since how a constant of that type is printed depends on
// settings. NULL passes.
func (d *Domain) addCheck() string {
	whole, start, id := "VALUE", "left(VALUE, 8)", "substr(VALUE, 9, 4)"
	if d.Bytea {
		whole, start, id = "encode(VALUE, 'escape')", "encode(substr(VALUE, 1, 8), 'escape')", "encode(substr(VALUE, 9, 4), 'escape')"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "ALTER DOMAIN %s ADD CONSTRAINT %s CHECK (octet_length(VALUE) >= %d AND octet_length(VALUE) %% 4 = 0", d.ident(), tokenCheck, shortestToken)
	switch {
	case d.Mixed:
		fmt.Fprintf(&b, " AND %s LIKE 'gAAAA%%'", start)
	case d.Tag.Deterministic:
		fmt.Fprintf(&b, " AND %s = 'gAAAAAAA'", start)
	default:
		fmt.Fprintf(&b, " AND %s = 'gAAAAAAB'", start)
	}
	for i, k := range d.Keys {
		if i == 0 {
			fmt.Fprintf(&b, " AND %s IN (", id)
		} else {
			b.WriteString(", ")
		}
		b.WriteString(sqllex.QuoteString(k.String()))
	}
	if len(d.Keys) > 0 {
		b.WriteByte(')')
	}
	fmt.Fprintf(&b, " AND %s !~ '[^A-Za-z0-9_=-]')", whole)
	return b.String()
}

func (d *Domain) comment() string {
	return "COMMENT ON DOMAIN " + d.ident() + " IS " + sqllex.QuoteString(d.Tag.Comment()) + ";\n"
}
