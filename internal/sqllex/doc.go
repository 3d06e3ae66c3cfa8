// Package sqllex reads SQL text with PostgreSQL's own lexical rules: it cuts a text into tokens, splits a text of several
// commands and tells what kind of command a text is. It parses no expressions and needs no server.
//
// # Tokens
//
//	lx := sqllex.New("SELECT 'it''s' FROM \"T\" WHERE a = $1")
//	for t := lx.Next(); t.Kind != sqllex.EOF; t = lx.Next() {
//		fmt.Println(t.Kind, lx.Text(t))
//	}
//	err := lx.Err()
//
// The rules are those of src/backend/parser/scan.l of PostgreSQL 10 to 18 (documentation: chapter 4.1, Lexical Structure).
// Tokens are byte ranges of the text; making one allocates nothing. What the server refuses at this level, and what its
// versions read differently, is one last [Illegal] token that reaches to the end of the text, with a [Reason]: 1e'x' is a number
// and an escape string before version 15 and an error since, so it is Illegal here. Where versions differ
// and nothing can be gained from it, the newest rule holds: a vertical tab is white space (17 and later; an error before), 0x1F, 0b1,
// 0o7 and 1_000 are numbers (16 and later; an error in 15, a number and an alias before).
//
// # What the caller must know
//
//   - Text is UTF-8 and client_encoding is UTF8. No encoding a server can have turns another character into an ASCII byte, so
//     tokens end where the server ends them whatever server_encoding is; but with one other than UTF8 the server may fold and
//     truncate names otherwise than [Lexer.Ident] and accept bytes that [Lexer.StringValue] refuses.
//   - standard_conforming_strings is on. If it is off, say so in [Options]; if it is not known, the text cannot be read. A text
//     that changes it changes how the next text is read, not itself.
//   - A name is cut at 63 bytes; a server built with another NAMEDATALEN is not covered.
//   - The server is PostgreSQL, or reads SQL exactly as it does.
//
// # Splitting
//
// [Split] is for a text that is to be sent as one simple Query with something put before each command. Its one promise is that
// the server sees the same borders. It does not guess: a text whose borders depend on more than this package tracks is an error.
// A server parses the whole text of a Query before it runs any of it, so a text it finds syntactically wrong runs nothing; for
// every text it accepts, a semicolon is a border unless it stands in the parentheses of CREATE RULE … DO ( … ) or in the body of
// CREATE FUNCTION or PROCEDURE … BEGIN ATOMIC … END, and those two are all the grammar has.
//
// # Classifying
//
// [Classify] reads the first words of a text and as little more as it can: what a driver has to send around a command, whether
// the command can run in a transaction block, what it leaves on the session. It does not check syntax, except for the commands
// that control transactions: a driver may want to send those bare, so everything up to the semicolon must be what the grammar
// allows (but that any word passes for a name), else they are [Unknown].
package sqllex
