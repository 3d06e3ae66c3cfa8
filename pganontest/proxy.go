package pganontest

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Proxy stands between a client and a PostgreSQL server. It counts round trips, keeps every byte, adds latency and
// cuts connections. To the client it is the server, without TLS; to the server it is a client, with TLS where the DSN
// asks for it. Its methods may be called from several goroutines, at any time.
type Proxy struct {
	dsn      connString // of the proxy
	password func(role string) string
	upstream *pgconn.Config
	listener net.Listener

	roundTrips atomic.Int64
	oneWay     atomic.Int64 // nanoseconds
	recording  atomic.Bool
	messages   atomic.Uint64 // numbers the messages of all connections

	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	opened  int
	open    map[*link]struct{}
	records []*record // of open connections and, until Reset, of closed ones; in the order of their opening
}

// NewProxy starts a proxy on a free port of 127.0.0.1 in front of the server that dsn names, in URL or keyword form.
// Parameters of dsn other than the address and TLS are kept for [Proxy.DSN], those of drivers above pgx too.
func NewProxy(dsn string) (*Proxy, error) {
	parsed, err := parseConnString(dsn)
	if err != nil {
		return nil, fmt.Errorf("pganontest: start proxy: DSN: %w", err)
	}
	upstream, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("pganontest: start proxy: pgx refuses the DSN") // pgx's error may quote a part of it
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("pganontest: start proxy: %w", err)
	}
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	p := &Proxy{
		dsn:      parsed.at(host, port),
		password: func(string) string { return "" },
		upstream: upstream,
		listener: listener,
		open:     map[*link]struct{}{},
	}
	if p.dsn.user == "" {
		p.dsn = p.dsn.withLogin(upstream.User, upstream.Password)
	}
	if p.dsn.database == "" {
		p.dsn = p.dsn.withDatabase(upstream.Database)
	}
	p.recording.Store(true)
	p.running.Go(p.accept)
	return p, nil
}

// DSN returns a URL for the DSN that the proxy was made with, through the proxy.
func (p *Proxy) DSN() string { return p.dsn.String() }

// DSNAs is [Proxy.DSN] with role as the login: see [DB.DSNAs]. A proxy made by [NewProxy] knows no role's password.
func (p *Proxy) DSNAs(role string) string {
	return p.dsn.withLogin(role, p.password(role)).String()
}

// RoundTrips returns the number of round trips since the last [Proxy.Reset], over all connections.
//
// A round trip begins with a message of the client that comes while the server owes that connection no answer, and
// ends when it owes none any more: every Sync and Query has had its ReadyForQuery, every Flush the answers it asks
// for. So a pipeline of any length is one, and so is a COPY. The handshake, Terminate and CancelRequest are not counted.
func (p *Proxy) RoundTrips() int { return int(p.roundTrips.Load()) }

// SetLatency adds roundTrip to every round trip from now on, half of it in each direction; zero adds nothing. It delays
// and does not throttle: however much is sent in one go is late once. It is never less than asked for, and on an idle
// Linux machine no more than some 0.1 ms above it.
func (p *Proxy) SetLatency(roundTrip time.Duration) {
	p.oneWay.Store(int64(roundTrip / 2))
}

// SetRecording turns the recording of bytes and messages off, which benchmarks want, or on again. Round trips are
// counted all the same.
func (p *Proxy) SetRecording(on bool) { p.recording.Store(on) }

// Reset forgets the round trips, bytes and messages so far.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roundTrips.Store(0)
	p.records = slices.DeleteFunc(p.records, func(r *record) bool { return r.reset() })
}

// Sent returns every byte that clients have sent since the last [Proxy.Reset], including their passwords: the bytes of
// one connection in a row, the connections in the order of their opening.
func (p *Proxy) Sent() []byte {
	var all []byte
	for _, r := range p.recorded() {
		all = append(all, r.sent...)
	}
	return all
}

// Received returns every byte that clients were sent since the last [Proxy.Reset], in the order that [Proxy.Sent] has.
func (p *Proxy) Received() []byte {
	var all []byte
	for _, r := range p.recorded() {
		all = append(all, r.received...)
	}
	return all
}

// Message is a message that a client sent.
type Message struct {
	// Conn tells connections apart; the proxy's first is 1.
	Conn int
	// Type is the message's first byte, such as 'P'; zero for StartupMessage and CancelRequest, which have none.
	Type byte
	// Body is what follows the length. The types of pgproto3 decode it: new(pgproto3.Parse).Decode(m.Body).
	Body []byte
}

// Messages is a sequence of messages.
type Messages []Message

