package sqlcols

// Bounds of what is read. A text beyond one of them is an *Error.
const (
	MaxText  = 1 << 20 // bytes
	MaxDepth = 500     // of nested expressions and queries
)

// OtherCommand is the Reason of an Error for a command that is none of the Statements.
const OtherCommand = "a command that neither reads nor writes rows by an expression"

// Key stands for the keys that the columns of one label share. Two columns have the same key if their Key is the same pointer.
type Key struct {
	Label string
	// Searchable is true of a deterministic label: its tokens can be compared.
	Searchable bool
	// Several is true while tokens of more than one key can occur in the label's columns, so that equal values may have different
	// tokens.
	Several bool
	// Mixed is true while the label's columns may hold tokens of more than one key at once, so that two columns of it cannot be compared,
	// nor the values of one with each other. Several without Mixed is a label whose columns are held to one key, which may become another
	// from one moment to the next.
	Mixed bool
	// Migrating is true while the label's columns may hold plaintext too. Mixed is true then.
	Migrating bool
}

// Relation is a table or view as the schema has it.
type Relation struct {
	OID          uint32
	Schema, Name string
	Columns      []Column // in their order, without dropped ones
	// Opaque says why no statement may use the relation: a view that shows an encrypted column whose type does not say so, a rule that
	// writes to one. "" where it may be used.
	Opaque string
}

// Column is a column of a Relation.
type Column struct {
	Name   string
	Number int16 // attribute number, as RowDescription reports it
	Key    *Key  // nil where it is not encrypted
	// Text is true of text and varchar, and of domains over them; false of bytea and all others.
	Text bool
}

// Function is a function as far as its declared types concern encryption: nil Keys are of types that hold no label.
type Function struct {
	Args []*Key
	// Wraps says of which arguments the types hold encrypted values inside, in an array, a row or a range; nil for none.
	Wraps []bool
	// Result is the key of its result's domain.
	Result *Key
	// Columns are those of a function that returns rows of declared columns (RETURNS TABLE, OUT, SETOF a table).
	Columns []Column
}

// Schema resolves names as the server does for the role that a statement runs under.
type Schema interface {
	// Relation returns what a name means: in schema, or where that is "" by the search path. Nil: there is none, as far as is known.
	Relation(schema, name string) *Relation
	// Functions returns the functions of that name if any of them has to do with encryption by an argument or its result; else nil.
	Functions(schema, name string) []Function
}

// Use is how a parameter meets a column.
type Use uint8

const (
	// Assigned is a parameter that is written into the column.
	Assigned Use = iota
	// Compared is a parameter that is compared with the column.
	Compared
	// Argument is a parameter that is an argument of a function whose declared type has a label.
	Argument
)

// Meeting is one place where a parameter meets an encrypted column.
type Meeting struct {
	Use    Use
	Column Origin // zero for Argument
	Key    *Key
	// Array is true where the parameter is an array of values: = ANY($1), unnest($1).
	Array bool
	// At is where the parameter stands; behind it, in the same operand, only casts to text or varchar.
	At Span
	// Comparison is how to widen a search while Key.Several: nil where Use is not Compared, or where it cannot be done.
	Comparison *Comparison

	function string // of Argument
}

// Comparison is a search for one value by one parameter, which has to become one for all tokens that the value can have.
type Comparison struct {
	Kind ComparisonKind
	// Whole is the comparison, Other the operand that is the column, Operand the one that is the parameter, its casts included;
	// parentheses around an operand are not.
	Whole, Other, Operand Span

	symbol Span // the operator of Equal and NotEqual
	list   int  // where the list of Element ends, before its bracket
}

// ComparisonKind is the form of a Comparison.
type ComparisonKind uint8

const (
	Equal           ComparisonKind = iota // e = $1: e = ANY(tokens)
	NotEqual                              // e <> $1: e <> ALL(tokens)
	Element                               // an element of IN or NOT IN: more elements
	ArrayElements                         // e = ANY($1), e <> ALL($1): more elements in the array
	Distinct                              // e IS DISTINCT FROM $1
	NotDistinctFrom                       // e IS NOT DISTINCT FROM $1
)

// Origin is a column of a relation.
type Origin struct {
	Relation *Relation
	Column   *Column
}

// Parameter is what is known of $n.
type Parameter struct {
	// Key is that of all its meetings, nil where it has none: then it is passed on as it is.
	Key      *Key
	Meetings []Meeting
	// Used is false for a number that the text skips.
	Used bool
}

// Output is what is known of an output column.
type Output struct {
	Name string
	// Origins are the encrypted columns whose unchanged values it holds; all have one key. None: it holds no encrypted value.
	Origins []Origin
	Key     *Key
	// Array is true where it is an array of such values.
	Array bool
}

// Reference is a name in the text that means a relation.
type Reference struct {
	Schema, Name string // as it is written, "" without a schema
	Relation     *Relation
}

// Analysis is what a statement does with encrypted columns.
type Analysis struct {
	Parameters []Parameter // of $1, $2, …
	Outputs    []Output    // nil for a statement without outputs
	// Open is true where the number of outputs is not known: then no output holds an encrypted value.
	Open       bool
	References []Reference // of all relations in it that are no CTE, each once
	// Mixed are the places that say something wrong because a key of theirs has Several: where two encrypted values meet, and where one
	// meets a parameter that is not its operand in place. Not empty: the statement has to wait until the rotation is over.
	Mixed []*Error

	occurred []occurrence // of all parameters
}

// Error is why a text is refused.
type Error struct {
	// Position is that in the text, in bytes from 0; -1 where none can be told.
	Position int
	// Column is "table.column", "" where it is of none.
	Column string
	// Parameter is the n of $n, 0 where it is of none.
	Parameter int
	// Reason says why, without a value of the text.
	Reason string
	// Syntax is true where the text could not be read: the server is the judge of it, unless an encrypted table may be in it.
	Syntax bool
	// Unknown is true where a name could not be resolved: the schema may have changed since it was read.
	Unknown bool

	alone bool // Reason names the column itself
}

// Error gives the reason as "column: reason at position".
func (e *Error) Error() string {
	text := e.Reason
	if e.Column != "" && !e.alone {
		text = e.Column + ": " + text
	}
	return text
}
