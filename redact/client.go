package redact

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// client cleans the errors of known types.
func (s *scrubber) client(err error, depth int) (cleaned, bool) {
	cause := func(inner error) cleaned {
		if inner == nil {
			return cleaned{}
		}
		return s.scrub(inner, depth+1)
	}
	behind := func(text string, inner cleaned, as ...error) (cleaned, bool) {
		if inner.text != "" {
			text += ": " + inner.text
		}
		return cleaned{text: text, as: append(as, inner.as...)}, true
	}
	switch e := err.(type) {
	case *pgconn.ConnectError:
		return s.connect(e, depth), true
	case *pgconn.ParseConfigError:
		// Nothing of it: in a malformed DSN anything may be part of the password.
		return cleaned{text: "cannot parse the connection string: malformed, or a value is invalid (the characters @ : / ? # % of a password must be percent-encoded in a URL)"}, true
	case *pgconn.NotPreferredError:
		return behind("standby server not found", cause(e.Unwrap()))
	case *net.OpError:
		inner := cause(e.Err)
		copied := &net.OpError{Op: e.Op, Net: e.Net, Source: e.Source, Addr: e.Addr, Err: reachable(inner)}
		if !word(e.Op) {
			copied.Op = gone
		}
		if !word(e.Net) {
			copied.Net = ""
		}
		if copied.Addr != nil && !standardAddr(copied.Addr) {
			copied.Addr = nil
		}
		if copied.Source != nil && !standardAddr(copied.Source) {
			copied.Source = nil
		}
		return alone(copied), true
	case *net.DNSError:
		copied := &net.DNSError{Err: "lookup failed", Name: gone, IsTimeout: e.IsTimeout, IsTemporary: e.IsTemporary, IsNotFound: e.IsNotFound}
		if slices.Contains([]string{"no such host", "server misbehaving", "i/o timeout", "lame referral", "no answer from DNS server"}, e.Err) {
			copied.Err = e.Err
		}
		if hostName(e.Name) {
			copied.Name = e.Name
		}
		if hostName(e.Server) {
			copied.Server = e.Server
		}
		return alone(copied), true
	case *net.AddrError:
		return cleaned{text: "invalid network address"}, true
	case *net.ParseError:
		return cleaned{text: "cannot parse network address"}, true
	case *os.SyscallError:
		if word(e.Syscall) {
			return behind(e.Syscall, cause(e.Err))
		}
		return behind("system call", cause(e.Err))
	case syscall.Errno:
		return alone(e), true
	case *fs.PathError:
		if word(e.Op) {
			return behind(e.Op, cause(e.Err))
		}
		return behind("file operation", cause(e.Err))
	case *url.Error:
		if word(e.Op) {
			return behind(e.Op, cause(e.Err))
		}
		return behind("request", cause(e.Err))
	case x509.UnknownAuthorityError:
		return cleaned{text: "x509: certificate signed by unknown authority"}, true
	case x509.HostnameError:
		return cleaned{text: "x509: certificate is not valid for the host"}, true
	case x509.CertificateInvalidError:
		return cleaned{text: "x509: certificate is invalid (reason " + strconv.Itoa(int(e.Reason)) + ")"}, true
	case *tls.CertificateVerificationError:
		return behind("tls: failed to verify certificate", cause(e.Err))
	case tls.RecordHeaderError:
		return cleaned{text: "tls: first record does not look like a TLS handshake"}, true
	case tls.AlertError:
		return alone(e), true
	case *strconv.NumError:
		copied := &strconv.NumError{Func: gone, Num: gone, Err: errors.New("invalid")}
		if numFunc.MatchString(e.Func) {
			copied.Func = e.Func
		}
		if e.Err == strconv.ErrSyntax || e.Err == strconv.ErrRange {
			copied.Err = e.Err
		}
		return alone(copied), true
	case *time.ParseError:
		const dots = "..." // package time escapes what is not ASCII
		copied := &time.ParseError{Layout: dots, Value: dots, LayoutElem: dots, ValueElem: dots}
		if slices.Contains(layouts, e.Layout) {
			copied.Layout, copied.LayoutElem = e.Layout, e.LayoutElem
			if !strings.Contains(e.Layout, e.LayoutElem) {
				copied.LayoutElem = dots
			}
		}
		if outOfRange.MatchString(e.Message) {
			copied.Message = e.Message
		} else if e.Message != "" {
			copied.Message = ": invalid"
		}
		return alone(copied), true
	case *json.SyntaxError:
		return cleaned{text: "json: syntax error at offset " + strconv.FormatInt(e.Offset, 10), as: []error{&json.SyntaxError{Offset: e.Offset}}}, true
	case *json.UnmarshalTypeError:
		copied := &json.UnmarshalTypeError{Value: "value", Type: e.Type, Offset: e.Offset}
		if kind, _, _ := strings.Cut(e.Value, " "); slices.Contains([]string{"string", "number", "bool", "object", "array", "null"}, kind) {
			copied.Value = kind
		}
		if copied.Type == nil {
			copied.Type = reflect.TypeFor[any]()
		}
		return alone(copied), true
	case *json.MarshalerError:
		return behind("json: cannot marshal "+fmt.Sprint(e.Type), cause(e.Err))
	case *json.UnsupportedValueError:
		return cleaned{text: "json: unsupported value"}, true
	case *json.UnsupportedTypeError, *json.InvalidUnmarshalError:
		return alone(e), true
	case runtime.Error:
		t := reflect.TypeOf(e)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.PkgPath() == "runtime" {
			// Not as it is: some of them hold what they compare.
			if text := textOf(e); strings.HasPrefix(text, "runtime error: ") || strings.HasPrefix(text, "interface conversion: ") {
				return cleaned{text: text}, true
			}
			return cleaned{text: "runtime error"}, true
		}
	}
	return s.scanned(err, depth)
}

