package hooks

var (
	GormName  = gormName
	GormTable = gormTable
)
