package pganontest

import "bytes"

// trips counts one connection's round trips from the types of its messages.
//
// A round trip begins with a message of the client while none is under way, and ends when the server has answered
// everything the client has asked an answer for: each Sync, Query and FunctionCall by ReadyForQuery, each Flush by the
// answers to the messages before it. What a client writes without waiting for an answer is thus one round trip,
// whatever the number of its messages.
type trips struct {
	ready    bool   // the server has said ReadyForQuery once: the handshake is over
	underWay bool   // a round trip is
	failed   bool   // the server skips messages until the next Sync
	expected []byte // client messages that the server has yet to answer, in order
}

// client takes the type of the client's next message and tells whether a round trip begins with it. A message that the
// client had sent before the last round trip ended is early: it is a part of that one.
func (t *trips) client(kind byte, early bool) bool {
	if !t.ready || kind == 'X' {
		return false
	}
	begins := !t.underWay && !early
	switch kind {
	case 'P', 'B', 'C', 'D', 'E':
		if !t.failed {
			t.expected = append(t.expected, kind)
		}
	case 'H':
		if len(t.expected) > 0 {
			t.expected = append(t.expected, kind)
		}
	case 'S':
		t.failed = false
		t.expected = append(t.expected, kind)
	case 'Q', 'F':
		t.expected = append(t.expected, kind)
	}
	t.underWay = t.underWay || begins || t.owed()
	return begins
}

// server takes the type of the server's next message and tells whether a round trip ends with it.
func (t *trips) server(kind byte) bool {
	switch kind {
	case 'Z':
		t.ready = true
		for i, asked := range t.expected {
			if asked == 'S' || asked == 'Q' || asked == 'F' {
				return t.answered(i + 1)
			}
		}
		return false
	case 'E':
		return t.fail()
	case '1':
		return t.answer('P')
	case '2':
		return t.answer('B')
	case '3':
		return t.answer('C')
	case 'T', 'n':
		return t.answer('D')
	case 'C', 'I', 's':
		return t.answer('E')
	}
	return false
}

// answer takes an answer to a message of the extended protocol. Within a simple Query the same types answer nothing.
func (t *trips) answer(asked byte) bool {
	if len(t.expected) == 0 || t.expected[0] != asked {
		return false
	}
	t.expected = t.expected[1:]
	if len(t.expected) == 0 || t.expected[0] != 'H' {
		return false
	}
	return t.answered(1)
}

// fail takes an ErrorResponse. Where it is about a message of the extended protocol, nothing else up to the next Sync
// is answered.
func (t *trips) fail() bool {
	for i, asked := range t.expected {
		if asked == 'S' || i == 0 && (asked == 'Q' || asked == 'F') {
			t.expected = t.expected[i:]
			return false
		}
	}
	flushed := bytes.IndexByte(t.expected, 'H') >= 0
	t.failed = len(t.expected) > 0
	t.expected = nil
	return flushed && t.answered(0)
}

// answered takes the first n expected messages as answered and tells whether the round trip ends with that: whether
// the client has nothing left to wait for.
func (t *trips) answered(n int) bool {
	t.expected = t.expected[n:]
	for len(t.expected) > 0 && t.expected[0] == 'H' {
		t.expected = t.expected[1:]
	}
	ended := t.underWay && !t.owed()
	t.underWay = t.underWay && !ended
	return ended
}

// owed tells whether the client may be waiting.
func (t *trips) owed() bool { return bytes.ContainsAny(t.expected, "SQFH") }
