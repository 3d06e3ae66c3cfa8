package sqllex

import (
	"strings"
	"unicode/utf8"
)

const (
	defaultMaxSplit        = 1 << 20
	defaultMaxCommands     = 10_000
	defaultMaxCommentDepth = 100

	nameDataLen = 64 // NAMEDATALEN of a server as everybody builds it
)

// Options says how a text is to be read. The zero value is for a server with standard_conforming_strings on.
type Options struct {
	// BackslashStrings: standard_conforming_strings is off, a backslash in '…' and N'…' escapes as it does in E'…'.
	BackslashStrings bool

	// Comments makes Next return comments as tokens.
	Comments bool

	// MaxCommentDepth is how deep /* */ may nest; 0 means 100. The server has no limit.
	MaxCommentDepth int

	// MaxSplit is the length in bytes beyond which a text is not split and its commands are not counted; 0 means 1 MiB, less than 0 no limit.
	// Lexing and telling the first command of a text have no limit: their time is linear in the length.
	MaxSplit int

	// MaxCommands is how many commands Split returns before it refuses; 0 means 10,000, less than 0 no limit.
	MaxCommands int
}

// Lexer cuts a text into tokens. Make one with New or Options.Lexer; a copy of a Lexer goes on from where the original was.
type Lexer struct {
	text      string
	pos       int
	failedAt  int
	maxDepth  int
	failure   Reason
	backslash bool // Options.BackslashStrings
	comments  bool // Options.Comments
	checked   bool // text is known to be UTF-8 without NUL
}

// New returns a Lexer over text with default options.
func New(text string) Lexer { return Options{}.Lexer(text) }

// Lexer returns a Lexer over text.
func (o Options) Lexer(text string) Lexer {
	if o.MaxCommentDepth == 0 {
		o.MaxCommentDepth = defaultMaxCommentDepth
	}
	return Lexer{text: text, maxDepth: o.MaxCommentDepth, backslash: o.BackslashStrings, comments: o.Comments}
}

// Text returns the part of the text that t covers.
func (l *Lexer) Text(t Token) string { return l.text[t.Start:t.End] }

// Err returns nil, or the *Error behind the Illegal token Next has returned.
func (l *Lexer) Err() error {
	if l.failure == 0 {
		return nil
	}
	return &Error{Reason: l.failure, Offset: l.failedAt}
}

// Is says whether t is the unquoted word keyword, in whatever case; keyword is ASCII and lower case.
func (l *Lexer) Is(t Token, keyword string) bool {
	return t.Kind == Ident && t.End-t.Start == len(keyword) && foldsTo(l.text[t.Start:t.End], keyword)
}

