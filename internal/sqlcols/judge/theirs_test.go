package judge

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func quote(s string) string { return strconv.Quote(s) }

func itoa(n int) string { return strconv.Itoa(n) }

func theirStatement(n *pg.Node) string {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		return theirQuery(s.SelectStmt)
	case *pg.Node_InsertStmt:
		i := s.InsertStmt
		source := "_"
		if i.SelectStmt != nil {
			source = theirStatement(i.SelectStmt)
		}
		return node("insert", theirWith(i.WithClause), theirTable(i.Relation, nil), list(i.Cols, theirTarget),
			yes("overriding", i.Override != pg.OverridingKind_OVERRIDING_NOT_SET), source, theirConflict(i.OnConflictClause),
			list(i.ReturningList, theirItem))
	case *pg.Node_UpdateStmt:
		u := s.UpdateStmt
		return node("update", theirWith(u.WithClause), theirTable(u.Relation, nil), theirAssignments(u.TargetList), list(u.FromClause, theirFrom),
			theirExpr(u.WhereClause), list(u.ReturningList, theirItem))
	case *pg.Node_DeleteStmt:
		d := s.DeleteStmt
		return node("delete", theirWith(d.WithClause), theirTable(d.Relation, nil), list(d.UsingClause, theirFrom), theirExpr(d.WhereClause),
			list(d.ReturningList, theirItem))
	case *pg.Node_MergeStmt:
		m := s.MergeStmt
		return node("merge", theirWith(m.WithClause), theirTable(m.Relation, nil), theirFrom(m.SourceRelation), theirExpr(m.JoinCondition),
			list(m.MergeWhenClauses, theirWhen), list(m.ReturningList, theirItem))
	case *pg.Node_ExplainStmt:
		return node("explain", theirStatement(s.ExplainStmt.Query))
	case *pg.Node_DeclareCursorStmt:
		return node("declare", s.DeclareCursorStmt.Portalname, theirStatement(s.DeclareCursorStmt.Query))
	}
	return "(other statement)"
}

func theirWhen(n *pg.Node) string {
	w := n.GetMergeWhenClause()
	kind := map[pg.MergeMatchKind]string{
		pg.MergeMatchKind_MERGE_WHEN_MATCHED: "matched", pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_TARGET: "not-matched",
		pg.MergeMatchKind_MERGE_WHEN_NOT_MATCHED_BY_SOURCE: "not-matched-by-source",
	}[w.MatchKind]
	action, columns, set := "", "[]", "[]"
	switch w.CommandType {
	case pg.CmdType_CMD_INSERT:
		action, columns = "insert", list(w.TargetList, theirTarget)
	case pg.CmdType_CMD_UPDATE:
		action, set = "update", theirAssignments(w.TargetList)
	case pg.CmdType_CMD_DELETE:
		action = "delete"
	case pg.CmdType_CMD_NOTHING:
		action = "nothing"
	}
	return node("when", kind, theirExpr(w.Condition), action, columns, list(w.Values, theirExpr), set)
}

func theirWith(w *pg.WithClause) string {
	if w == nil {
		return "_"
	}
	return node("with", yes("recursive", w.Recursive), list(w.Ctes, func(n *pg.Node) string {
		c := n.GetCommonTableExpr()
		var uses, adds, marks []string
		if s := c.SearchClause; s != nil {
			uses = append(uses, theirStrings(s.SearchColList)...)
			adds = append(adds, quote(s.SearchSeqColumn))
		}
		if s := c.CycleClause; s != nil {
			uses = append(uses, theirStrings(s.CycleColList)...)
			adds = append(adds, quote(s.CycleMarkColumn), quote(s.CyclePathColumn))
			if location(s.CycleMarkValue) != -1 {
				marks = []string{theirExpr(s.CycleMarkValue), theirExpr(s.CycleMarkDefault)}
			}
		}
		return node("cte", c.Ctename, "["+strings.Join(theirStrings(c.Aliascolnames), " ")+"]", theirStatement(c.Ctequery),
			"["+strings.Join(uses, " ")+"]", "["+strings.Join(adds, " ")+"]", "["+strings.Join(marks, " ")+"]")
	}))
}

func location(n *pg.Node) int32 {
	if c := n.GetAConst(); c != nil {
		return c.Location
	}
	return 0
}

