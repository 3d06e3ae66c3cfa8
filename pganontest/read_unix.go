//go:build darwin || freebsd || linux || openbsd

package pganontest

import (
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// readLocked reads once from conn and hands what came to use, both under mu. So whoever holds mu knows that a byte is
// either still with the kernel, where unread counts it, or has been used.
func readLocked(conn net.Conn, buf []byte, mu *sync.Mutex, use func([]byte)) (int, error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		mu.Lock()
		defer mu.Unlock()
		for {
			n, readErr = unix.Read(int(fd), buf)
			if readErr != unix.EINTR {
				break
			}
		}
		if readErr == unix.EAGAIN {
			return false
		}
		if n > 0 {
			use(buf[:n])
		}
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case readErr != nil:
		return 0, readErr
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// unread counts the bytes that have come in on conn and have not been read.
func unread(conn net.Conn) int {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), fionread) })
	return max(n, 0)
}
