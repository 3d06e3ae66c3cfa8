//go:build !(darwin || freebsd || linux || openbsd)

package pganontest

import (
	"net"
	"sync"
)

// readLocked reads once from conn and hands what came to use under mu.
func readLocked(conn net.Conn, buf []byte, mu *sync.Mutex, use func([]byte)) (int, error) {
	n, err := conn.Read(buf)
	if n > 0 {
		mu.Lock()
		defer mu.Unlock()
		use(buf[:n])
	}
	return n, err
}

// unread is not known here: a client's write that is received in pieces may count as more than one round trip.
func unread(net.Conn) int { return 0 }
