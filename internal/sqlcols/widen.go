package sqlcols

import (
	"slices"
	"strconv"
	"strings"
)

// A Widened is a statement whose searches cover every token that a value can have.
type Widened struct {
	Text string
	// Parameters says what to send for $1, $2, … of Text.
	Parameters []Source

	edits []edit
}

// A Source says what a parameter of a Widened is made of.
type Source struct {
	Parameter int // the n of $n in the original text
	Form      Form
	Token     int  // of OneToken: which of the key's tokens, from 0
	Array     bool // the original parameter is an array: what Form says holds for each of its elements
}

// A Form is what becomes of a parameter's value. NULL stays NULL in each of them, as an array's element too.
type Form uint8

const (
	AsIs      Form = iota // it is passed on
	Encrypted             // one token, made for writing
	OneToken              // one of the tokens that it can have
	AllTokens             // the array of all tokens that it can have, of all elements where it is an array
)

// An edit replaces the old range of the original text by the new one of the new text.
type edit struct {
	old, new Span
	text     string
}

// Widen returns the statement for a number of tokens that a value can have by its key. The text is the one that was analysed. It is an
// error where a key has more than one and something in the statement compares its values in a way that cannot be widened.
//
// A search for one value becomes a search for several, for which an index serves as before. A parameter keeps its number for one of its
// forms and gets new ones, behind all others, for the rest.
func (a *Analysis) Widen(text string, tokens func(*Key) int) (*Widened, error) {
	if len(a.Mixed) > 0 {
		return nil, refusals(a.Mixed)
	}
	w := &Widened{Text: text, Parameters: make([]Source, len(a.Parameters))}
	wide := false
	for i := range a.Parameters {
		p := &a.Parameters[i]
		w.Parameters[i].Parameter = i + 1
		if p.Key == nil {
			continue
		}
		w.Parameters[i].Form, w.Parameters[i].Array = Encrypted, p.Meetings[0].Array
		if tokens(p.Key) > 1 {
			wide = true
			if !p.Key.Several {
				return nil, &Error{
					Position: p.Meetings[0].At.Start, Column: p.Meetings[0].Column.text(), Parameter: i + 1,
					Reason: "several tokens for a key that was said to have one",
				}
			}
		}
	}
	if !wide {
		return w, nil
	}
	places := a.places()
	for i := range a.Parameters {
		if p := &a.Parameters[i]; p.Key != nil && tokens(p.Key) > 1 {
			w.widen(text, i+1, p, places[i], tokens(p.Key))
		}
	}
	if len(w.Parameters) > maxParameters {
		return nil, &Error{Position: -1, Reason: "unsupported: more than " + strconv.Itoa(maxParameters) + " parameters, with those of the keys being rotated"}
	}
	w.apply(text)
	return w, nil
}

// places returns where each parameter stands, each place once and in order.
func (a *Analysis) places() [][]Span {
	places := make([][]Span, len(a.Parameters))
	for _, p := range a.occurred {
		places[p.n-1] = append(places[p.n-1], p.at)
	}
	for i, list := range places {
		slices.SortFunc(list, func(a, b Span) int { return a.Start - b.Start })
		places[i] = slices.Compact(list)
	}
	return places
}

// widen makes the searches for one parameter cover n tokens.
func (w *Widened) widen(text string, number int, p *Parameter, places []Span, n int) {
	searches := map[Span]*Comparison{}
	assigned := false
	column := p.Meetings[0].Column
	for i := range p.Meetings {
		m := &p.Meetings[i]
		if m.Comparison != nil {
			searches[m.At] = m.Comparison
		} else {
			assigned = true
		}
	}
	of := func(suffix string) string {
		if column.Column != nil && !column.Column.Text {
			return "::bytea" + suffix
		}
		return "::text" + suffix
	}
	source := w.Parameters[number-1]
	var all, one, many string // $n of Encrypted, the first OneToken, AllTokens
	kept := false
	take := func(form Form, token int) string {
		s := Source{Parameter: number, Form: form, Token: token, Array: source.Array}
		if !kept {
			kept = true
			w.Parameters[number-1] = s
			return "$" + strconv.Itoa(number)
		}
		w.Parameters = append(w.Parameters, s)
		return "$" + strconv.Itoa(len(w.Parameters))
	}
	for _, at := range places {
		if searches[at] == nil && all == "" {
			all = take(Encrypted, 0) // keeps its number: what is assigned is left as it stands
		}
	}
	var more strings.Builder // the other tokens, for a list
	for _, at := range places {
		c := searches[at]
		switch {
		case c == nil:
			if !assigned {
				// Only its being NULL is asked, which does not say its type.
				cast := of("")
				if source.Array {
					cast = of("[]")
				}
				w.replace(at, all+cast)
			}
			continue
		case c.Kind == Element && one == "":
			one = take(OneToken, 0)
			for i := 1; i < n; i++ {
				more.WriteString(", ")
				more.WriteString(take(OneToken, i))
			}
		case c.Kind != Element && many == "":
			many = take(AllTokens, 0)
		}
		array := many + of("[]")
		switch c.Kind {
		case Equal, NotEqual:
			symbol := "= ANY("
			if c.Kind == NotEqual {
				symbol = "<> ALL("
			}
			if c.Operand.Start > c.symbol.Start {
				w.replace(Span{c.Whole.Start, c.Whole.Start}, "(")
				w.replace(Span{c.symbol.Start, c.Whole.End}, symbol+array+"))")
			} else {
				w.replace(Span{c.Whole.Start, c.symbol.End}, "(")
				w.replace(Span{c.Whole.End, c.Whole.End}, " "+symbol+array+"))")
			}
		case Element:
			w.replace(at, one)
			w.replace(Span{c.list, c.list}, more.String())
		case ArrayElements:
			w.replace(at, many)
		case Distinct, NotDistinctFrom:
			e := text[c.Other.Start:c.Other.End]
			same := "(" + e + " IS NOT NULL AND " + array + " IS NOT NULL AND " + e + " = ANY(" + array + ") OR " + e + " IS NULL AND " + array + " IS NULL)"
			if c.Kind == Distinct {
				same = "(NOT " + same + ")"
			}
			w.replace(c.Whole, same) // never NULL, so that NOT and a list of outputs have the right answer too
		}
	}
}

func (w *Widened) replace(at Span, text string) {
	w.edits = append(w.edits, edit{old: at, text: text})
}

// apply makes the new text.
func (w *Widened) apply(text string) {
	slices.SortStableFunc(w.edits, func(a, b edit) int { return a.old.Start - b.old.Start })
	var b strings.Builder
	at := 0
	for i := range w.edits {
		e := &w.edits[i]
		b.WriteString(text[at:e.old.Start])
		e.new.Start = b.Len()
		b.WriteString(e.text)
		e.new.End = b.Len()
		at = e.old.End
	}
	b.WriteString(text[at:])
	w.Text = b.String()
}

// Original returns the position in the original text for one in the new text: for what Widen has written, that of what it replaced.
func (w *Widened) Original(position int) int {
	moved := 0
	for _, e := range w.edits {
		if position < e.new.Start {
			break
		}
		if position < e.new.End {
			return e.old.Start
		}
		moved = e.new.End - e.old.End
	}
	return position - moved
}
