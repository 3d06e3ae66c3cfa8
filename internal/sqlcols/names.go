package sqlcols

// nameOf returns the name of an output without alias, as PostgreSQL makes it up.
func (r *resolver) nameOf(x Expr) string {
	if name, _ := r.figure(x); name != "" {
		return name
	}
	return "?column?"
}

// figure returns the name that an expression suggests and how good it is: 2 for a name, 1 for that of a type or CASE, 0 for none.
func (r *resolver) figure(x Expr) (string, int) {
	switch x := x.(type) {
	case *ColumnRef:
		return x.Parts[len(x.Parts)-1].Text, 2
	case *Field:
		if !x.Star {
			return x.Name.Text, 2
		}
		return r.figure(x.X)
	case *Subscript:
		return r.figure(x.X)
	case *Collate:
		return r.figure(x.X)
	case *Call:
		switch {
		case len(x.Name) > 0:
			return x.Name[len(x.Name)-1].Text, 2
		case x.Keyword == "collation for":
			return "pg_collation_for", 2
		case x.Keyword == "trim":
			return "btrim", 2
		}
		return x.Keyword, 2
	case *Cast:
		if name, good := r.figure(x.X); good > 1 {
			return name, good
		}
		if n := len(x.Type.Names); n > 0 {
			return x.Type.Names[n-1].Text, 1
		}
	case *Case:
		if x.Else != nil {
			if name, good := r.figure(x.Else); good > 1 {
				return name, good
			}
		}
		return "case", 1
	case *Exists:
		return "exists", 2
	case *Array, *ArrayQuery:
		return "array", 2
	case *Row:
		return "row", 2
	case *AtTimeZone:
		return "timezone", 2
	case *Overlaps:
		return "overlaps", 2
	case *Is:
		if x.What == "normalized" {
			return "is_normalized", 2
		}
	case *Subquery:
		return r.scalarNames[x.Query], 2
	}
	return "", 0
}
