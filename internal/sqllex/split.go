package sqllex

import "strings"

// Statement is one command of a text.
type Statement struct {
	// Start and End are the command's range in the text, from the first byte of its first token to behind its last: without the
	// semicolon, and without the white space and comments around it, so that something can be put before and after it.
	// A position the server reports for the range, sent alone, is relative to Start. Comments for tools (hints, tracing) are lost
	// with the range; who wants them takes what stands between the ranges.
	Start, End int
	Command    Command
}

// Split returns the commands of text with default options; see Options.Split.
func Split(text string) ([]Statement, error) { return Options{}.Split(text) }

// Split returns the commands of a text that was going to be sent as one simple Query; empty ones are left out. An error, always an
// *Error, means that the text's borders are not certain, or that there are too many: it must not be sent with anything in between.
func (o Options) Split(text string) ([]Statement, error) {
	if o.tooLong(text) {
		return nil, &Error{Reason: TextTooLong, Offset: o.maxSplit()}
	}
	var all []Statement
	s := o.splitter(text)
	for {
		start, end, ok := s.next()
		if ok && o.maxCommands() >= 0 && len(all) == o.maxCommands() {
			return nil, &Error{Reason: TooManyCommands, Offset: start}
		}
		if !ok {
			if err := s.err(); err != nil {
				return nil, err
			}
			return all, nil
		}
		// Classify looks no further than the command, so it is given no more.
		p := phrase{lx: s.lx}
		p.lx.text, p.lx.pos = text[:end], start
		all = append(all, Statement{Start: start, End: end})
		p.classify(&all[len(all)-1].Command)
	}
}

func (o Options) maxSplit() int {
	if o.MaxSplit == 0 {
		return defaultMaxSplit
	}
	return o.MaxSplit
}

func (o Options) maxCommands() int {
	if o.MaxCommands == 0 {
		return defaultMaxCommands
	}
	return o.MaxCommands
}

func (o Options) tooLong(text string) bool {
	limit := o.maxSplit()
	return limit >= 0 && len(text) > limit
}

// Count says how many commands a text holds.
type Count uint8

// The counts.
const (
	Uncertain Count = iota // it cannot be told: Split refuses the text, or would
	None
	One
	Several
)

var countNames = [...]string{Uncertain: "uncertain", None: "none", One: "one", Several: "several"}

// String returns the count in a word.
func (c Count) String() string { return countNames[c%Count(len(countNames))] }

// count counts no further than it must: a second command is Several, whatever comes after it.
func (o Options) count(text string) Count {
	semicolon := strings.IndexByte(text, ';')
	if semicolon < 0 {
		return One
	}
	trailing := true
	for i := semicolon + 1; trailing && i < len(text); i++ {
		trailing = text[i] == ';' || classes[text[i]]&space != 0
	}
	if trailing {
		return One
	}
	if o.tooLong(text) {
		return Uncertain
	}
	s := o.splitter(text)
	n := None
	for {
		_, _, ok := s.next()
		switch {
		case !ok && s.failure.Reason != 0:
			return Uncertain
		case !ok:
			return n
		case n == One:
			return Several
		}
		n = One
	}
}

// splitter finds the borders between commands.
type splitter struct {
	lx      Lexer
	failure Error
}

func (o Options) splitter(text string) splitter {
	o.Comments = false
	return splitter{lx: o.Lexer(text)}
}

func (s *splitter) err() error {
	if s.failure.Reason == 0 {
		return nil
	}
	e := s.failure
	return &e
}

// head is how far the first words of a command have been followed, to tell the two commands that have semicolons inside.
type head uint8

const (
	headStart     head = iota
	headCreate         // CREATE
	headOr             // CREATE OR
	headOrReplace      // CREATE OR REPLACE
	headRoutine        // CREATE [OR REPLACE] FUNCTION or PROCEDURE
	headRule           // CREATE [OR REPLACE] RULE
	headOther
)

func (h head) after(l *Lexer, t Token) head {
	switch {
	case h == headStart && l.Is(t, "create"):
		return headCreate
	case h == headCreate && l.Is(t, "or"):
		return headOr
	case h == headOr && l.Is(t, "replace"):
		return headOrReplace
	case h != headCreate && h != headOrReplace:
		return headOther
	case l.Is(t, "function"), l.Is(t, "procedure"):
		return headRoutine
	case l.Is(t, "rule"):
		return headRule
	}
	return headOther
}

// body is where a command stands with regard to BEGIN ATOMIC … END.
type body uint8

const (
	bodyNone  body = iota
	bodyStart      // at the start of a statement of the body: only here can END be the body's end, and no statement starts with it
	bodyInside
	bodyEnded
)

// next returns the range of the next command that is not empty, or false at the end of the text and at a failure.
func (s *splitter) next() (start, end int, ok bool) {
	fail := func(r Reason, at int) (int, int, bool) {
		s.failure = Error{Reason: r, Offset: at}
		return 0, 0, false
	}
	if s.failure.Reason != 0 {
		return 0, 0, false
	}
	l := &s.lx
	var (
		words           head
		routine         body
		parens, squares int
		begin           bool // the token before is BEGIN
		opened          int  // where the outermost parenthesis or bracket stands
	)
	start = -1
	for {
		t := l.Next()
		if start < 0 && t.Kind != Semicolon && t.Kind != EOF {
			start = t.Start
		}
		if routine == bodyEnded && t.Kind != Semicolon && t.Kind != EOF {
			return fail(AtomicBody, t.Start)
		}
		afterBegin := begin
		begin = false
		switch t.Kind {
		case Illegal:
			return fail(l.failure, l.failedAt)
		case EOF, Semicolon:
			switch {
			case start < 0 && t.Kind == EOF:
				return 0, 0, false
			case start < 0:
				continue
			case parens == 0 && squares == 0 && (routine == bodyNone || routine == bodyEnded):
				return start, end, true
			case t.Kind == EOF && (parens != 0 || squares != 0):
				return fail(UnbalancedParentheses, opened)
			case t.Kind == EOF:
				return fail(AtomicBody, t.Start)
			case routine != bodyNone && parens == 0 && squares == 0:
				routine = bodyStart
				end = t.End
				continue
			case words == headRule && parens == 1 && squares == 0:
			default:
				return fail(SemicolonInParentheses, t.Start)
			}
		case LeftParen, LeftBracket:
			if parens == 0 && squares == 0 {
				opened = t.Start
			}
			if t.Kind == LeftParen {
				parens++
			} else {
				squares++
			}
		case RightParen, RightBracket:
			if t.Kind == RightParen {
				parens--
			} else {
				squares--
			}
			if parens < 0 || squares < 0 {
				return fail(UnbalancedParentheses, t.Start)
			}
		case Ident:
			switch {
			case l.Is(t, "begin"):
				begin = true
			case afterBegin && l.Is(t, "atomic"):
				if words != headRoutine || routine != bodyNone || parens != 0 || squares != 0 {
					return fail(AtomicBody, t.Start)
				}
				routine = bodyStart
				end = t.End
				continue
			case routine == bodyStart && l.Is(t, "end"):
				routine = bodyEnded
			}
		}
		if routine == bodyStart {
			routine = bodyInside
		}
		if words < headRoutine {
			words = words.after(l, t)
		}
		end = t.End
	}
}
