package pganontest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is one connection through a proxy.
type link struct {
	proxy  *Proxy
	record *record
	cancel context.CancelFunc
	client net.Conn

	mu      sync.Mutex // guards what follows
	server  net.Conn   // nil until it is connected
	isCut   bool
	trips   trips
	tripEnd int // how many of the bytes to come the client had sent when the last round trip ended
}

// connected tells l its server, unless l has been cut.
func (l *link) connected(server net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isCut {
		l.server = server
	}
	return !l.isCut
}

// cut closes both sides, so that each is told that the connection was reset, unless it has been closed before.
func (l *link) cut() {
	l.mu.Lock()
	l.isCut = true
	server := l.server
	l.mu.Unlock()
	l.cancel()
	// Not under mu: Close waits for a read that is under way, and that read for mu.
	reset(l.client)
	if server != nil {
		reset(server)
	}
}

func reset(conn net.Conn) {
	raw := conn
	if secure, ok := conn.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	raw.Close()
}

// relay passes startup on and then everything, both ways, until one side ends.
func (l *link) relay(startup []byte) {
	p := l.proxy
	toServer := newPipe(&p.oneWay, func(b []byte) error {
		_, err := l.server.Write(b)
		return err
	})
	toClient := newPipe(&p.oneWay, l.deliver())
	var both sync.WaitGroup
	both.Go(func() {
		_ = toServer.send(startup)
		err := l.readClient(toServer)
		toServer.close()
		if half, ok := l.server.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
			_ = half.CloseWrite() // the server may have more to say, and ends then
		} else if err != nil {
			l.cut()
		}
	})
	both.Go(func() {
		err := l.readServer(toClient)
		toClient.close()
		if errors.Is(err, io.EOF) {
			l.client.Close()
		} else {
			l.cut()
		}
		l.server.Close()
	})
	both.Wait()
}

const readSize = 64 << 10

// readClient counts and records what the client sends, and sends it on. Its error is the client's; the server's is nil.
func (l *link) readClient(to *pipe) error {
	buf := make([]byte, readSize)
	var frames framer
	var marks []mark
	read := func(b []byte) {
		marks = marks[:0]
		frames.feed(b, func(kind byte, start, length int) {
			if l.trips.client(kind, start < l.tripEnd) {
				l.proxy.roundTrips.Add(1)
			}
			marks = append(marks, mark{kind: kind, start: start, end: start + length})
		})
		l.tripEnd = max(0, l.tripEnd-len(b))
	}
	for {
		n, err := readLocked(l.client, buf, &l.mu, read)
		if n > 0 {
			if l.proxy.recording.Load() {
				for i := range marks {
					marks[i].number = l.proxy.messages.Add(1)
				}
				l.record.addSent(buf[:n], marks)
			} else {
				l.record.missSent()
			}
			if err := to.send(buf[:n]); err != nil {
				return nil // the server is gone; what it said before is still to be delivered
			}
		}
		if err != nil {
			return err
		}
	}
}

