package fernet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// KeySource gives the keys to use now. [Keyring] and [KeyFile] are sources; others, for a KMS or
// Vault, implement the one method.
type KeySource interface {
	// Keyring returns the ring for the columns that share label, or for use outside of columns where
	// label is empty. It is called for each statement that touches the label, from many goroutines,
	// with the statement's context: it returns the same *Keyring as long as the keys are the same,
	// since a ring remembers what it derived. The error it returns contains no key.
	Keyring(ctx context.Context, label string) (*Keyring, error)
}

var (
	_ KeySource = (*Keyring)(nil)
	_ KeySource = (*KeyFile)(nil)
)

// EnvKeyring returns the ring that the environment variable name holds, in the form that
// [ParseKeyring] reads.
func EnvKeyring(name string) (*Keyring, error) {
	s, ok := os.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("fernet: read keys: environment variable %s is not set", name)
	}
	r, err := parseKeyring(s)
	if err != nil {
		return nil, fmt.Errorf("fernet: read keys: environment variable %s: %w", name, err)
	}
	return r, nil
}

// rereadEvery is how often a KeyFile looks at its file, at most, and how long a file must have been
// left alone before it is believed: one that is being written is not half read.
const rereadEvery = time.Second

// KeyFile is the [KeySource] of keys in a file, in the form that [ParseKeyring] reads. When it is
// asked for keys, and a second after it last looked, it reads the file again: keys rotate without a
// restart. A file that has become unreadable, open to others or broken is reported, and the keys
// read before stay in use.
type KeyFile struct {
	redacted
	path   string
	report func(error)

	ring   atomic.Pointer[Keyring]
	opened time.Time
	next   atomic.Int64 // nanoseconds after opened

	rereading sync.Mutex
	sum       [sha256.Size]byte // of the text that ring was made of
	reported  string
}

// OpenKeyFile reads the keys in the file at path. It refuses a file that group or others may read
// or write (Windows has no such modes). Errors found later, when the file has changed, go to report,
// once each; where report is nil, to slog.Default.
func OpenKeyFile(path string, report func(error)) (*KeyFile, error) {
	if report == nil {
		report = func(err error) {
			slog.Error("fernet: the keys read before stay in use", slog.String("error", err.Error()))
		}
	}
	f := &KeyFile{path: path, report: report, opened: time.Now()}
	text, _, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	if err := f.use(text); err != nil {
		return nil, err
	}
	f.next.Store(int64(rereadEvery))
	return f, nil
}

// Keyring returns the keys that the file holds. It never fails.
func (f *KeyFile) Keyring(context.Context, string) (*Keyring, error) {
	now := time.Since(f.opened)
	if int64(now) >= f.next.Load() && f.rereading.TryLock() {
		f.reread()
		f.next.Store(int64(time.Since(f.opened) + rereadEvery))
		f.rereading.Unlock()
	}
	return f.ring.Load(), nil
}

func (f *KeyFile) reread() {
	text, modified, err := readKeyFile(f.path)
	if err == nil && sha256.Sum256(text) != f.sum {
		if age := time.Since(modified); age >= 0 && age < rereadEvery {
			return
		}
		err = f.use(text)
	}
	if err == nil {
		f.reported = ""
	} else if err.Error() != f.reported {
		f.reported = err.Error()
		f.report(err)
	}
}

func (f *KeyFile) use(text []byte) error {
	r, err := parseKeyring(string(text))
	if err != nil {
		return fmt.Errorf("fernet: read key file %s: %w", f.path, err)
	}
	f.sum = sha256.Sum256(text)
	f.ring.Store(r)
	return nil
}

// readKeyFile gives the file's text and when it was last written.
func readKeyFile(path string) (text []byte, modified time.Time, err error) {
	defer func() {
		if err != nil {
			if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
				err = fmt.Errorf("%s: %w", pathErr.Op, pathErr.Err)
			}
			err = fmt.Errorf("fernet: read key file %s: %w", path, err)
		}
	}()
	// Before it is opened: opening a pipe would wait for a writer.
	if info, err := os.Stat(path); err != nil {
		return nil, time.Time{}, err
	} else if !info.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, time.Time{}, fmt.Errorf("mode %#o lets others at the keys: run chmod 600 %s", perm, path)
	}
	text, err = io.ReadAll(io.LimitReader(file, maxRingBytes+1))
	return text, info.ModTime(), err
}