// scanned cleans pgx.ScanArgError: package pgx is not imported for it.
func (s *scrubber) scanned(err error, depth int) (cleaned, bool) {
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Struct || v.Type().Name() != "ScanArgError" || v.Type().PkgPath() != "github.com/jackc/pgx/v5" {
		return cleaned{}, false
	}
	copied := reflect.New(v.Type()).Elem()
	index, name, inner := v.FieldByName("ColumnIndex"), v.FieldByName("FieldName"), v.FieldByName("Err")
	if index.Kind() != reflect.Int || name.Kind() != reflect.String || inner.Kind() != reflect.Interface {
		return cleaned{}, false
	}
	copied.FieldByName("ColumnIndex").SetInt(index.Int())
	copied.FieldByName("FieldName").SetString(name.String())
	cause, _ := inner.Interface().(error)
	copied.FieldByName("Err").Set(reflect.ValueOf(reachable(s.scrub(cause, depth+1))))
	return alone(copied.Interface().(error)), true
}

// reachable returns c as one error.
func reachable(c cleaned) error {
	if c.alone {
		return c.as[0]
	}
	return &barrier{text: c.text, as: c.as}
}

// connect says who, where and why, unless parts of a password may have become user, database or host: an unescaped @, / or ? does that.
func (s *scrubber) connect(e *pgconn.ConnectError, depth int) cleaned {
	mangled := e.Config == nil
	if !mangled {
		mangled = !configName(e.Config.User) || !configName(e.Config.Database) || !configHost(e.Config.Host)
		for _, f := range e.Config.Fallbacks {
			mangled = mangled || f != nil && !configHost(f.Host)
		}
	}
	if mangled {
		// Not even the cause: it names the host.
		var pg *pgconn.PgError
		clean := cleaned{text: "failed to connect: the connection string may be malformed (the characters @ : / ? # % of a password must be percent-encoded in a URL)"}
		if errors.As(e.Unwrap(), &pg) {
			c := s.scrub(pg, depth+1)
			clean.text, clean.as = "failed to connect: "+c.text, c.as
		}
		return clean
	}
	inner := s.scrub(e.Unwrap(), depth+1)
	return cleaned{text: "failed to connect to `user=" + e.Config.User + " database=" + e.Config.Database + "`: " + inner.text, as: inner.as}
}