func theirStrings(nodes []*pg.Node) []string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		switch s := n.GetNode().(type) {
		case *pg.Node_String_:
			parts[i] = quote(s.String_.Sval)
		case *pg.Node_AStar:
			parts[i] = "*"
		}
	}
	return parts
}

func theirQuery(s *pg.SelectStmt) string {
	var body string
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		op := map[pg.SetOperation]string{
			pg.SetOperation_SETOP_UNION: "union", pg.SetOperation_SETOP_EXCEPT: "except", pg.SetOperation_SETOP_INTERSECT: "intersect",
		}[s.Op]
		body = node(op, yes("all", s.All), theirQuery(s.Larg), theirQuery(s.Rarg))
	case s.ValuesLists != nil:
		body = node("values", list(s.ValuesLists, func(n *pg.Node) string { return list(n.GetList().Items, theirExpr) }))
	default:
		distinct := "_"
		if s.DistinctClause != nil {
			on := s.DistinctClause
			if len(on) == 1 && on[0].GetNode() == nil {
				on = nil
			}
			distinct = node("distinct", list(on, theirExpr))
		}
		body = node("select", distinct, list(s.TargetList, theirItem), yes("into", s.IntoClause != nil), list(s.FromClause, theirFrom),
			theirExpr(s.WhereClause), "["+strings.Join(theirGroups(s.GroupClause), " ")+"]", theirExpr(s.HavingClause),
			list(s.WindowClause, func(n *pg.Node) string { return theirWindow(n.GetWindowDef()) }))
	}
	limit := theirExpr(s.LimitCount)
	if c := s.LimitCount.GetAConst(); c != nil && (c.Isnull || c.Location == -1) {
		limit = "_"
	}
	return node("query", theirWith(s.WithClause), body, list(s.SortClause, theirSort), limit, theirExpr(s.LimitOffset),
		list(s.LockingClause, func(n *pg.Node) string {
			return list(n.GetLockingClause().LockedRels, func(n *pg.Node) string { return theirRelation(n.GetRangeVar()) })
		}))
}

// theirGroups flattens grouping sets.
func theirGroups(nodes []*pg.Node) []string {
	var parts []string
	for _, n := range nodes {
		if set := n.GetGroupingSet(); set != nil {
			if set.Kind == pg.GroupingSetKind_GROUPING_SET_SETS {
				parts = append(parts, theirGroups(set.Content)...)
			} else {
				for _, x := range set.Content {
					parts = append(parts, theirExpr(x))
				}
			}
			continue
		}
		if row := n.GetRowExpr(); row != nil && row.RowFormat == pg.CoercionForm_COERCE_IMPLICIT_CAST {
			for _, x := range row.Args {
				parts = append(parts, theirExpr(x))
			}
			continue
		}
		parts = append(parts, theirExpr(n))
	}
	return parts
}

func theirItem(n *pg.Node) string {
	t := n.GetResTarget()
	if t.Name == "" {
		return theirExpr(t.Val)
	}
	return node("as", theirExpr(t.Val), quote(t.Name))
}

func theirSort(n *pg.Node) string {
	s := n.GetSortBy()
	if len(s.UseOp) == 0 {
		return theirExpr(s.Node)
	}
	return node("using", theirExpr(s.Node), s.UseOp[len(s.UseOp)-1].GetString_().Sval)
}

func name(s string) string {
	if s == "" {
		return "_"
	}
	return quote(s)
}

func theirWindow(w *pg.WindowDef) string {
	if w == nil {
		return "_"
	}
	var frame []*pg.Node
	for _, x := range []*pg.Node{w.StartOffset, w.EndOffset} {
		if x != nil {
			frame = append(frame, x)
		}
	}
	return node("window", name(w.Name), name(w.Refname), list(w.PartitionClause, theirExpr), list(w.OrderClause, theirSort),
		list(frame, theirExpr))
}

func theirRelation(r *pg.RangeVar) string {
	return at("rel", int(r.Location), name(r.Catalogname), name(r.Schemaname), quote(r.Relname))
}

func theirAlias(a *pg.Alias) string {
	if a == nil {
		return "_"
	}
	return node("alias", quote(a.Aliasname), "["+strings.Join(theirStrings(a.Colnames), " ")+"]")
}

