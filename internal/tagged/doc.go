/*
Package tagged knows which columns of a database are tagged, and what that means for a statement.

[Load] reads everything in one round trip. What it returns does not change. It is to be called again when [Fingerprint] gives another text
than [Schema.Fingerprint], when a statement names a table that is not known, and after commands that change tables. The database has to keep
no version for that; to have all programs read again for another reason, change the comment on a schema pganon. As long as a domain has
the comment that [LabelDomain] holds, the label's Write is the right one.

What is wrong with a tag refuses the tables or the label that it is about, and [Schema.Refusals] says why; package hooks lists what is.
[Schema.Untyped] are the columns without a domain, [Schema.Unmet] the struct tags that met no column.

[Schema.Plan] says what becomes of a text: which of its parameters are encrypted, and for what, and how its outputs are decoded. Applying a
[Plan] to arguments and rows decides nothing.
*/
package tagged
