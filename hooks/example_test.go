package hooks_test

import (
	"fmt"
	"log"

	"github.com/pganon/pganon/hooks"
)

// The SQL of a domain for new columns.
func ExampleDomainSQL() {
	tag, err := hooks.ParseTag("encrypt,deterministic,key=email")
	if err != nil {
		log.Fatal(err)
	}
	sql, err := hooks.DomainSQL(hooks.Domain{Schema: "app", Name: "email", Tag: tag})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(sql)
	// Output:
	// CREATE DOMAIN "app"."email" AS pg_catalog.text;
	// ALTER DOMAIN "app"."email" ADD CONSTRAINT pganon_token CHECK (octet_length(VALUE) >= 100 AND octet_length(VALUE) % 4 = 0 AND left(VALUE, 8) = 'gAAAAAAA' AND VALUE !~ '[^A-Za-z0-9_=-]');
	// COMMENT ON DOMAIN "app"."email" IS 'pganon:"encrypt,deterministic,key=email"';
}

type Patient struct {
	ID      int64
	Email   string `pganon:"encrypt,deterministic"`
	HomeURL string `pganon:"redact"`
}

// Struct tags, by GORM's names.
func ExampleParseModels() {
	columns, err := hooks.ParseModels([]any{Patient{}})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range columns {
		fmt.Printf("%s.%s: %s\n", c.Table, c.Column, c.Tag)
	}
	// Output:
	// patients.email: encrypt,deterministic
	// patients.home_url: redact
}

// A tag is found anywhere in a comment.
func ExampleFindTag() {
	tag, found, err := hooks.FindTag(`where we write to, pganon:"encrypt,mask='***@***'"`)
	fmt.Println(tag.Mask.V, found, err)
	_, _, err = hooks.FindTag(`pganon:"encrypt,determinstic"`)
	fmt.Println(err)
	// Output:
	// ***@*** true <nil>
	// pganon: find tag: option determinstic: unknown, did you mean deterministic?
}