var (
	configName = regexp.MustCompile(`^[\p{L}\p{N}_. $-]*$`).MatchString
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_.:%-]*$`).MatchString
	word       = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`).MatchString
	numFunc    = regexp.MustCompile(`^(Parse[A-Z][a-z]+|Atoi)$`)
	outOfRange = regexp.MustCompile(`^: [a-z-]+ out of range$`)
	layouts    = []string{time.Layout, time.ANSIC, time.UnixDate, time.RubyDate, time.RFC822, time.RFC822Z, time.RFC850, time.RFC1123,
		time.RFC1123Z, time.RFC3339, time.RFC3339Nano, time.Kitchen, time.Stamp, time.DateTime, time.DateOnly, time.TimeOnly}
)

func configHost(host string) bool {
	return hostName(host) || strings.HasPrefix(host, "/") && !strings.ContainsAny(host, "@?=:'\"")
}

func standardAddr(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr, *net.UDPAddr, *net.IPAddr:
		return true
	case *net.UnixAddr:
		return a != nil && configHost(a.Name)
	}
	return false
}

// goType is a type as %T prints it, of programs, never of data: no spaces, quotes or parentheses.
const goType = `[\w.*\[\]/-]{1,100}`

// fixed are whole texts of database/sql, pgx and pgconn that hold nothing but words, numbers and Go's types.
var fixed = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`conn closed|conn busy|conn uninitialized|closed pool|tx is closed|commit unexpectedly resulted in rollback|too many rows in result set`,
	`rows is closed|no more results in batch|batch already closed|no result|unexpected EOF|rewrite failed|unknown format code`,
	`unknown QueryExecMode: [\w ()-]{1,40}|unsupported isolation: [\w ()-]{1,40}|Stmt\.(?:Exec|Query) deprecated and not implemented`,
	`timeout: context already done: context (?:canceled|deadline exceeded)|context already done: context (?:canceled|deadline exceeded)`,
	`(?:sql: )?expected \d{1,6} arguments, got \d{1,6}|sql: expected \d{1,6} destination arguments in Scan, not \d{1,6}`,
	`mismatched param and argument count|insufficient arguments|unused argument: \d{1,6}|first sql argument must be > 0|invalid arg type: ` + goType,
	`expected \d{1,6} values, got \d{1,6} values|argument [A-Za-z_]\w{0,62} (?:found in sql query but not present in StrictNamedArgs|of StrictNamedArgs not found in sql query)`,
	`StructArgs requires a (?:struct or pointer to struct, got (?:nil|` + goType + `)|non-nil pointer to struct)`,
	`(?:failed to remove|failed to write to|short write to|invalid write to|invalid read of) large object|pipeline (?:closed|has unsynced requests)`,
	`number of field descriptions must equal number of (?:values|destinations), got \d{1,6} and \d{1,6}`,
	`extended protocol limited to \d{1,6} parameters|cannot find encode plan|is not a Valuer`,
	`cannot scan (?:[\w ]{1,64}) \(OID \d{1,10}\) in (?:text|binary|unknown) format into ` + goType,
	`cannot scan NULL into ` + goType + `|cannot assign NULL to ` + goType + `|cannot scan unknown type \(OID \d{1,10}\) in (?:text|binary) format into ` + goType,
	`sql: (?:database is closed|statement is closed|Rows are closed|Scan called without calling Next|no Rows available|connection is already closed|` +
		`transaction has already been committed or rolled back|no rows in result set|driver does not support [\w -]{1,60}|unknown driver)`,
	`sql/driver: [\w -]{1,40} not (?:supported|implemented)|sql: (?:named parameter|Named Parameters) [\w ]{1,40}`,
	`converting NULL to ` + goType + ` is unsupported|destination (?:not a pointer|pointer is nil)`,
	`unsupported Scan, storing driver\.Value type ` + goType + ` into type ` + goType,
	`unsupported type ` + goType + `, a (?:struct|slice|map|func|chan|array)`,
	`(?:LastInsertId|RowsAffected) is not supported by this driver|no (?:LastInsertId|RowsAffected) available after DDL statement`,
	`non-Value type ` + goType + ` returned from Value`,
	`server refused TLS connection|tls error|dial error|hostname resolving error|ip addr wasn't found`,
	`failed SASL auth|channel binding required but [\w -]{1,80}|server does not support SCRAM-SHA-256`,
	`invalid SCRAM [\w -]{1,40} received from server(?:: did not include [a-z]=)?`,
	`simple protocol queries must be run with (?:standard_conforming_strings=on|client_encoding=UTF8)`,
	`cannot use QueryExecMode\w{1,30} with disabled \w{1,20} cache`, `(?:server )?response to SSLRequest not S or N`,
}, "|") + `)$`)

