package redact

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pganon/pganon/internal/sqllex"
)

// naming are the functions of PostgreSQL 10 to 18 that set an error's constraint, schema, table, column or data type from the
// catalog (errtable, errtablecol, errtableconstraint, errdatatype, errdomainconstraint). RAISE and the procedural languages set
// them from anything.
var naming = set(`_bt_check_unique _bt_check_third_page comparetup_index_btree comparetup_index_btree_tiebreak
	check_exclusion_constraint check_exclusion_or_unique_constraint index_recheck_constraint
	ExecConstraints ReportNotNullViolationError ExecPartitionCheckEmitError ExecFindPartition ExecWithCheckOptions
	ri_ReportViolation RI_FKey_check RI_Initial_Check RI_PartitionRemove_Check ri_CheckTrigger
	ATRewriteTable ATPrepChangePersistence validateCheckConstraint check_default_partition_contents
	domain_check_input ExecEvalConstraintNotNull ExecEvalConstraintCheck
	AlterDomainNotNull AlterDomainAddConstraint validateDomainConstraint validateDomainCheckConstraint validateDomainNotNullConstraint
	AlterDomainDropConstraint AlterDomainValidateConstraint`)

// inputs are the types whose input functions raise an error.
var inputs = map[string]string{
	"pg_atoi": "integer", "pg_strtoint16": "smallint", "pg_strtoint16_safe": "smallint", "pg_strtoint32": "integer",
	"pg_strtoint32_safe": "integer", "pg_strtoint64": "bigint", "pg_strtoint64_safe": "bigint", "scanint8": "bigint",
	"string_to_uuid": "uuid", "boolin": "boolean", "float4in_internal": "real", "float8in_internal": "double precision",
	"numeric_in": "numeric", "set_var_from_str": "numeric", "apply_typmod": "numeric", "enum_in": "enum", "network_in": "inet",
	"array_in": "array", "ReadArrayStr": "array", "ArrayCount": "array", "json_errsave_error": "json", "report_json_error": "json",
	"report_parse_error": "json", "json_ereport_error": "json", "varchar": "character varying", "varchar_input": "character varying",
	"bpchar": "character", "bpchar_input": "character", "DateTimeParseError": "date/time", "byteain": "bytea", "hex_decode": "bytea",
	"hex_decode_safe": "bytea", "parse_range": "range", "range_parse": "range", "point_decode": "point", "single_decode": "geometric",
	"pair_decode": "geometric", "record_in": "record", "bit_in": "bit", "varbit_in": "bit varying", "xml_ereport": "xml",
	"macaddr_in": "macaddr", "gettoken_tsvector": "tsvector", "prsd_error": "tsquery", "jsonpath_yyerror": "jsonpath",
}

var severities = set("ERROR FATAL PANIC WARNING NOTICE DEBUG INFO LOG")

// statements are class 42 errors whose message names what stands at Position; %s is that, with a space before it, or nothing.
var statements = map[string]string{
	"42601": "syntax error at or near%s", "42703": "column%s does not exist", "42P01": "relation%s does not exist",
	"42702": "column reference%s is ambiguous", "42704": "object%s does not exist", "42701": "column%s specified more than once",
	"42P02": "there is no parameter%s", "42883": "function or operator%s does not exist", "42725": "function or operator%s is not unique",
	"42803": "grouping error at%s", "42804": "datatype mismatch at%s", "42P18": "could not determine data type of%s",
	"42P08": "inconsistent types deduced for%s", "42P10": "invalid column reference%s", "42712": "table name%s specified more than once",
	"42846": "cannot cast%s", "42809": "wrong object type%s", "42P07": "relation%s already exists", "42P06": "schema%s already exists",
	"42723": "function%s already exists", "42710": "object%s already exists",
}

// messages are PostgreSQL's own words where SQLSTATE and routine leave no doubt, or one sense.
var messages = map[string]string{
	"25006": "cannot execute this statement in a read-only transaction", "25P02": "current transaction is aborted, commands ignored until end of transaction block",
	"22012": "division by zero", "40001": "could not serialize access", "40P01": "deadlock detected", "42501": "permission denied",
	"57014": "canceling statement", "28P01": "password authentication failed", "3D000": "database does not exist",
	"53300": "too many connections", "55P03": "could not obtain lock", "57P01": "terminating connection due to administrator command",
}

func set(words string) map[string]bool {
	all := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}