// Name returns the message's name in the protocol's description, such as "Parse"; "PasswordMessage" for each of the
// answers to an authentication request. PostgreSQL documentation, chapter 55.7.
func (m Message) Name() string {
	switch m.Type {
	case 0:
		if len(m.Body) >= 4 && binary.BigEndian.Uint32(m.Body) == cancelRequestCode {
			return "CancelRequest"
		}
		return "StartupMessage"
	case 'B':
		return "Bind"
	case 'C':
		return "Close"
	case 'c':
		return "CopyDone"
	case 'D':
		return "Describe"
	case 'd':
		return "CopyData"
	case 'E':
		return "Execute"
	case 'F':
		return "FunctionCall"
	case 'f':
		return "CopyFail"
	case 'H':
		return "Flush"
	case 'P':
		return "Parse"
	case 'p':
		return "PasswordMessage"
	case 'Q':
		return "Query"
	case 'S':
		return "Sync"
	case 'X':
		return "Terminate"
	}
	return fmt.Sprintf("unknown message %q", m.Type)
}

// String returns the names of the messages with spaces between them, such as "Parse Describe Sync".
func (ms Messages) String() string {
	names := make([]string, len(ms))
	for i, m := range ms {
		names[i] = m.Name()
	}
	return strings.Join(names, " ")
}

// Messages returns the messages that clients have sent since the last [Proxy.Reset], in the order they came in, over
// all connections.
func (p *Proxy) Messages() Messages {
	type numbered struct {
		Message
		number uint64
	}
	var all []numbered
	for _, r := range p.recorded() {
		for _, m := range r.messages {
			head := 5
			if m.kind == 0 {
				head = 4
			}
			if m.end > len(r.sent) {
				continue // the rest of it is still to come
			}
			all = append(all, numbered{Message{Conn: r.conn, Type: m.kind, Body: r.sent[m.start+head : m.end]}, m.number})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	messages := make(Messages, len(all))
	for i, m := range all {
		messages[i] = m.Message
	}
	return messages
}

// Cut closes every open connection abruptly, on both sides, as a network failure would: what is under way is lost. New
// connections are accepted as before.
func (p *Proxy) Cut() {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, l := range links {
		l.cut()
	}
}

// Close stops listening, cuts the connections that are open, and returns when nothing of the proxy runs any more. What
// it has recorded stays.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	p.Cut()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // out of file descriptors, or the client has gone already
			continue
		}
		p.running.Go(func() { p.serve(conn) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &link{proxy: p, client: client, cancel: cancel}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		client.Close()
		return
	}
	p.opened++
	l.record = &record{conn: p.opened}
	p.open[l] = struct{}{}
	p.records = append(p.records, l.record)
	p.mu.Unlock()
	defer func() {
		l.cut()
		l.record.close()
		p.mu.Lock()
		delete(p.open, l)
		p.mu.Unlock()
	}()
	startup, err := readStartup(client)
	if err != nil {
		return
	}
	if p.recording.Load() {
		l.record.addSent(startup, []mark{{start: 0, end: len(startup), number: p.messages.Add(1)}})
	}
	server, err := p.dial(ctx)
	if err != nil {
		refusal := pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08001", Message: "the proxy of pganontest cannot reach the server"}
		if encoded, err := refusal.Encode(nil); err == nil {
			_, _ = client.Write(encoded)
		}
		return
	}
	if !l.connected(server) {
		server.Close()
		return
	}
	l.relay(startup)
}

// The codes that stand where a startup message has its version: PostgreSQL documentation, chapter 55.7.
const (
	cancelRequestCode = 80877102
	sslRequestCode    = 80877103
	gssEncRequestCode = 80877104

	maxStartup = 10_000 // MAX_STARTUP_PACKET_LENGTH in PostgreSQL's source
)

// readStartup answers requests for encryption with no, and returns the packet that comes then.
func readStartup(client net.Conn) ([]byte, error) {
	for {
		packet := make([]byte, 8)
		if _, err := io.ReadFull(client, packet); err != nil {
			return nil, err
		}
		length := binary.BigEndian.Uint32(packet)
		if length < 8 || length > maxStartup {
			return nil, errors.New("invalid length of a startup packet")
		}
		packet = append(packet, make([]byte, length-8)...)
		if _, err := io.ReadFull(client, packet[8:]); err != nil {
			return nil, err
		}
		switch binary.BigEndian.Uint32(packet[4:]) {
		case sslRequestCode, gssEncRequestCode:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		default:
			return packet, nil
		}
	}
}

// dial connects to the server as pgx would, up to the point where the startup message is due: to the first of the DSN's
// addresses that answers, with TLS or without as sslmode has it.
func (p *Proxy) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	targets := append([]*pgconn.FallbackConfig{{Host: p.upstream.Host, Port: p.upstream.Port, TLSConfig: p.upstream.TLSConfig}}, p.upstream.Fallbacks...)
	var errs []error
	for _, target := range targets {
		conn, err := dialTarget(ctx, target)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func dialTarget(ctx context.Context, target *pgconn.FallbackConfig) (net.Conn, error) {
	network, address := pgconn.NetworkAddress(target.Host, target.Port)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || target.TLSConfig == nil {
		return conn, err
	}
	secure, err := startTLS(ctx, conn, target.TLSConfig)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}
