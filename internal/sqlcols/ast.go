package sqlcols

// A Span is the byte range [Start, End) of a text.
type Span struct{ Start, End int }

// Pos returns the span itself, so that every node says where it stands.
func (s Span) Pos() Span { return s }

// A Name is one identifier as PostgreSQL reads it: folded or unquoted, cut at 63 bytes.
type Name struct {
	Span
	Text string
}

// A Statement is one command: *Query, *Insert, *Update, *Delete, *Merge, *Explain or *Declare.
type Statement interface {
	Pos() Span
	statement()
}

// A Query is SELECT, VALUES, TABLE or a set operation, with what may stand around it.
type Query struct {
	Span
	With    *With
	Body    Body
	OrderBy []SortItem
	Limit   Expr // nil for none and for ALL
	Offset  Expr
	Locks   []Lock // FOR UPDATE …
}

// A Body is *Select, *Values or *SetOperation. TABLE t is a *Select of *.
type Body interface {
	Pos() Span
	body()
}

// Select is SELECT … up to its windows.
type Select struct {
	Span
	Distinct   bool
	DistinctOn []Expr
	Items      []Item // none in SELECT FROM t
	Into       bool   // SELECT INTO
	From       []From
	Where      Expr
	GroupBy    []Expr // of grouping sets, cubes and rollups their elements, () leaves none
	Having     Expr
	Windows    []Window // named ones
}

// An Item is one output of SELECT or RETURNING: an expression, * or t.*.
type Item struct {
	Span
	X     Expr // a *Star for *, t.* and s.t.*
	Alias *Name
}

// Values is VALUES (…), (…).
type Values struct {
	Span
	Rows [][]Expr // *Default may stand among them in an INSERT
}

// SetOperation is UNION, INTERSECT or EXCEPT.
type SetOperation struct {
	Span
	Op          string // "union", "intersect", "except"
	All         bool
	Left, Right *Query
}

// With is WITH [RECURSIVE].
type With struct {
	Span
	Recursive bool
	Tables    []CTE
}

// A CTE is one table of a WITH.
type CTE struct {
	Span
	Name      Name
	Columns   []Name
	Statement Statement
	// SEARCH … BY … SET and CYCLE … SET … [TO … DEFAULT …] USING …: columns they read, and columns they add at the end.
	Uses []Name
	Adds []Name
	// CycleMarks are the values behind TO and DEFAULT.
	CycleMarks []Expr
}

// SortItem is one element of ORDER BY.
type SortItem struct {
	Span
	X     Expr
	Using string // the operator of USING, "" without
}

// Lock is FOR UPDATE and its kin.
type Lock struct {
	Span
	Of []RelationName
}

// Window is a window's definition: named in WINDOW, or in place behind OVER.
type Window struct {
	Span
	Name        *Name // its own
	Base        *Name // of the window it extends
	PartitionBy []Expr
	OrderBy     []SortItem
	Frame       []Expr // offsets of the frame's bounds
}

// RelationName is a possibly qualified name of a table or view. A catalog in front is kept in Catalog.
type RelationName struct {
	Span
	Catalog, Schema *Name
	Name            Name
}

// A From is an element of FROM, USING (of DELETE) or the source of MERGE: *TableRef, *SubqueryRef, *FunctionRef, *TableFunctionRef
// or *Join.
type From interface {
	Pos() Span
	from()
}

// Alias is AS name(columns).
type Alias struct {
	Span
	Name    Name
	Columns []Name
	// Types are true where the list behind the alias is one of column definitions; then Name may be empty.
	Types bool
	// Definitions are the types of Columns where Types is true.
	Definitions []Type
}

// TableRef is a table, view or CTE in FROM, or the target of a writing statement.
type TableRef struct {
	Span
	Name   RelationName
	Only   bool
	Alias  *Alias
	Sample []Expr // arguments of TABLESAMPLE and REPEATABLE
}

// SubqueryRef is a query in FROM.
type SubqueryRef struct {
	Span
	Lateral bool
	Query   *Query
	Alias   *Alias
}

// FunctionRef is a function in FROM, or several as ROWS FROM (…).
type FunctionRef struct {
	Span
	Lateral    bool
	Calls      []Expr // *Call, or another expression that looks like one (CAST, COALESCE …)
	RowsFrom   bool
	Ordinality bool
	Alias      *Alias
	// Defined says, for each call, how many columns its own AS (…) defines in ROWS FROM; 0 without.
	Defined []int
	// CallAliases are, for each call in ROWS FROM, its own AS (…); nil without.
	CallAliases []*Alias
}

// TableFunctionRef is XMLTABLE or JSON_TABLE.
type TableFunctionRef struct {
	Span
	Lateral bool
	Name    string // "xmltable", "json_table"
	Args    []Expr // every expression in it
	Columns []Name // of the table it makes, nested ones too
	Alias   *Alias
}