func theirTable(r *pg.RangeVar, sample []*pg.Node) string {
	return node("table", theirRelation(r), yes("only", !r.Inh), theirAlias(r.Alias), list(sample, theirExpr))
}

func theirDefinitions(nodes []*pg.Node) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = quote(n.GetColumnDef().Colname) + " " + theirType(n.GetColumnDef().TypeName)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func theirFrom(n *pg.Node) string {
	switch f := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		return theirTable(f.RangeVar, nil)
	case *pg.Node_RangeTableSample:
		s := f.RangeTableSample
		args := s.Args
		if s.Repeatable != nil {
			args = append(slices.Clone(args), s.Repeatable)
		}
		return theirTable(s.Relation.GetRangeVar(), args)
	case *pg.Node_RangeSubselect:
		s := f.RangeSubselect
		return node("subquery", yes("lateral", s.Lateral), theirStatement(s.Subquery), theirAlias(s.Alias))
	case *pg.Node_RangeFunction:
		r := f.RangeFunction
		return node("function", yes("lateral", r.Lateral), list(r.Functions, func(n *pg.Node) string {
			items := n.GetList().Items
			call := theirExpr(items[0])
			if r.IsRowsfrom {
				var definitions []*pg.Node
				if len(items) > 1 {
					definitions = items[1].GetList().GetItems()
				}
				call += " " + theirDefinitions(definitions)
			}
			return call
		}), yes("rows", r.IsRowsfrom), yes("ordinality", r.Ordinality), theirAlias(r.Alias), theirDefinitions(r.Coldeflist))
	case *pg.Node_RangeTableFunc:
		t := f.RangeTableFunc
		args := []string{theirExpr(t.Rowexpr), theirExpr(t.Docexpr)}
		for _, n := range t.Namespaces {
			args = append(args, theirExpr(n.GetResTarget().Val))
		}
		var columns []string
		for _, n := range t.Columns {
			c := n.GetRangeTableFuncCol()
			columns = append(columns, quote(c.Colname))
			for _, x := range []*pg.Node{c.Colexpr, c.Coldefexpr} {
				if x != nil {
					args = append(args, theirExpr(x))
				}
			}
		}
		slices.Sort(args)
		return node("xmltable", yes("lateral", t.Lateral), "["+strings.Join(args, " ")+"]", "["+strings.Join(columns, " ")+"]", theirAlias(t.Alias))
	case *pg.Node_JsonTable:
		t := f.JsonTable
		args := []string{theirJSON(t.ContextItem), theirExpr(t.Pathspec.String_)}
		for _, n := range t.Passing {
			args = append(args, theirJSON(n.GetJsonArgument().Val))
		}
		args = append(args, theirBehaviours(t.OnError)...)
		var columns []string
		theirJSONColumns(t.Columns, &args, &columns)
		slices.Sort(args)
		return node("json_table", yes("lateral", t.Lateral), "["+strings.Join(args, " ")+"]", "["+strings.Join(columns, " ")+"]", theirAlias(t.Alias))
	case *pg.Node_JoinExpr:
		j := f.JoinExpr
		kind := map[pg.JoinType]string{
			pg.JoinType_JOIN_INNER: "inner", pg.JoinType_JOIN_LEFT: "left", pg.JoinType_JOIN_RIGHT: "right", pg.JoinType_JOIN_FULL: "full",
		}[j.Jointype]
		return node("join", kind, yes("natural", j.IsNatural), theirFrom(j.Larg), theirFrom(j.Rarg), theirExpr(j.Quals),
			"["+strings.Join(theirStrings(j.UsingClause), " ")+"]", name(j.JoinUsingAlias.GetAliasname()), theirAlias(j.Alias))
	}
	return "(other from)"
}

func theirJSONColumns(nodes []*pg.Node, args, columns *[]string) {
	for _, n := range nodes {
		c := n.GetJsonTableColumn()
		if c.Coltype == pg.JsonTableColumnType_JTC_NESTED {
			theirJSONColumns(c.Columns, args, columns)
			continue
		}
		*columns = append(*columns, quote(c.Name))
		*args = append(*args, theirBehaviours(c.OnEmpty, c.OnError)...)
	}
}

func theirBehaviours(behaviours ...*pg.JsonBehavior) []string {
	var parts []string
	for _, b := range behaviours {
		if b != nil && b.Btype == pg.JsonBehaviorType_JSON_BEHAVIOR_DEFAULT {
			parts = append(parts, theirExpr(b.Expr))
		}
	}
	return parts
}

