package driver

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxRoles is for how many roles a connection keeps statements.
const maxRoles = 4

// described is a text that one role has had parsed on this connection. Its description, and its plan where it has a
// name, belong to that role.
type described struct {
	text string // as the application wrote it
	tag  string // of the role
	sd   *pgconn.StatementDescription
	// formats are the result formats of database/sql, fields and funcs what its results have; made at first use.
	formats []int16
	fields  []pgconn.FieldDescription
	funcs   []valueFunc

	cached    *list.Element
	witnessed any                      // the plan, or the tags, that its parameters' types agree with
	decoding  atomic.Pointer[decoding] // of its last result

	pins      int  // of open driver.Stmts
	stale     bool // its description may not fit any more
	epoch     int  // of the connection, when its name was parsed last
	pathEpoch int  // of the connection, when it was described
	// types are those that its name is parsed with, nil where the server chooses them.
	types []uint32
}

// statementCache keeps described texts per role: the least recently used text of a role goes first, and of more than
// maxRoles roles the least recently used one with all its texts.
type statementCache struct {
	capacity int // per role; 0 keeps nothing
	roles    map[string]*roleCache
	used     int // counts uses, to tell the least recently used role
	drop     func(*described)
}

type roleCache struct {
	texts map[string]*described
	order *list.List // of *described, most recently used first
	used  int
}

func newStatementCache(capacity int, drop func(*described)) *statementCache {
	return &statementCache{capacity: capacity, roles: make(map[string]*roleCache), drop: drop}
}

func (sc *statementCache) get(tag, text string) *described {
	rc := sc.roles[tag]
	if rc == nil {
		return nil
	}
	d := rc.texts[text]
	if d == nil {
		return nil
	}
	sc.used++
	rc.used = sc.used
	rc.order.MoveToFront(d.cached)
	return d
}

func (sc *statementCache) put(d *described) {
	if sc.capacity <= 0 {
		sc.release(d)
		return
	}
	rc := sc.roles[d.tag]
	if rc == nil {
		if len(sc.roles) >= maxRoles {
			sc.dropRole()
		}
		rc = &roleCache{texts: make(map[string]*described), order: list.New()}
		sc.roles[d.tag] = rc
	}
	if old := rc.texts[d.text]; old != nil {
		sc.remove(old)
	}
	if rc.order.Len() >= sc.capacity {
		sc.remove(rc.order.Back().Value.(*described))
	}
	sc.used++
	rc.used = sc.used
	rc.texts[d.text] = d
	d.cached = rc.order.PushFront(d)
}

// remove takes d out; it is dropped unless a driver.Stmt still holds it.
func (sc *statementCache) remove(d *described) {
	if d.cached == nil {
		return
	}
	rc := sc.roles[d.tag]
	rc.order.Remove(d.cached)
	delete(rc.texts, d.text)
	d.cached = nil
	sc.release(d)
}

// invalidate takes d out because its description may not fit any more; a driver.Stmt that holds it asks for a new one.
func (sc *statementCache) invalidate(d *described) {
	d.stale = true
	if d.cached != nil && sc.roles[d.tag] != nil && sc.roles[d.tag].texts[d.text] == d {
		sc.remove(d)
	}
}

// release drops d where neither the cache nor a driver.Stmt holds it.
func (sc *statementCache) release(d *described) {
	if d.cached == nil && d.pins == 0 {
		sc.drop(d)
	}
}

func (sc *statementCache) dropRole() {
	var oldest *roleCache
	var tag string
	for t, rc := range sc.roles {
		if oldest == nil || rc.used < oldest.used {
			oldest, tag = rc, t
		}
	}
	for oldest.order.Len() > 0 {
		sc.remove(oldest.order.Back().Value.(*described))
	}
	delete(sc.roles, tag)
}

// forget takes everything out without dropping it: the server has lost it already.
func (sc *statementCache) forget() {
	for _, rc := range sc.roles {
		for e := rc.order.Front(); e != nil; e = e.Next() {
			d := e.Value.(*described)
			d.cached, d.stale = nil, true
		}
	}
	clear(sc.roles)
}

// ownNames begin the names of this package's statements.
const ownNames = "pganon_"

// roleText is the text of a named statement: it differs per role, so that neither the server nor a pooler that shares
// statements by their text hands one role's plan to another. A hash, because a role's name may say too much.
func roleText(text, tag string) string {
	return text + "\n-- pganon:" + tag
}

// statementName is not to be guessed by SQL on the connection: the nonce is the connection's.
func statementName(roleText, nonce string) string {
	sum := sha256.Sum256([]byte(roleText))
	return ownNames + nonce + "_" + hex.EncodeToString(sum[:12])
}

// settingStatement is a settings statement that the session has had parsed.
type settingStatement struct {
	sd    *pgconn.StatementDescription
	epoch int // of its last Parse; -1 before the first
}

func (c *conn) setting(s *shape) *settingStatement {
	if set := c.shapes[s]; set != nil {
		return set
	}
	set := &settingStatement{epoch: -1, sd: &pgconn.StatementDescription{
		Name: ownNames + c.nonce + "_set_" + s.hash, SQL: s.sql, ParamOIDs: s.oids, Fields: settingsFields,
	}}
	c.shapes[s] = set
	return set
}
