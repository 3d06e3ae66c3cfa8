package sqllex

import "strconv"

// Kind is the kind of a token.
type Kind uint8

// The kinds of token. Keywords are Ident: which of them are reserved is a parser's business.
const (
	EOF            Kind = iota
	Illegal             // what no server accepts or versions read differently, to the end of the text; see Lexer.Err
	Comment             // only with Options.Comments: -- to the line's end without the newline, or /* … */
	Ident               // name or keyword without quotes
	QuotedIdent         // "…"
	UnicodeIdent        // U&"…", with its UESCAPE clause
	String              // '…', with everything that continues it on further lines; so for all strings but DollarString
	EscapeString        // E'…'
	UnicodeString       // U&'…', with its UESCAPE clause
	NationalString      // N'…'; a string of type character
	BitString           // B'…'
	HexString           // X'…'
	DollarString        // $$…$$, $tag$…$tag$
	Integer             // 10, 1_000, 0x1F, 0o17, 0b1; of any size
	Decimal             // 1.5, .5, 1e10
	Param               // $1; its number is Token.Param
	Operator            // one operator, single characters (* = < …) included
	TypeCast            // ::
	ColonEquals         // :=
	EqualsGreater       // =>
	DotDot              // ..
	Comma
	Semicolon
	Colon
	Dot
	LeftParen
	RightParen
	LeftBracket
	RightBracket
)

var kindNames = [...]string{
	EOF: "end of text", Illegal: "illegal", Comment: "comment", Ident: "identifier", QuotedIdent: "quoted identifier",
	UnicodeIdent: "Unicode identifier", String: "string", EscapeString: "escape string", UnicodeString: "Unicode string",
	NationalString: "national string", BitString: "bit string", HexString: "hex string", DollarString: "dollar-quoted string",
	Integer: "integer", Decimal: "decimal", Param: "parameter", Operator: "operator", TypeCast: "::", ColonEquals: ":=",
	EqualsGreater: "=>", DotDot: "..", Comma: ",", Semicolon: ";", Colon: ":", Dot: ".", LeftParen: "(", RightParen: ")",
	LeftBracket: "[", RightBracket: "]",
}

// String returns a name for messages.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// IsString says whether k is one of the string constants, B'…' and X'…' included.
func (k Kind) IsString() bool { return k >= String && k <= DollarString }

// IsIdent says whether k is one of the identifiers.
func (k Kind) IsIdent() bool { return k >= Ident && k <= UnicodeIdent }

// Token is the byte range [Start, End) of a text. The ranges of a text's tokens ascend and do not overlap; between them
// is nothing but white space and, unless Options.Comments, comments.
type Token struct {
	Start, End int
	Param      int32 // the n of $n
	Kind       Kind
	// No fifth field: the compiler keeps structs of four in registers.
}

// Reason says why a text could not be read.
type Reason uint8

// The reasons.
const (
	UnterminatedString Reason = iota + 1
	UnterminatedIdent
	UnterminatedComment
	UnterminatedDollarString
	EmptyIdent          // "" or U&""
	InvalidEscape       // \u or U& escape without its hex digits, or of no character
	InvalidSurrogate    // half of a UTF-16 surrogate pair
	InvalidUescape      // UESCAPE without one plain '…' of one permitted character
	UnsafeUnicodeString // U&'…' while standard_conforming_strings is off
	NumberJunk          // 123abc: a number and a name before PostgreSQL 15, an error since
	ParamJunk           // $1abc: likewise
	ParamTooLarge       // $4294967297: older servers read $1
	OperatorTooLong
	UnexpectedCharacter // one that starts no token, such as \ or {
	InvalidUTF8
	NulByte
	CommentTooDeep // nested deeper than Options.MaxCommentDepth
	WrongKind      // Ident of a token that is no identifier, StringValue of one that is no string

	TextTooLong            // longer than Options.MaxSplit
	TooManyCommands        // more than Options.MaxCommands
	UnbalancedParentheses  // parentheses or brackets
	SemicolonInParentheses // outside CREATE RULE … DO ( … )
	AtomicBody             // BEGIN ATOMIC that is no body of CREATE FUNCTION or PROCEDURE, holds another, or does not end
)

var reasonTexts = [...]string{
	UnterminatedString: "unterminated string", UnterminatedIdent: "unterminated quoted identifier",
	UnterminatedComment: "unterminated comment", UnterminatedDollarString: "unterminated dollar-quoted string",
	EmptyIdent: "zero-length quoted identifier", InvalidEscape: "invalid Unicode escape",
	InvalidSurrogate: "invalid Unicode surrogate pair", InvalidUescape: "UESCAPE needs a plain string of one permitted character",
	UnsafeUnicodeString: "U& string while standard_conforming_strings is off", NumberJunk: "trailing junk after number",
	ParamJunk: "trailing junk after parameter", ParamTooLarge: "parameter number too large", OperatorTooLong: "operator too long",
	UnexpectedCharacter: "unexpected character", InvalidUTF8: "invalid UTF-8", NulByte: "NUL byte",
	CommentTooDeep: "comments nested too deep", WrongKind: "token is of another kind",
	TextTooLong: "text of several commands is too long", TooManyCommands: "too many commands in one text",
	UnbalancedParentheses:  "unbalanced parentheses",
	SemicolonInParentheses: "semicolon inside parentheses", AtomicBody: "BEGIN ATOMIC body cannot be followed",
}

// String returns the reason in words.
func (r Reason) String() string {
	if int(r) < len(reasonTexts) && reasonTexts[r] != "" {
		return reasonTexts[r]
	}
	return "reason " + strconv.Itoa(int(r))
}

// Error says why and where a text could not be read. It holds nothing of the text.
type Error struct {
	Reason Reason
	Offset int // in bytes from the start of the text; where the server would point, or the start of the token
}

// Error returns the reason and the place.
func (e *Error) Error() string {
	return "pganon: read SQL text: " + e.Reason.String() + " at byte " + strconv.Itoa(e.Offset)
}
