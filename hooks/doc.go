// Package hooks knows which columns are tagged, and what that means for a statement.
package hooks