// foldsTo says whether s is lower but for the case of ASCII letters. The server folds no others in keywords: U+212A is no k.
func foldsTo(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

const (
	space      = 1 << iota // [ \t\n\r\f\v]
	identStart             // [A-Za-z_\x80-\xff]
	identCont              // identStart, digits, $
	digit
	hexDigit
	opChar  // may stand in an operator
	opExtra // opChar that SQL's own operators have not: lets an operator end in + or -
)

var classes = func() (c [256]uint8) {
	for _, b := range " \t\n\r\f\v" {
		c[b] = space
	}
	for b := range 256 {
		switch {
		case b >= 0x80, b == '_', b|0x20 >= 'a' && b|0x20 <= 'z':
			c[b] = identStart | identCont
		case b >= '0' && b <= '9':
			c[b] = digit | hexDigit | identCont
		}
	}
	for _, b := range "abcdefABCDEF" {
		c[b] |= hexDigit
	}
	c['$'] = identCont
	for _, b := range "~!@#^&|`?+-*/%<>=" {
		c[b] = opChar
	}
	for _, b := range "~!@#^&|`?%" {
		c[b] |= opExtra
	}
	return c
}()

// start is what a token's first byte says.
type start uint8

const (
	startNone start = iota
	startSpace
	startIdent
	startPrefix // a letter that may belong to a quote: b, e, n, u, x
	startDigit
	startOperator
	startMinus
	startSlash
	startQuote
	startDoubleQuote
	startDollar
	startDot
	startColon
	startOne // a token by itself: startOne + its Kind
)

var starts = func() (s [256]start) {
	for b, class := range classes {
		switch {
		case class&space != 0:
			s[b] = startSpace
		case class&identStart != 0:
			s[b] = startIdent
		case class&digit != 0:
			s[b] = startDigit
		case class&opChar != 0:
			s[b] = startOperator
		}
	}
	for _, b := range "bBeEnNuUxX" {
		s[b] = startPrefix
	}
	for b, v := range map[byte]start{
		'-': startMinus, '/': startSlash, '\'': startQuote, '"': startDoubleQuote, '$': startDollar, '.': startDot, ':': startColon,
	} {
		s[b] = v
	}
	for b, k := range map[byte]Kind{
		',': Comma, ';': Semicolon, '(': LeftParen, ')': RightParen, '[': LeftBracket, ']': RightBracket,
	} {
		s[b] = startOne + start(k)
	}
	return s
}()

// Next returns the next token; after the last one, and after Illegal, EOF for ever.
func (l *Lexer) Next() Token {
	if !l.checked {
		if t, bad := l.check(); bad {
			return t
		}
	}
	text, i := l.text, l.pos
	for i < len(text) {
		c := text[i]
		switch s := starts[c]; s {
		case startSpace:
			i++
			continue
		case startPrefix:
			if t, ok := l.prefixed(i); ok {
				return t
			}
			fallthrough
		case startIdent:
			end := i + 1
			for end < len(text) && classes[text[end]]&identCont != 0 {
				end++
			}
			return l.token(Ident, i, end)
		case startDigit:
			return l.number(i)
		case startMinus:
			if i+1 == len(text) || text[i+1] != '-' {
				return l.operator(i)
			}
			end := lineEnd(text, i+2)
			if l.comments {
				return l.token(Comment, i, end)
			}
			i = end
			continue
		case startSlash:
			if i+1 == len(text) || text[i+1] != '*' {
				return l.operator(i)
			}
			end, reason := blockEnd(text, i, l.maxDepth)
			if reason != 0 {
				return l.illegal(i, i, reason)
			}
			if l.comments {
				return l.token(Comment, i, end)
			}
			i = end
			continue
		case startOperator:
			return l.operator(i)
		case startQuote:
			if l.backslash {
				return l.backslashed(String, i, i+1)
			}
			return l.quoted(String, i, i+1)
		case startDoubleQuote:
			return l.quotedIdent(QuotedIdent, i, i+1)
		case startDollar:
			return l.dollar(i)
		case startDot:
			if i+1 < len(text) {
				if text[i+1] == '.' {
					return l.token(DotDot, i, i+2)
				}
				if classes[text[i+1]]&digit != 0 {
					return l.number(i)
				}
			}
			return l.token(Dot, i, i+1)
		case startColon:
			if i+1 < len(text) {
				switch text[i+1] {
				case ':':
					return l.token(TypeCast, i, i+2)
				case '=':
					return l.token(ColonEquals, i, i+2)
				}
			}
			return l.token(Colon, i, i+1)
		case startNone:
			return l.illegal(i, i, UnexpectedCharacter)
		default:
			return l.token(Kind(s-startOne), i, i+1)
		}
	}
	l.pos = len(text)
	return Token{Kind: EOF, Start: len(text), End: len(text)}
}

// prefixed reads the quote that the letter at i belongs to, if there is one.
func (l *Lexer) prefixed(i int) (Token, bool) {
	text := l.text
	if i+1 == len(text) {
		return Token{}, false
	}
	letter := text[i] | 0x20
	switch next := text[i+1]; {
	case next == '\'' && letter == 'e', next == '\'' && letter == 'n' && l.backslash:
		k := EscapeString
		if letter == 'n' {
			k = NationalString
		}
		return l.backslashed(k, i, i+2), true
	case next == '\'' && letter != 'u':
		k := NationalString
		switch letter {
		case 'b':
			k = BitString
		case 'x':
			k = HexString
		}
		return l.quoted(k, i, i+2), true
	case next == '&' && letter == 'u' && i+2 < len(text):
		switch text[i+2] {
		case '\'':
			return l.unicodeString(i), true
		case '"':
			return l.quotedIdent(UnicodeIdent, i, i+3), true
		}
	}
	return Token{}, false
}

func (l *Lexer) token(k Kind, start, end int) Token {
	l.pos = end
	return Token{Kind: k, Start: start, End: end}
}

func (l *Lexer) illegal(start, at int, r Reason) Token {
	l.failure, l.failedAt = r, at
	return l.token(Illegal, start, len(l.text))
}

// check looks at the whole text once, since a server does so before it looks at anything else.
func (l *Lexer) check() (Token, bool) {
	l.checked = true
	if at := strings.IndexByte(l.text, 0); at >= 0 {
		return l.illegal(0, at, NulByte), true
	}
	if !utf8.ValidString(l.text) {
		return l.illegal(0, invalidUTF8At(l.text), InvalidUTF8), true
	}
	return Token{}, false
}

func invalidUTF8At(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n <= 1 {
				return i
			}
		}
	}
	return len(s)
}

