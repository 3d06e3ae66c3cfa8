/*
Package hooks says which columns are tagged, and how: tags, the SQL of domains that have them, and arguments for what SQL does not say.

# Tags

A tag says what a column holds. It is written the same way in a comment of the database and in a Go struct tag:

	pganon:"encrypt"                       another token each time; nothing can be learnt from it, or searched
	pganon:"encrypt,deterministic"         equal values, equal tokens: =, IN, = ANY, joins and UNIQUE work
	pganon:"redact"                        not encrypted, but never shown in an error or log
	pganon:"mask=anon.fake_email"          how a masked role sees a column that is not encrypted

[Tag] has all options, and the grammar.

# The type is the tag

The best place for a tag is the comment on a domain, one for each label that keys are derived from. [DomainSQL] writes it:

	sql, err := hooks.DomainSQL(hooks.Domain{Schema: "app", Name: "email", Tag: tag}) // tag: encrypt,deterministic,key=email

	CREATE DOMAIN app.email …
	CREATE TABLE users (id bigint PRIMARY KEY, email app.email UNIQUE);

Whatever has the type has the tag: partitions, children, views, CREATE TABLE AS, the arguments and results of functions. The domain's CHECK
takes tokens and NULL, whoever writes, and PostgreSQL itself says of a parameter that it is one. How the plaintext that is
there becomes tokens, and how a key is replaced by another, stands at DomainSQL and [ChangeDomainSQL].

# Without a domain

A column can have its tag in its own comment, or in a struct that [ParseModels] reads:

	type User struct {
		ID    int64
		Email string `pganon:"encrypt,deterministic"`
	}

Then no CHECK stops who writes past this driver: a rule, a trigger, a DEFAULT, a program that does not know of the tag. The driver lists
such columns when it reads the tags, and refuses them with pganon.domains=required. Their children and partitions have the tag too, and so has each
column of a view that shows their values. Without key= the label is the column's name, so whoever renames the column loses its keys.

Where two places tag one column they must agree; key, write, mask, migrating and lowcardinality may stand in one of them only.

# What is refused

A tag is never guessed at, and a table never used as if it had none. What is wrong with a column refuses the table that has it,
what is wrong with a label all that have the label, and other tables go on. The driver's log and its errors give the reasons, each with the
column and the option, among them:

  - options that are unknown or cannot go together; two sources that differ; one label with two modes, types or base types;
  - a type that cannot hold tokens: it must be text, bytea, or varchar with at least 228 characters, or a domain over one of them,
    with a collation that tells different texts apart; arrays, rows and ranges of encrypted values are not supported;
  - a DEFAULT other than NULL, GENERATED, a partition key; a generated column made from an encrypted one;
  - a key that a tag or CHECK names and the ring lacks; a key to write under that the CHECK does not let in;
  - a view that does with an encrypted column what a statement may not do, such as lower(email); a table with a rule that reaches one;
  - a tag that was there when the tags were read before, and is not any more;
  - a label on a column that Config.Labels does not name for it, where it has entries.

# Limits

What a function or trigger does inside is not seen. A function that returns an encrypted value as text returns a token; declare its
result with the domain. A struct tag is found by names; the driver lists those that met no column.
*/
package hooks