func (l *link) readServer(to *pipe) error {
	buf := make([]byte, readSize)
	for {
		n, err := l.server.Read(buf)
		if n > 0 {
			if err := to.send(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// deliver returns the function that gives the client what the server sent, after any latency: a round trip ends for
// the client when the answer reaches it, not when it leaves the server.
func (l *link) deliver() func([]byte) error {
	var frames framer
	return func(b []byte) error {
		l.mu.Lock()
		frames.feed(b, func(kind byte, _, _ int) {
			if l.trips.server(kind) {
				l.tripEnd = unread(l.client)
			}
		})
		l.mu.Unlock()
		if l.proxy.recording.Load() {
			l.record.addReceived(b)
		}
		_, err := l.client.Write(b)
		return err
	}
}

// startTLS asks the server for TLS and does the handshake.
func startTLS(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	request := binary.BigEndian.AppendUint32(nil, 8)
	request = binary.BigEndian.AppendUint32(request, sslRequestCode)
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if answer[0] != 'S' {
		return nil, errors.New("the server refuses TLS")
	}
	secure := tls.Client(conn, config)
	return secure, secure.HandshakeContext(ctx)
}

// framer finds the messages in a stream that arrives in pieces. It keeps nothing but the head of a message.
type framer struct {
	head    [5]byte
	have    int // bytes of head
	body    int // bytes of the body still to come
	invalid bool
}

// feed takes the next piece of the stream. It calls found for each message whose head ends in the piece, with its
// type, the position of its first byte in the piece, which is negative where that was in an earlier one, and its
// length, head included. After a length that no message can have it finds nothing any more.
func (f *framer) feed(b []byte, found func(kind byte, start, length int)) {
	for at := 0; at < len(b) && !f.invalid; {
		if f.body > 0 {
			n := min(f.body, len(b)-at)
			f.body -= n
			at += n
			continue
		}
		n := copy(f.head[f.have:], b[at:])
		f.have += n
		at += n
		if f.have < len(f.head) {
			return
		}
		length := binary.BigEndian.Uint32(f.head[1:])
		if length < 4 || length > 1<<31-1 {
			f.invalid = true
			return
		}
		f.have = 0
		f.body = int(length) - 4
		found(f.head[0], at-len(f.head), int(length)+1)
	}
}

// pipe passes pieces of a stream on to a writer in order, each after a delay of its own: delays overlap.
type pipe struct {
	delay interface{ Load() int64 }
	write func([]byte) error

	mu      sync.Mutex
	changed sync.Cond
	queue   []piece
	size    int
	writing bool // whether the writer goroutine runs
	busy    bool // whether it holds a piece
	ended   bool
	err     error
	done    sync.WaitGroup
}

type piece struct {
	bytes []byte
	due   time.Time
}

// maxQueued bounds what waits for its time, or for a receiver that does not read; then the sender waits too.
const maxQueued = 64 << 20

func newPipe(delay interface{ Load() int64 }, write func([]byte) error) *pipe {
	p := &pipe{delay: delay, write: write}
	p.changed.L = &p.mu
	return p
}

// send passes b on. Without a delay it writes b itself; with one it keeps a copy and returns.
func (p *pipe) send(b []byte) error {
	delay := time.Duration(p.delay.Load())
	p.mu.Lock()
	if delay == 0 && len(p.queue) == 0 && !p.busy {
		p.mu.Unlock()
		return p.write(b)
	}
	defer p.mu.Unlock()
	for p.size > maxQueued && p.err == nil {
		p.changed.Wait()
	}
	if p.err != nil {
		return p.err
	}
	p.queue = append(p.queue, piece{append([]byte(nil), b...), time.Now().Add(delay)})
	p.size += len(b)
	if !p.writing {
		p.writing = true
		p.done.Go(p.run)
	}
	p.changed.Broadcast()
	return nil
}

// close returns when everything sent has been written, or could not be.
func (p *pipe) close() {
	p.mu.Lock()
	p.ended = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
}

func (p *pipe) run() {
	timer := newTimer()
	defer timer.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.queue) == 0 && !p.ended {
			p.changed.Wait()
		}
		if len(p.queue) == 0 || p.err != nil {
			return
		}
		next := p.queue[0]
		p.queue[0] = piece{}
		p.queue = p.queue[1:]
		p.busy = true
		p.mu.Unlock()
		timer.sleepUntil(next.due)
		err := p.write(next.bytes)
		p.mu.Lock()
		p.busy = false
		p.size -= len(next.bytes)
		if err != nil {
			p.err, p.queue = err, nil
		}
		p.changed.Broadcast()
	}
}

// record is what one connection has carried.
type record struct {
	conn int

	mu       sync.Mutex
	closed   bool
	sent     []byte
	received []byte
	messages []mark
}

// mark says where in what was sent a message is. A zero kind is a message without a type.
type mark struct {
	kind       byte
	start, end int
	number     uint64
}

// addSent takes bytes and the messages in them, whose positions are relative to b.
func (r *record) addSent(b []byte, messages []mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range messages {
		m.start += len(r.sent)
		m.end += len(r.sent)
		if m.start >= 0 { // else it began before a Reset
			r.messages = append(r.messages, m)
		}
	}
	r.sent = append(r.sent, b...)
}

// missSent tells r that bytes were not recorded: a message that they belong to is not to be had.
func (r *record) missSent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.messages); n > 0 && r.messages[n-1].end > len(r.sent) {
		r.messages = r.messages[:n-1]
	}
}

func (r *record) addReceived(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received = append(r.received, b...)
}

func (r *record) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// reset empties r and tells whether its connection is closed.
func (r *record) reset() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent, r.received, r.messages = nil, nil, nil
	return r.closed
}

// recorded returns what each connection has carried; nothing changes it any more.
func (p *Proxy) recorded() []*record {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*record, len(p.records))
	for i, r := range p.records {
		r.mu.Lock()
		all[i] = &record{
			conn:     r.conn,
			sent:     r.sent[:len(r.sent):len(r.sent)],
			received: r.received[:len(r.received):len(r.received)],
			messages: r.messages[:len(r.messages):len(r.messages)],
		}
		r.mu.Unlock()
	}
	return all
}
