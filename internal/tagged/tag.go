package tagged

import (
	"errors"

	"github.com/pganon/pganon/hooks"
)

// parseTag and findTag are those of package hooks, with errors that go into a sentence.

func parseTag(text string) (hooks.Tag, error) {
	tag, err := hooks.ParseTag(text)
	return tag, errors.Unwrap(err)
}

func findTag(comment string) (tag hooks.Tag, found bool, err error) {
	tag, found, err = hooks.FindTag(comment)
	return tag, found, errors.Unwrap(err)
}