// encodeTail is how pgx ends an encode error, behind the value and without the cause.
var (
	encodeTail  = regexp.MustCompile(`(?s)^unable to encode .* into (text|binary) format for ([A-Za-z_]\w{0,62}|unknown type) \(OID (\d{1,10})\)$`)
	convertForm = regexp.MustCompile(`(?s)^converting driver\.Value type (` + goType + `) \(.*\) to an? ([a-z]\w{1,15}): (invalid syntax|value out of range)$`)
	boolForm    = regexp.MustCompile(`(?s)^sql/driver: couldn't convert .* into type (bool|int32|int64|float64)$`)
	prefixForm  = regexp.MustCompile(`^(?:failed to encode args\[\d{1,6}\]|sql: converting argument \$\d{1,6} type|convert field \d{1,6} failed|` +
		`can't scan into dest\[\d{1,6}\]|prepare failed after ParseComplete|timeout|context already done|conn lock|` +
		`failed to (?:write startup message|receive message|deallocate cached statement\(s\)|connect|send SASL\w*|start TLS)|server error|dial error|tls error|write failed|` +
		`hostname resolving error|failed SASL auth|rewrite query failed|statement description failed|failed to configure TLS|unable to write|protocol error|startup failed|failed to deallocate cached statement\(s\)): $`)
	scanForm = regexp.MustCompile(`^sql: Scan error on column index \d{1,6}, name $`)
)

func safeText(text string) bool { return len(text) < 400 && fixed.MatchString(text) }

// safePrefix says whether text, up to the text of what an error wraps, holds nothing of the data.
func safePrefix(text string) bool {
	if prefixForm.MatchString(text) {
		return true
	}
	if body, ok := strings.CutSuffix(text, ": "); ok && strings.HasPrefix(body, "sql: Scan error on column index ") {
		if at := strings.IndexByte(body, '"'); at > 0 && scanForm.MatchString(body[:at]) {
			quote, err := strconv.QuotedPrefix(body[at:])
			return err == nil && quote == body[at:] // a column's name
		}
	}
	return false
}

// quoting cleans the texts that pgx and database/sql put a value into the middle of.
func (s *scrubber) quoting(text string, inner []error, clean []string) string {
	switch len(inner) {
	case 0:
		if m := convertForm.FindStringSubmatch(text); m != nil {
			return "converting driver.Value type " + m[1] + " (" + gone + ") to a " + m[2] + ": " + m[3]
		}
		if m := boolForm.FindStringSubmatch(text); m != nil {
			return "sql/driver: couldn't convert " + gone + " into type " + m[1]
		}
	case 1:
		if body, ok := strings.CutSuffix(text, ": "+textOf(inner[0])); ok {
			if m := encodeTail.FindStringSubmatch(body); m != nil {
				return "unable to encode " + gone + " into " + m[1] + " format for " + m[2] + " (OID " + m[3] + "): " + clean[0]
			}
		}
	}
	return ""
}
