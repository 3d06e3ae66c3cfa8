package tagged

var (
	CheckKeys  = checkKeys
	NewMatcher = newMatcher
	ParseOID   = parseOID
)

func (m *matcher) Match(text string) bool { return m.match(text) }
