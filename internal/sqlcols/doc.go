// Package sqlcols says which parameters and which outputs of a SQL text meet which columns.
//
//	a, err := sqlcols.Analyze("SELECT email FROM users WHERE email = $1", schema)
//
// tells that $1 is compared with users.email, so that it has to be encrypted with the key of that column, and that the output is
// users.email, so that it has to be decrypted. The schema says what names mean and which columns are encrypted. What is not understood is
// refused, by an [Error] that names column, position and reason and holds no value.
//
// # What is read
//
// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE and MERGE, EXPLAIN of them and DECLARE of a query, one in a text, with all expressions, as
// PostgreSQL 15 to 18 read them while standard_conforming_strings is on: see [Parse]. Names are resolved as the server's parse analysis
// does: scopes, aliases and their columns, WITH, LATERAL, merged columns, whole rows, names and numbers of outputs, OLD, NEW and excluded.
//
// # How values are followed
//
// A value is followed from where it enters the statement to where it leaves it, as what it may be: encrypted columns, parameters,
// something else. It stays that through sub-selects, WITH, VALUES, set operations, COALESCE, CASE, NULLIF, ARRAY, array_agg, unnest,
// parentheses, and casts to text, varchar and bytea that change nothing. Everything else computes: an encrypted value that gets
// there is refused. Where an encrypted value meets parameters, they take its key; where it meets anything else but NULL, or a column of
// another key, that is refused. Encrypted values are compared for being equal only, and only those of a searchable key.
//
// In the end each parameter has one meaning, or the statement is refused. Whether it is NULL may always be asked.
//
// # Which function or operator
//
// Functions and operators of PostgreSQL's own are taken by their names; one in the search_path that takes precedence by its argument types
// is not seen. A function with an encrypted argument or result is known by the schema, but which of several functions of one name
// the server chooses is not: those that fit must agree. So the types that the server gives to parameters should be held against the analysis.
//
// # Several keys
//
// While a column can hold tokens of several keys, [Analysis.Widen] makes searches cover all of them, and says of what cannot be made to.
package sqlcols