// Join is one join.
type Join struct {
	Span
	Kind        string // "cross", "inner", "left", "right", "full"
	Natural     bool
	Left, Right From
	On          Expr
	Using       []Name
	UsingAlias  *Name
	Alias       *Alias // of the parenthesised join
}

// Assignment is one element of SET: a column, or several as (a, b) = …, with subscripts and fields behind.
type Assignment struct {
	Span
	Targets []Target
	Value   Expr // for several targets a *Row, a *Subquery, or any other expression of a row
	Multi   bool // (…) = …
}

// Target is a column that is written.
type Target struct {
	Span
	Column Name
	Below  bool   // a[1], a.b: a part of the column
	Path   []Expr // expressions of the subscripts
}

// Insert is INSERT.
type Insert struct {
	Span
	With       *With
	Table      *TableRef
	Columns    []Target // nil for all
	Overriding bool
	Source     *Query // nil for DEFAULT VALUES
	Conflict   *Conflict
	Returning  *Returning
}

// Conflict is ON CONFLICT.
type Conflict struct {
	Span
	Elements   []ConflictElement
	Where      Expr // of the arbiter index
	Constraint *Name
	Update     bool // DO UPDATE, else DO NOTHING
	Set        []Assignment
	SetWhere   Expr
}

// ConflictElement is a column or expression of the arbiter index.
type ConflictElement struct {
	Span
	X Expr
}

// Returning is RETURNING. Old and New are the names given by WITH (OLD AS …, NEW AS …), nil where they are not renamed.
type Returning struct {
	Span
	Items    []Item
	Old, New *Name
}

// Update is UPDATE.
type Update struct {
	Span
	With      *With
	Table     *TableRef
	Set       []Assignment
	From      []From
	Where     Expr // nil also for WHERE CURRENT OF
	CurrentOf *Name
	Returning *Returning
}

// Delete is DELETE.
type Delete struct {
	Span
	With      *With
	Table     *TableRef
	Using     []From
	Where     Expr
	CurrentOf *Name
	Returning *Returning
}

// Merge is MERGE.
type Merge struct {
	Span
	With      *With
	Target    *TableRef
	Source    From
	On        Expr
	Whens     []MergeWhen
	Returning *Returning
}

// MergeWhen is one WHEN … THEN ….
type MergeWhen struct {
	Span
	Matched  bool
	BySource bool // NOT MATCHED BY SOURCE
	And      Expr
	Action   string   // "insert", "update", "delete", "nothing"
	Columns  []Target // of insert, nil for all
	Values   []Expr   // of insert; nil for DEFAULT VALUES
	Set      []Assignment
}

// Explain is EXPLAIN of one of the others.
type Explain struct {
	Span
	Statement Statement
}

// Declare is DECLARE … CURSOR FOR a query.
type Declare struct {
	Span
	Cursor Name
	Query  *Query
}

func (*Query) statement()   {}
func (*Insert) statement()  {}
func (*Update) statement()  {}
func (*Delete) statement()  {}
func (*Merge) statement()   {}
func (*Explain) statement() {}
func (*Declare) statement() {}

func (*Select) body()       {}
func (*Values) body()       {}
func (*SetOperation) body() {}

func (*TableRef) from()         {}
func (*SubqueryRef) from()      {}
func (*FunctionRef) from()      {}
func (*TableFunctionRef) from() {}
func (*Join) from()             {}

// An Expr is an expression. Parentheses leave no node; Span is without them.
type Expr interface {
	Pos() Span
	expr()
}

