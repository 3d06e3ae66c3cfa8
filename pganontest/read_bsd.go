//go:build darwin || freebsd || openbsd

package pganontest

// fionread is FIONREAD in sys/filio.h, _IOR('f', 127, int), which x/sys/unix does not have everywhere.
const fionread = 0x4004667f