func theirJSON(v *pg.JsonValueExpr) string { return theirExpr(v.RawExpr) }

func theirTarget(n *pg.Node) string {
	t := n.GetResTarget()
	var path []*pg.Node
	for _, n := range t.Indirection {
		if i := n.GetAIndices(); i != nil {
			for _, x := range []*pg.Node{i.Lidx, i.Uidx} {
				if x != nil {
					path = append(path, x)
				}
			}
		}
	}
	return at("target", int(t.Location), quote(t.Name), yes("below", len(t.Indirection) > 0), list(path, theirExpr))
}

func theirAssignments(nodes []*pg.Node) string {
	var parts []string
	for i := 0; i < len(nodes); i++ {
		value := nodes[i].GetResTarget().Val
		multi := value.GetMultiAssignRef()
		if multi == nil {
			parts = append(parts, node("set", "["+theirTarget(nodes[i])+"]", "_", theirExpr(value)))
			continue
		}
		targets := nodes[i : i+int(multi.Ncolumns)]
		parts = append(parts, node("set", list(targets, theirTarget), "multi", theirExpr(multi.Source)))
		i += len(targets) - 1
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func theirConflict(c *pg.OnConflictClause) string {
	if c == nil {
		return "_"
	}
	infer := c.Infer
	if infer == nil {
		infer = &pg.InferClause{}
	}
	return node("conflict", list(infer.IndexElems, func(n *pg.Node) string {
		if e := n.GetIndexElem(); e.Name != "" {
			return quote(e.Name)
		} else if ref := e.Expr.GetColumnRef(); ref != nil && len(ref.Fields) == 1 {
			return theirStrings(ref.Fields)[0] // in parentheses
		}
		return theirExpr(n.GetIndexElem().Expr)
	}), theirExpr(infer.WhereClause), name(infer.Conname), yes("update", c.Action == pg.OnConflictAction_ONCONFLICT_UPDATE),
		theirAssignments(c.TargetList), theirExpr(c.WhereClause))
}

func theirType(t *pg.TypeName) string {
	names := strings.TrimPrefix(strings.Join(theirStrings(t.Names), "."), `"pg_catalog".`)
	var mods []*pg.Node
	for _, m := range t.Typmods {
		if location(m) != -1 && names != `"interval"` {
			mods = append(mods, m)
		}
	}
	return node("type", names, list(mods, theirExpr), yes("array", len(t.ArrayBounds) > 0), yes("setof", t.Setof))
}

func theirOperator(names []*pg.Node) string {
	parts := theirStrings(names)
	parts[len(parts)-1] = names[len(names)-1].GetString_().Sval
	return strings.Join(parts, ".")
}

func theirItems(n *pg.Node) []*pg.Node { return n.GetList().GetItems() }

func theirExpr(n *pg.Node) string {
	if n == nil || n.GetNode() == nil {
		return "_"
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		names := strings.Join(theirStrings(x.ColumnRef.Fields), ".")
		if names == "*" {
			return "(col *)"
		}
		return at("col", int(x.ColumnRef.Location), names)
	case *pg.Node_ParamRef:
		return at("param", int(x.ParamRef.Location), itoa(int(x.ParamRef.Number)))
	case *pg.Node_AConst:
		return theirConst(x.AConst)
	case *pg.Node_SetToDefault:
		return "default"
	case *pg.Node_TypeCast:
		return node("cast", theirExpr(x.TypeCast.Arg), theirType(x.TypeCast.TypeName))
	case *pg.Node_AExpr:
		return theirAExpr(x.AExpr)
	case *pg.Node_BoolExpr:
		op := map[pg.BoolExprType]string{
			pg.BoolExprType_AND_EXPR: "and", pg.BoolExprType_OR_EXPR: "or", pg.BoolExprType_NOT_EXPR: "not",
		}[x.BoolExpr.Boolop]
		return node(op, list(x.BoolExpr.Args, theirExpr))
	case *pg.Node_NullTest:
		is := "is"
		if x.NullTest.Nulltesttype == pg.NullTestType_IS_NOT_NULL {
			is = "isnot"
		}
		return node(is, "null", theirExpr(x.NullTest.Arg))
	case *pg.Node_BooleanTest:
		words := map[pg.BoolTestType][2]string{
			pg.BoolTestType_IS_TRUE: {"is", "true"}, pg.BoolTestType_IS_NOT_TRUE: {"isnot", "true"},
			pg.BoolTestType_IS_FALSE: {"is", "false"}, pg.BoolTestType_IS_NOT_FALSE: {"isnot", "false"},
			pg.BoolTestType_IS_UNKNOWN: {"is", "unknown"}, pg.BoolTestType_IS_NOT_UNKNOWN: {"isnot", "unknown"},
		}[x.BooleanTest.Booltesttype]
		return node(words[0], words[1], theirExpr(x.BooleanTest.Arg))
	case *pg.Node_JsonIsPredicate:
		return node("is", "json", theirExpr(x.JsonIsPredicate.Expr))
	case *pg.Node_SubLink:
		return theirSubLink(x.SubLink)
	case *pg.Node_RowExpr:
		return node("row", yes("explicit", x.RowExpr.RowFormat == pg.CoercionForm_COERCE_EXPLICIT_CALL), list(x.RowExpr.Args, theirExpr))
	case *pg.Node_AArrayExpr:
		return node("array", list(x.AArrayExpr.Elements, theirExpr))
	case *pg.Node_AIndirection:
		inner, path := theirPath(n)
		return node("path", theirExpr(inner), strings.Join(path, " "))
	case *pg.Node_CaseExpr:
		return node("case", theirExpr(x.CaseExpr.Arg), list(x.CaseExpr.Args, func(n *pg.Node) string {
			return node("when", theirExpr(n.GetCaseWhen().Expr), theirExpr(n.GetCaseWhen().Result))
		}), theirExpr(x.CaseExpr.Defresult))
	case *pg.Node_CollateClause:
		return node("collate", theirExpr(x.CollateClause.Arg))
	case *pg.Node_FuncCall:
		return theirCall(x.FuncCall)
	case *pg.Node_CoalesceExpr:
		return node("kw", "coalesce", list(x.CoalesceExpr.Args, theirExpr))
	case *pg.Node_MinMaxExpr:
		kw := "greatest"
		if x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST {
			kw = "least"
		}
		return node("kw", kw, list(x.MinMaxExpr.Args, theirExpr))
	case *pg.Node_GroupingFunc:
		return node("kw", "grouping", list(x.GroupingFunc.Args, theirExpr))
	case *pg.Node_SqlvalueFunction:
		kw := strings.ToLower(strings.TrimPrefix(x.SqlvalueFunction.Op.String(), "SVFOP_"))
		return node("kw", strings.TrimSuffix(kw, "_n"), "[]")
	case *pg.Node_XmlExpr:
		return theirXML(x.XmlExpr)
	case *pg.Node_XmlSerialize:
		return node("kw", "xmlserialize", "["+theirExpr(x.XmlSerialize.Expr)+"]")
	case *pg.Node_MergeSupportFunc:
		return node("kw", "merge_action", "[]")
	case *pg.Node_CurrentOfExpr:
		return node("current-of", x.CurrentOfExpr.CursorName)
	case *pg.Node_NamedArgExpr:
		return node("named", quote(x.NamedArgExpr.Name), theirExpr(x.NamedArgExpr.Arg))
	case *pg.Node_JsonObjectConstructor:
		return jsonKeyword("json_object", theirPairs(x.JsonObjectConstructor.Exprs), nil)
	case *pg.Node_JsonArrayConstructor:
		var args []string
		for _, n := range x.JsonArrayConstructor.Exprs {
			args = append(args, theirJSON(n.GetJsonValueExpr()))
		}
		return jsonKeyword("json_array", args, nil)
	case *pg.Node_JsonArrayQueryConstructor:
		return jsonKeyword("json_array", []string{node("sub", theirStatement(x.JsonArrayQueryConstructor.Query))}, nil)
	case *pg.Node_JsonObjectAgg:
		a := x.JsonObjectAgg
		return jsonKeyword("json_objectagg", []string{theirExpr(a.Arg.Key), theirJSON(a.Arg.Value)}, a.Constructor)
	case *pg.Node_JsonArrayAgg:
		return jsonKeyword("json_arrayagg", []string{theirJSON(x.JsonArrayAgg.Arg)}, x.JsonArrayAgg.Constructor)
	case *pg.Node_JsonParseExpr:
		return node("kw", "json", "["+theirJSON(x.JsonParseExpr.Expr)+"]")
	case *pg.Node_JsonScalarExpr:
		return node("kw", "json_scalar", "["+theirExpr(x.JsonScalarExpr.Expr)+"]")
	case *pg.Node_JsonSerializeExpr:
		return node("kw", "json_serialize", "["+theirJSON(x.JsonSerializeExpr.Expr)+"]")
	case *pg.Node_JsonFuncExpr:
		f := x.JsonFuncExpr
		kw := map[pg.JsonExprOp]string{
			pg.JsonExprOp_JSON_EXISTS_OP: "json_exists", pg.JsonExprOp_JSON_QUERY_OP: "json_query", pg.JsonExprOp_JSON_VALUE_OP: "json_value",
		}[f.Op]
		args := []string{theirJSON(f.ContextItem), theirExpr(f.Pathspec)}
		for _, n := range f.Passing {
			args = append(args, theirJSON(n.GetJsonArgument().Val))
		}
		return jsonKeyword(kw, append(args, theirBehaviours(f.OnEmpty, f.OnError)...), nil)
	}
	return "(other expression)"
}

func jsonKeyword(kw string, args []string, a *pg.JsonAggConstructor) string {
	if a == nil {
		a = &pg.JsonAggConstructor{}
	}
	return node("kw", kw, "["+strings.Join(args, " ")+"]", list(a.AggOrder, theirSort), theirExpr(a.AggFilter), theirWindow(a.Over))
}

func theirPairs(nodes []*pg.Node) []string {
	var args []string
	for _, n := range nodes {
		pair := n.GetJsonKeyValue()
		args = append(args, theirExpr(pair.Key), theirJSON(pair.Value))
	}
	return args
}

func theirConst(c *pg.A_Const) string {
	position := int(c.Location)
	switch v := c.Val.(type) {
	case *pg.A_Const_Ival:
		return at("num", position, itoa(int(v.Ival.Ival)))
	case *pg.A_Const_Fval:
		return at("num", position, v.Fval.Fval)
	case *pg.A_Const_Sval:
		return at("str", position, quote(v.Sval.Sval))
	case *pg.A_Const_Bsval:
		return at("bits", position, quote(v.Bsval.Bsval[1:]))
	case *pg.A_Const_Boolval:
		return at("bool", position)
	}
	return at("null", position)
}

func theirAExpr(x *pg.A_Expr) string {
	position := int(x.Location)
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		return at("op", position, theirOperator(x.Name), theirExpr(x.Lexpr), theirExpr(x.Rexpr))
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		return at("any", position, theirOperator(x.Name), theirExpr(x.Lexpr), theirExpr(x.Rexpr))
	case pg.A_Expr_Kind_AEXPR_OP_ALL:
		return at("all", position, theirOperator(x.Name), theirExpr(x.Lexpr), theirExpr(x.Rexpr))
	case pg.A_Expr_Kind_AEXPR_DISTINCT:
		return node("distinct", "_", theirExpr(x.Lexpr), theirExpr(x.Rexpr))
	case pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return node("distinct", "not", theirExpr(x.Lexpr), theirExpr(x.Rexpr))
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return node("kw", "nullif", "["+theirExpr(x.Lexpr)+" "+theirExpr(x.Rexpr)+"]")
	case pg.A_Expr_Kind_AEXPR_IN:
		return node("in", yes("not", x.Name[0].GetString_().Sval == "<>"), theirExpr(x.Lexpr), list(theirItems(x.Rexpr), theirExpr))
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		right, escape := theirExpr(x.Rexpr), "_"
		if f := x.Rexpr.GetFuncCall(); f != nil && f.Location == x.Location {
			right = theirExpr(f.Args[0])
			if len(f.Args) == 2 {
				escape = theirExpr(f.Args[1])
			}
		}
		return at("like", position, theirOperator(x.Name), theirExpr(x.Lexpr), right, escape)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		bounds := theirItems(x.Rexpr)
		not := x.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN || x.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM
		return node("between", yes("not", not), theirExpr(x.Lexpr), theirExpr(bounds[0]), theirExpr(bounds[1]))
	}
	return "(other operator)"
}

func theirSubLink(s *pg.SubLink) string {
	query := theirStatement(s.Subselect)
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return node("exists", query)
	case pg.SubLinkType_EXPR_SUBLINK:
		return node("sub", query)
	case pg.SubLinkType_ARRAY_SUBLINK:
		return node("arrayquery", query)
	case pg.SubLinkType_ANY_SUBLINK:
		if len(s.OperName) == 0 {
			return node("inquery", theirExpr(s.Testexpr), query)
		}
		return node("anyquery", theirOperator(s.OperName), theirExpr(s.Testexpr), query)
	case pg.SubLinkType_ALL_SUBLINK:
		return node("allquery", theirOperator(s.OperName), theirExpr(s.Testexpr), query)
	}
	return "(other sublink)"
}