var (
	routineForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,79}$`)
	fileForm    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,120}\.[a-z]{1,4}$`)
	plainName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*$`)
)

// server returns a copy of e that holds no values. Nothing of it comes from e's prose, which is translated and quotes data.
func (o ErrorOptions) server(e *pgconn.PgError) *pgconn.PgError {
	clean := &pgconn.PgError{
		Code: e.Code, Position: max(e.Position, 0), InternalPosition: max(e.InternalPosition, 0), Line: max(e.Line, 0),
		SeverityUnlocalized: "ERROR",
	}
	if !stateForm(e.Code) {
		clean.Code = "XX000"
	}
	if severities[e.SeverityUnlocalized] {
		clean.SeverityUnlocalized = e.SeverityUnlocalized
	} else if e.SeverityUnlocalized == "" && severities[e.Severity] {
		clean.SeverityUnlocalized = e.Severity // PostgreSQL 9.5 and before
	}
	clean.Severity = clean.SeverityUnlocalized
	if routineForm.MatchString(e.Routine) {
		clean.Routine = e.Routine
	}
	if fileForm.MatchString(e.File) {
		clean.File = e.File
	}
	trusted := naming[e.Routine]
	name := func(s string) string {
		if trusted || s != "" && o.Known != nil && o.Known(s) {
			return s
		}
		return ""
	}
	clean.SchemaName, clean.TableName, clean.ColumnName = name(e.SchemaName), name(e.TableName), name(e.ColumnName)
	clean.DataTypeName, clean.ConstraintName = name(e.DataTypeName), name(e.ConstraintName)
	clean.Message = o.message(clean)
	if clean.ConstraintName != "" {
		switch clean.Code {
		case "23505":
			clean.Detail = "Key of " + strconv.Quote(clean.ConstraintName) + " already exists."
		case "23P01":
			clean.Detail = "Key of " + strconv.Quote(clean.ConstraintName) + " conflicts with an existing key."
		}
	}
	return clean
}

func stateForm(code string) bool {
	if len(code) != 5 {
		return false
	}
	for _, c := range []byte(code) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// condition returns the name of a SQLSTATE, else its class's.
func condition(code string) string {
	if name, ok := conditions[code]; ok {
		return name
	}
	if name, ok := conditions[code[:2]+"000"]; ok {
		return name
	}
	return "unknown condition"
}

// message writes the message of e, whose other fields are clean.
func (o ErrorOptions) message(e *pgconn.PgError) string {
	table, column, typ, constraint := quoted(e.TableName), quoted(e.ColumnName), quoted(e.DataTypeName), quoted(e.ConstraintName)
	switch e.Code {
	case "23505":
		if constraint != "" {
			return "duplicate key value violates unique constraint " + constraint
		}
	case "23503", "23001":
		if constraint != "" && table != "" {
			return "operation violates foreign key constraint " + constraint + " of table " + table
		}
	case "23502":
		switch {
		case column != "" && table != "":
			return "null value in column " + column + " of relation " + table + " violates not-null constraint"
		case typ != "":
			return "domain " + typ + " does not allow null values"
		}
	case "23514":
		switch {
		case typ != "" && constraint != "":
			return "value for domain " + typ + " violates check constraint " + constraint
		case constraint != "" && table != "":
			return "row of relation " + table + " violates check constraint " + constraint
		case table != "" && e.Routine == "ExecFindPartition":
			return "no partition of relation " + table + " found for row"
		case table != "":
			return "row of relation " + table + " violates its partition constraint"
		}
	case "23P01":
		if constraint != "" {
			return "conflicting key value violates exclusion constraint " + constraint
		}
	case "22P02", "22007", "22003", "22001", "22008":
		if of, ok := inputs[e.Routine]; ok {
			switch e.Code {
			case "22003", "22008":
				return "value out of range for type " + of
			case "22001":
				return "value too long for type " + of
			}
			return "invalid input syntax for type " + of
		}
	}
	if e.Routine == "exec_stmt_raise" {
		return condition(e.Code)
	}
	if e.Code == "42501" && e.Routine == "ExecWithCheckOptions" {
		return "new row violates row-level security policy"
	}
	if form, ok := statements[e.Code]; ok && e.Routine != "" {
		at := o.at(e.Code, int(e.Position))
		if at == "" {
			return strings.Replace(strings.TrimSuffix(strings.TrimSuffix(form, "%s"), " at or near"), "%s", "", 1)
		}
		return strings.Replace(form, "%s", " "+at, 1)
	}
	if text, ok := messages[e.Code]; ok && e.Routine != "" {
		return text
	}
	return condition(e.Code)
}

func quoted(name string) string {
	if name == "" {
		return ""
	}
	return strconv.Quote(name)
}

// at returns what of the statement's text stands at position and may be shown, quoted, or "".
func (o ErrorOptions) at(code string, position int) string {
	offset, ok := sqllex.Offset(o.SQL, position)
	if !ok || o.SQL == "" {
		return ""
	}
	lx := sqllex.New(o.SQL)
	var before, t sqllex.Token
	literals := false
	for t = lx.Next(); t.Kind != sqllex.EOF && t.Start < offset; t = lx.Next() {
		literals = literals || t.Kind.IsString() || t.Kind == sqllex.QuotedIdent && code == "42601"
		before = t
	}
	if t.Kind == sqllex.EOF && code == "42601" {
		return "end of input"
	}
	if t.Start != offset || t.Kind == sqllex.Illegal {
		return ""
	}
	// A value with a quote in it, pasted into the text, goes on as identifiers behind the literal it has ended.
	whole := lx
	broken := false
	for r := whole.Next(); r.Kind != sqllex.EOF; r = whole.Next() {
		broken = broken || r.Kind == sqllex.Illegal
	}
	glued := before.End == t.Start && (before.Kind.IsString() || before.Kind.IsIdent()) && before.End > 0
	switch {
	case t.Kind == sqllex.Param || t.Kind == sqllex.Operator:
		return lx.Text(t)
	case t.Kind.IsString(), t.Kind == sqllex.Integer, t.Kind == sqllex.Decimal:
		return "'" + gone + "'"
	case !t.Kind.IsIdent():
		if broken || glued {
			return ""
		}
		return strconv.Quote(lx.Text(t))
	case broken || glued || code == "42601" && literals:
		return `"` + gone + `"`
	}
	var names []string
	hidden := false
	for {
		name, err := lx.Ident(t)
		if err != nil {
			return `"` + gone + `"`
		}
		if t.Kind != sqllex.Ident && (o.Known == nil || !o.Known(name)) {
			hidden = true
		}
		names = append(names, name)
		next := lx
		if next.Next().Kind != sqllex.Dot {
			break
		}
		following := next.Next()
		if !following.Kind.IsIdent() || len(names) == 4 {
			break
		}
		lx, t = next, following
	}
	// "alice@example.org" in place of 'alice@example.org' is an identifier to the lexer; no such mistake is qualified or a table.
	if hidden && len(names) == 1 && (code != "42P01" || !plainName.MatchString(names[0])) {
		return `"` + gone + `"`
	}
	return strconv.Quote(strings.Join(names, "."))
}
