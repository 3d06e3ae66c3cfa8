package hooks

var (
	GormName  = gormName
	GormTable = gormTable
	CheckKeys = checkKeys

	NewMatcher = newMatcher
)

func (m *matcher) Match(text string) bool { return m.match(text) }

var ParseOID = parseOID