func theirPath(n *pg.Node) (*pg.Node, []string) {
	x := n.GetAIndirection()
	if x == nil {
		return n, nil
	}
	inner, path := theirPath(x.Arg)
	for _, n := range x.Indirection {
		switch p := n.GetNode().(type) {
		case *pg.Node_String_:
			path = append(path, quote(p.String_.Sval))
		case *pg.Node_AStar:
			path = append(path, "*")
		case *pg.Node_AIndices:
			var bounds []*pg.Node
			for _, b := range []*pg.Node{p.AIndices.Lidx, p.AIndices.Uidx} {
				if b != nil {
					bounds = append(bounds, b)
				}
			}
			path = append(path, yes("slice", p.AIndices.IsSlice)+list(bounds, theirExpr))
		}
	}
	return inner, path
}

func theirXML(x *pg.XmlExpr) string {
	if x.Op == pg.XmlExprOp_IS_DOCUMENT {
		return node("is", "document", theirExpr(x.Args[0]))
	}
	var args []string
	for _, n := range x.NamedArgs {
		t := n.GetResTarget()
		arg := theirExpr(t.Val)
		if t.Name != "" {
			arg = node("named", quote(t.Name), arg)
		}
		args = append(args, arg)
	}
	for _, n := range x.Args {
		if location(n) != -1 {
			args = append(args, theirExpr(n))
		}
	}
	return node("kw", strings.ToLower(strings.TrimPrefix(x.Op.String(), "IS_")), "["+strings.Join(args, " ")+"]")
}

