package tagged

import (
	"slices"
	"strings"

	"github.com/pganon/pganon/internal/sqllex"
)

// maxCheck bounds a CHECK that is read, in tokens. A longer one says nothing of keys.
const maxCheck = 4096

// checkKeys returns the ids of the keys to which a domain's CHECK, as pg_get_constraintdef writes it under search_path pg_catalog, holds
// its tokens:
//
//	CHECK ((… AND (substr(VALUE, 9, 4) = ANY (ARRAY['abcd'::text, 'efgh'::text])) AND …))
//
// It understands what [DomainSQL] writes. Of every other condition it says false: then any key can occur, which is never wrong.
func checkKeys(definition string) (ids []string, ok bool) {
	var tokens []string
	lx := sqllex.New(definition)
	for t := lx.Next(); t.Kind != sqllex.EOF; t = lx.Next() {
		text, err := lx.Text(t), error(nil)
		switch {
		case t.Kind == sqllex.Illegal || len(tokens) == maxCheck:
			return nil, false
		case t.Kind == sqllex.Ident || t.Kind == sqllex.QuotedIdent:
			text, err = lx.Ident(t)
			text = "name " + text
		case t.Kind == sqllex.String:
			text, err = lx.StringValue(t)
			text = "text " + text
		}
		if err != nil {
			return nil, false
		}
		tokens = append(tokens, text)
	}
	if len(tokens) == 0 || tokens[0] != "name check" {
		return nil, false
	}
	tokens = tokens[1:]
	if n := len(tokens); n > 2 && tokens[n-2] == "name not" && tokens[n-1] == "name valid" {
		tokens = tokens[:n-2]
	}
	return keysOf(tokens)
}

// keysOf takes parentheses off a condition, then looks at what AND joins in it: the ids are those that all parts allow.
func keysOf(tokens []string) (ids []string, ok bool) {
	for len(tokens) > 1 && tokens[0] == "(" && closing(tokens) == len(tokens)-1 {
		tokens = tokens[1 : len(tokens)-1]
	}
	parts := conjuncts(tokens)
	if len(parts) == 1 {
		p := keyCondition{rest: tokens}
		return p.parse()
	}
	for _, part := range parts {
		if these, limited := keysOf(part); limited {
			ids, ok = intersect(ids, ok, these), true
		}
	}
	return ids, ok
}

// intersect returns those of these that are among ids, or all of them where ids are no limit.
func intersect(ids []string, limited bool, these []string) []string {
	if !limited {
		return these
	}
	both := []string{}
	for _, id := range these {
		if slices.Contains(ids, id) {
			both = append(both, id)
		}
	}
	return both
}

// conjuncts splits at the ANDs outside of parentheses; it returns nothing where CASE or OR is there too, or parentheses do not pair.
func conjuncts(tokens []string) [][]string {
	var parts [][]string
	depth, start := 0, 0
	for i, t := range tokens {
		switch {
		case t == "(":
			depth++
		case t == ")":
			depth--
		case depth == 0 && (t == "name or" || t == "name case"):
			return nil
		case depth == 0 && t == "name and":
			parts = append(parts, tokens[start:i])
			start = i + 1
		}
		if depth < 0 {
			return nil
		}
	}
	if depth != 0 {
		return nil
	}
	return append(parts, tokens[start:])
}

// closing returns where the parenthesis that tokens begin with is closed, or -1.
func closing(tokens []string) int {
	depth := 0
	for i, t := range tokens {
		switch t {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// keyCondition reads one condition.
type keyCondition struct {
	rest   []string
	failed bool
}

func (p *keyCondition) eat(tokens ...string) bool {
	if len(p.rest) < len(tokens) || !slices.Equal(p.rest[:len(tokens)], tokens) {
		return false
	}
	p.rest = p.rest[len(tokens):]
	return true
}

func (p *keyCondition) want(tokens ...string) { p.failed = !p.eat(tokens...) || p.failed }

func (p *keyCondition) parse() (ids []string, ok bool) {
	encoded := p.eat("name encode", "(")
	p.want("name substr", "(")
	if p.eat("(", "name value", ")") {
		p.want("::", "name text")
	} else {
		p.want("name value")
	}
	p.want(",", "9", ",", "4", ")")
	if encoded {
		p.want(",")
		p.want("text escape")
		p.want("::", "name text", ")")
	}
	p.want("=")
	if p.eat("name any", "(", "name array", "[") {
		for ids = p.literal(ids); p.eat(","); {
			ids = p.literal(ids)
		}
		p.want("]", ")")
	} else {
		ids = p.literal(ids)
	}
	if p.failed || len(p.rest) > 0 {
		return nil, false
	}
	return ids, true
}

func (p *keyCondition) literal(ids []string) []string {
	if len(p.rest) > 0 {
		if text, is := strings.CutPrefix(p.rest[0], "text "); is {
			p.rest = p.rest[1:]
			p.want("::", "name text")
			return append(ids, text)
		}
	}
	p.failed = true
	return ids
}