type (
	// ColumnRef is a name of one to four parts: column, table.column, schema.table.column, catalog.schema.table.column. A table's name
	// alone is its whole row; only names in scope tell which it is.
	ColumnRef struct {
		Span
		Parts []Name
	}
	// Star is * (no parts), t.*, s.t.* or c.s.t.*; elsewhere than in a list of outputs, it is the row.
	Star struct {
		Span
		Parts []Name
	}
	// Param is $n.
	Param struct {
		Span
		N int
	}
	// Literal is a constant. Text is its value where it is a string, and as written where it is a number.
	Literal struct {
		Span
		Kind LiteralKind
		Text string
	}
	// Default is DEFAULT, in VALUES and SET.
	Default struct{ Span }
	// Cast is CAST(x AS t), x::t, and t 'x' of a type's name before a string.
	Cast struct {
		Span
		X    Expr
		Type Type
	}
	// Unary is a prefix (or, to PostgreSQL 13, a postfix) operator.
	Unary struct {
		Span
		Op Operator
		X  Expr
	}
	// Binary is an infix operator, comparisons and LIKE (as ~~, !~~, ~~*, !~~*, with Op.Word) among them, and SIMILAR TO (as ~, !~).
	Binary struct {
		Span
		Op     Operator
		L, R   Expr
		Escape Expr // of LIKE and SIMILAR TO
	}
	// Logic is AND, OR or NOT.
	Logic struct {
		Span
		Op   string // "and", "or", "not"
		Args []Expr
	}
	// Is is IS [NOT] NULL, TRUE, FALSE, UNKNOWN, DOCUMENT, NORMALIZED, JSON; also ISNULL and NOTNULL.
	Is struct {
		Span
		X    Expr
		Not  bool
		What string // "null", "true", …
	}
	// DistinctFrom is IS [NOT] DISTINCT FROM.
	DistinctFrom struct {
		Span
		L, R Expr
		Not  bool
	}
	// Between is [NOT] BETWEEN [SYMMETRIC].
	Between struct {
		Span
		X, Low, High Expr
		Not          bool
	}
	// In is [NOT] IN. One of List and Query is set.
	In struct {
		Span
		X     Expr
		Not   bool
		List  []Expr
		Query *Query
	}
	// Any is x op ANY (…) or ALL (…); SOME is ANY. LIKE ANY has Op.Word. One of Array and Query is set.
	Any struct {
		Span
		X     Expr
		Op    Operator
		All   bool
		Array Expr
		Query *Query
	}
	// Row is (a, b) or ROW(…).
	Row struct {
		Span
		Items    []Expr
		Explicit bool
	}
	// Array is ARRAY[…]; a nested list without the word is one too.
	Array struct {
		Span
		Items []Expr
	}
	// ArrayQuery is ARRAY(SELECT …).
	ArrayQuery struct {
		Span
		Query *Query
	}
	// Subscript is x[i], x[i:j]; At are the bounds that are there.
	Subscript struct {
		Span
		X     Expr
		At    []Expr
		Slice bool
	}
	// Field is (x).name; (x).* has Star.
	Field struct {
		Span
		X    Expr
		Name Name
		Star bool
	}
	// Case is CASE.
	Case struct {
		Span
		Operand Expr
		Whens   []When
		Else    Expr
	}
	// Call is a function's call. What the grammar has of its own for it (COALESCE, NULLIF, GREATEST, LEAST, EXTRACT, SUBSTRING FROM,
	// XMLELEMENT, JSON_OBJECT, CURRENT_DATE …) has Keyword and no Name; all expressions in it are among Args, in the text's order.
	Call struct {
		Span
		Name        []Name // schema in front
		Keyword     string // lower case
		Args        []Arg
		Star        bool // f(*)
		Distinct    bool
		Variadic    bool // before the last argument
		OrderBy     []SortItem
		WithinGroup bool // OrderBy is that of WITHIN GROUP
		Filter      Expr
		Over        *Window // nil without; named only: OVER name has Base and nothing else
	}
	// Subquery is (SELECT …) as a value.
	Subquery struct {
		Span
		Query *Query
	}
	// Exists is EXISTS (…).
	Exists struct {
		Span
		Query *Query
	}
	// Collate is x COLLATE c.
	Collate struct {
		Span
		X Expr
	}
	// AtTimeZone is x AT TIME ZONE z and x AT LOCAL.
	AtTimeZone struct {
		Span
		X, Zone Expr
	}
	// Overlaps is (a, b) OVERLAPS (c, d).
	Overlaps struct {
		Span
		L, R Expr
	}
)

// When is one arm of CASE.
type When struct {
	Span
	If, Then Expr
}

// Arg is one argument of a call, with its name where it is given by name.
type Arg struct {
	X    Expr
	Name *Name
}

// Operator is an operator: its symbol, and its schema where it is written OPERATOR(s.op).
type Operator struct {
	Span
	Symbol string // != is <>
	Schema *Name
	Word   string // "like", "ilike", "similar to" where it is written so
}

// Type is the name of a type in a cast.
type Type struct {
	Span
	Names []Name // schema in front; the grammar's own types under the names of pg_type: int4, varchar, bpchar, timestamptz …
	Mods  []Expr // length, precision and scale
	Array bool   // one dimension or more
	SetOf bool
}

// LiteralKind is the kind of a constant.
type LiteralKind uint8

// The kinds of constants.
const (
	Null LiteralKind = iota
	String
	Number
	Bool
	Bits
)

func (*ColumnRef) expr()    {}
func (*Star) expr()         {}
func (*Param) expr()        {}
func (*Literal) expr()      {}
func (*Default) expr()      {}
func (*Cast) expr()         {}
func (*Unary) expr()        {}
func (*Binary) expr()       {}
func (*Logic) expr()        {}
func (*Is) expr()           {}
func (*DistinctFrom) expr() {}
func (*Between) expr()      {}
func (*In) expr()           {}
func (*Any) expr()          {}
func (*Row) expr()          {}
func (*Array) expr()        {}
func (*ArrayQuery) expr()   {}
func (*Subscript) expr()    {}
func (*Field) expr()        {}
func (*Case) expr()         {}
func (*Call) expr()         {}
func (*Subquery) expr()     {}
func (*Exists) expr()       {}
func (*Collate) expr()      {}
func (*AtTimeZone) expr()   {}
func (*Overlaps) expr()     {}