func theirCall(f *pg.FuncCall) string {
	names := strings.TrimPrefix(strings.Join(theirStrings(f.Funcname), "."), `"pg_catalog".`)
	args := make([]string, len(f.Args))
	for i, n := range f.Args {
		args[i] = theirExpr(n)
	}
	kw := func(word string, args ...string) string { return node("kw", word, "["+strings.Join(args, " ")+"]") }
	if f.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX {
		switch names {
		case `"timezone"`:
			if len(args) == 1 {
				return node("attimezone", args[0], "_")
			}
			return node("attimezone", args[1], args[0])
		case `"overlaps"`:
			return node("overlaps", args...)
		case `"is_normalized"`:
			return node("is", "normalized", args[0])
		case `"extract"`:
			return kw("extract", args[1])
		case `"normalize"`:
			return kw("normalize", args[0])
		case `"position"`:
			return kw("position", args[1], args[0])
		case `"btrim"`, `"ltrim"`, `"rtrim"`:
			slices.Sort(args)
			return kw(strings.Replace(strings.Trim(names, `"`), "btrim", "trim", 1), args...)
		case `"substring"`:
			if len(args) == 3 && location(f.Args[1]) == -1 {
				args = []string{args[0], theirExpr(f.Args[2].GetTypeCast().Arg)}
			}
			slices.Sort(args[1:])
			return kw("substring", args...)
		case `"pg_collation_for"`:
			return kw("collation for", args...)
		}
		return kw(strings.Trim(names, `"`), args...)
	}
	if names == `"json_object"` && len(f.Funcname) == 2 {
		return jsonKeyword("json_object", args, nil)
	}
	return at("call", int(f.Location), strings.Join(theirStrings(f.Funcname), "."), "["+strings.Join(args, " ")+"]", yes("star", f.AggStar), yes("distinct", f.AggDistinct),
		yes("variadic", f.FuncVariadic), list(f.AggOrder, theirSort), yes("within", f.AggWithinGroup), theirExpr(f.AggFilter), theirWindow(f.Over))
}