// lineEnd returns where the -- comment ends whose text goes on at i: before the first \n or \r, both of which end a line.
func lineEnd(text string, i int) int {
	for i < len(text) && text[i] != '\n' && text[i] != '\r' {
		i++
	}
	return i
}

// blockEnd returns where the comment ends that starts at i.
func blockEnd(text string, i, maxDepth int) (int, Reason) {
	depth := 1
	for i += 2; i+1 < len(text); {
		switch {
		case text[i] == '*' && text[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				return i, 0
			}
		case text[i] == '/' && text[i+1] == '*':
			i += 2
			if depth++; depth > maxDepth {
				return 0, CommentTooDeep
			}
		default:
			i++
		}
	}
	return 0, UnterminatedComment
}

// skipBlank returns the start of what follows white space and comments, or the start of a comment that does not end.
func (l *Lexer) skipBlank(i int) int {
	text := l.text
	for i < len(text) {
		switch {
		case classes[text[i]]&space != 0:
			i++
		case strings.HasPrefix(text[i:], "--"):
			i = lineEnd(text, i+2)
		case strings.HasPrefix(text[i:], "/*"):
			end, reason := blockEnd(text, i, l.maxDepth)
			if reason != 0 {
				return i
			}
			i = end
		default:
			return i
		}
	}
	return i
}

// continued looks behind the closing quote of a string for {quotecontinue}: white space and -- comments with a newline among them, then a
// quote. It returns the place behind that quote, or -1. A /* comment ends a string, a -- comment does not.
func continued(text string, i int) int {
	newline := false
	for i < len(text) {
		switch c := text[i]; {
		case c == '\n' || c == '\r':
			newline = true
			i++
		case classes[c]&space != 0:
			i++
		case c == '-' && i+1 < len(text) && text[i+1] == '-':
			i = lineEnd(text, i+2)
		case c == '\'' && newline:
			return i + 1
		default:
			return -1
		}
	}
	return -1
}

// stringEnd returns where the string without backslash escapes ends whose first quote is before i, or -1. In B'…' and X'…' a
// doubled quote is the end of one string and the start of the next.
func stringEnd(text string, i int, doubled bool) int {
	for {
		n := strings.IndexByte(text[i:], '\'')
		if n < 0 {
			return -1
		}
		i += n + 1
		if doubled && i < len(text) && text[i] == '\'' {
			i++
			continue
		}
		next := continued(text, i)
		if next < 0 {
			return i
		}
		i = next
	}
}

