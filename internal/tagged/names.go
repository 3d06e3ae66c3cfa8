package tagged

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTable bounds the table of a matcher, in transitions. With more names than go into it every text may name one.
const maxTable = 1 << 22

// matcher tells whether a text may name one of a set of names: whether one of them, in whatever case and with " doubled, is a substring of
// it, or it has u&" in it, behind which any name can be spelt. It is the automaton of Aho and Corasick, one table look-up for each byte.
// The zero matcher finds nothing.
type matcher struct {
	class [256]uint8 // a byte's column in next; a letter's two cases have one, and so have all bytes that are in no name
	next  []uint32   // of a state, which is the place of its first column, and a class
	found uint32     // the state in which a name has been seen; all others are less
	any   bool       // everything may name one
}

func newMatcher(names []string) *matcher {
	if len(names) == 0 {
		return new(matcher)
	}
	texts := []string{`u&"`}
	for _, name := range names {
		low := strings.ToLower(name)
		texts = append(texts, low, strings.ReplaceAll(low, `"`, `""`))
	}
	slices.SortFunc(texts, func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})

	m := new(matcher)
	classes := 1
	for _, text := range texts {
		for _, c := range []byte(text) {
			if m.class[c] == 0 {
				m.class[c] = uint8(classes)
				classes++
				if 'a' <= c && c <= 'z' {
					m.class[c-'a'+'A'] = m.class[c]
				}
			}
		}
	}

	// The trie of the texts, shortest first. One that holds a shorter one is left out, so no state but a leaf has seen a text.
	const leaf = ^uint32(0)
	trie := make([]uint32, classes) // by state*classes + class; 0: there is no child
	within := func(text string) bool {
		for start := range len(text) {
			state := uint32(0)
			for _, c := range []byte(text[start:]) {
				if state = trie[int(state)*classes+int(m.class[c])]; state == 0 || state == leaf {
					break
				}
			}
			if state == leaf {
				return true
			}
		}
		return false
	}
	for _, text := range texts {
		if text == "" || within(text) {
			continue
		}
		state := 0
		for i, c := range []byte(text) {
			at := state*classes + int(m.class[c])
			switch {
			case i == len(text)-1:
				trie[at] = leaf
			case trie[at] == 0:
				trie[at] = uint32(len(trie) / classes)
				trie = append(trie, make([]uint32, classes)...)
			}
			state = int(trie[at])
		}
		if len(trie) > maxTable {
			return &matcher{any: true}
		}
	}

	// Where the trie has no child, the longest suffix that has one goes on.
	m.next, m.found = trie, uint32(len(trie))
	suffix := make([]uint32, len(trie)/classes)
	for queue := []uint32{0}; len(queue) > 0; queue = queue[1:] {
		state := queue[0]
		row, other := trie[int(state)*classes:][:classes], trie[int(suffix[state])*classes:][:classes]
		for c, child := range row {
			switch {
			case child == leaf:
				row[c] = m.found
			case child == 0:
				row[c] = other[c] // of the root itself: 0
			default:
				row[c] = child * uint32(classes)
				queue = append(queue, child)
				if state != 0 {
					suffix[child] = other[c] / uint32(classes)
				}
			}
		}
	}
	return m
}

func (m *matcher) empty() bool { return m.next == nil && !m.any }

// match reports whether text may name one.
func (m *matcher) match(text string) bool {
	if m.next == nil {
		return m.any
	}
	found, ascii := m.scan(text)
	if !found && !ascii {
		found, _ = m.scan(strings.ToLower(text))
	}
	return found
}

// scan looks for the names, letters other than ASCII's as they are.
func (m *matcher) scan(text string) (found, ascii bool) {
	state, bits := uint32(0), byte(0)
	for i := range len(text) {
		c := text[i]
		bits |= c
		if state = m.next[state+uint32(m.class[c])]; state == m.found {
			return true, true
		}
	}
	return false, bits < utf8.RuneSelf
}
