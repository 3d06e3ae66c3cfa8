// Package judge holds sqlcols.Parse against PostgreSQL's own parser, libpg_query, on PostgreSQL's regression SQL, on statements of newer
// versions and on mutants of both. It is a module of its own, so that cgo reaches nobody else. corpus.sh fetches the SQL.
package judge