func (l *Lexer) quoted(k Kind, start, i int) Token {
	end := stringEnd(l.text, i, k != BitString && k != HexString)
	if end < 0 {
		return l.illegal(start, start, UnterminatedString)
	}
	return l.token(k, start, end)
}

// backslashed reads a string with backslash escapes. Which byte an escape stands for is StringValue's business; here only
// those matter that the server refuses or that hide a quote.
func (l *Lexer) backslashed(k Kind, start, i int) Token {
	text := l.text
	for i < len(text) {
		switch text[i] {
		case '\'':
			i++
			if i < len(text) && text[i] == '\'' {
				i++
				continue
			}
			next := continued(text, i)
			if next < 0 {
				return l.token(k, start, i)
			}
			i = next
		case '\\':
			if i+1 == len(text) {
				return l.illegal(start, start, UnterminatedString)
			}
			if text[i+1]|0x20 != 'u' {
				i += 2
				continue
			}
			_, end, reason := escapedRune(text, i)
			if reason != 0 {
				return l.illegal(start, end, reason)
			}
			i = end
		default:
			i++
		}
	}
	return l.illegal(start, start, UnterminatedString)
}

func (l *Lexer) unicodeString(start int) Token {
	if l.backslash {
		return l.illegal(start, start, UnsafeUnicodeString)
	}
	end := stringEnd(l.text, start+3, true)
	if end < 0 {
		return l.illegal(start, start, UnterminatedString)
	}
	return l.uescape(UnicodeString, start, end)
}

func (l *Lexer) quotedIdent(k Kind, start, i int) Token {
	body := i
	for {
		n := strings.IndexByte(l.text[i:], '"')
		if n < 0 {
			return l.illegal(start, start, UnterminatedIdent)
		}
		i += n + 1
		if i < len(l.text) && l.text[i] == '"' {
			i++
			continue
		}
		break
	}
	if i == body+1 {
		return l.illegal(start, start, EmptyIdent)
	}
	if k == UnicodeIdent {
		return l.uescape(k, start, i)
	}
	return l.token(k, start, i)
}

// uescape adds to a U& token the clause that may follow it. PostgreSQL 10 to 12 know the clause in one form only, UESCAPE and a
// plain string of one character, and take UESCAPE for a name where anything else follows; 13 and later refuse that.
func (l *Lexer) uescape(k Kind, start, end int) Token {
	t := l.token(k, start, end)
	text := l.text
	i := l.skipBlank(end)
	const word = "uescape"
	if len(text)-i < len(word) || !foldsTo(text[i:i+len(word)], word) {
		return t
	}
	at := i
	i += len(word)
	if i < len(text) && classes[text[i]]&identCont != 0 {
		return t
	}
	i = l.skipBlank(i)
	if len(text)-i < 3 || text[i] != '\'' || text[i+2] != '\'' || !escapeChar(text[i+1]) ||
		len(text)-i > 3 && text[i+3] == '\'' || continued(text, i+3) >= 0 {
		return l.illegal(start, at, InvalidUescape)
	}
	return l.token(k, start, i+3)
}

func escapeChar(c byte) bool {
	return c < utf8.RuneSelf && classes[c]&(hexDigit|space) == 0 && c != '+' && c != '\'' && c != '"'
}

func (l *Lexer) dollar(start int) Token {
	text, i := l.text, start+1
	if i < len(text) && classes[text[i]]&digit != 0 {
		const maxInt32 = 1<<31 - 1
		var n int64
		for ; i < len(text) && classes[text[i]]&digit != 0; i++ {
			if n = n*10 + int64(text[i]-'0'); n > maxInt32 {
				return l.illegal(start, start, ParamTooLarge)
			}
		}
		if i < len(text) && classes[text[i]]&identStart != 0 {
			return l.illegal(start, start, ParamJunk)
		}
		t := l.token(Param, start, i)
		t.Param = int32(n)
		return t
	}
	for i < len(text) && classes[text[i]]&(identStart|digit) != 0 {
		i++
	}
	if i == len(text) || text[i] != '$' {
		return l.illegal(start, start, UnexpectedCharacter)
	}
	i++
	n := strings.Index(text[i:], text[start:i])
	if n < 0 {
		return l.illegal(start, start, UnterminatedDollarString)
	}
	return l.token(DollarString, start, i+n+(i-start))
}

func (l *Lexer) operator(start int) Token {
	text, end, extra := l.text, start, false
	for end < len(text) {
		c := text[end]
		class := classes[c]
		if class&opChar == 0 ||
			end+1 < len(text) && (c == '-' && text[end+1] == '-' || c == '/' && text[end+1] == '*') {
			break
		}
		extra = extra || class&opExtra != 0
		end++
	}
	// As SQL wants it, =- is two operators; ?- cannot be two of SQL's and stays one.
	for !extra && end-start > 1 && (text[end-1] == '+' || text[end-1] == '-') {
		end--
	}
	if end-start >= nameDataLen {
		return l.illegal(start, start, OperatorTooLong)
	}
	if text[start:end] == "=>" {
		return l.token(EqualsGreater, start, end)
	}
	return l.token(Operator, start, end)
}

// digits returns the end of {digit}(_?{digit})* at i, or of (_?{digit})+ if lead; i if there is none.
func digits(text string, i int, class uint8, below byte, lead bool) int {
	for {
		j := i
		if lead && j < len(text) && text[j] == '_' {
			j++
		}
		if j >= len(text) || classes[text[j]]&class == 0 || text[j] >= below {
			return i
		}
		i, lead = j+1, true
	}
}

func (l *Lexer) number(start int) Token {
	text, i, kind := l.text, start, Integer
	prefix := uint8(0)
	below := byte(0xff)
	if text[i] == '0' && i+1 < len(text) {
		switch text[i+1] | 0x20 {
		case 'x':
			prefix = hexDigit
		case 'o':
			prefix, below = digit, '8'
		case 'b':
			prefix, below = digit, '2'
		}
	}
	if prefix != 0 {
		i = digits(text, start+2, prefix, below, true)
		// The 2 of 0b12 belongs to the name b12 that {integer_junk} has.
		if i == start+2 || i < len(text) && classes[text[i]]&digit != 0 {
			return l.illegal(start, start, NumberJunk)
		}
	} else {
		i = digits(text, i, digit, 0xff, false)
		if i < len(text) && text[i] == '.' {
			if i > start && i+1 < len(text) && text[i+1] == '.' {
				return l.token(Integer, start, i) // 1..10
			}
			kind = Decimal
			i = digits(text, i+1, digit, 0xff, false)
		}
		if i < len(text) && text[i]|0x20 == 'e' {
			kind = Decimal
			i++
			if i < len(text) && (text[i] == '+' || text[i] == '-') {
				i++
			}
			end := digits(text, i, digit, 0xff, false)
			if end == i {
				return l.illegal(start, start, NumberJunk)
			}
			i = end
		}
	}
	if i < len(text) && (classes[text[i]]&identStart != 0 || text[i] == '$' && nameInside(text[start:i])) {
		return l.illegal(start, start, NumberJunk)
	}
	return l.token(kind, start, i)
}

// nameInside says whether a number ends in what could be a name. In 1e5$1, 0x1F$1 and 1_0$1 the server sees a number followed by the
// names e5$1, x1F$1 and _0$1, the longest match there is.
func nameInside(number string) bool {
	for i := len(number) - 1; i >= 0 && classes[number[i]]&identCont != 0; i-- {
		if classes[number[i]]&identStart != 0 {
			return true
		}
	}
	return false
}
