package pganontest

import (
	"errors"
	"maps"
	"net"
	"net/url"
	"strings"
)

// connString is a connection string taken apart, so that the database, the login or the address can be replaced.
// What pgx makes of the rest of it (its defaults, PG* variables, service files) stays pgx's business.
type connString struct {
	user, password, database string
	// host is a URL's authority as it stands, so that a list of hosts survives; empty where params say it.
	host   string
	params url.Values
}

// parseConnString reads both of libpq's forms, URL and keyword/value (PostgreSQL documentation, 34.1.1).
// Its errors never quote the input: it may hold a password.
func parseConnString(s string) (connString, error) {
	if strings.IndexByte(s, 0) >= 0 {
		return connString{}, errors.New("NUL byte")
	}
	c := connString{params: url.Values{}}
	if strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") {
		u, err := url.Parse(strings.ReplaceAll(s, "#", "%23")) // libpq's URLs have no fragment
		if err != nil || ambiguous(s) {
			return connString{}, errors.New("not a valid URL: are special characters percent-encoded?")
		}
		c.user = u.User.Username()
		c.password, _ = u.User.Password()
		c.database = strings.TrimPrefix(u.Path, "/")
		c.host = u.Host
		if err := parseQuery(u.RawQuery, c.params); err != nil {
			return connString{}, err
		}
	} else if err := parseKeywordValue(s, c.params); err != nil {
		return connString{}, err
	}
	for key, field := range map[string]*string{"user": &c.user, "password": &c.password, "database": &c.database} {
		if c.params.Has(key) {
			*field = c.params.Get(key)
			c.params.Del(key)
		}
	}
	return c, nil
}

// ambiguous tells whether libpq may read the URL in another way than [url.Parse]: it takes the first @ before the first
// slash as the end of the login, and drops spaces.
func ambiguous(s string) bool {
	_, rest, _ := strings.Cut(s, "//")
	authority, _, _ := strings.Cut(rest, "/")
	login, address, found := strings.Cut(authority, "@")
	return strings.Contains(s, " ") || found && (strings.Contains(login, "?") || strings.Contains(address, "@"))
}

// parseQuery reads a URL's query as libpq does: the last of several values counts, and a plus sign is a plus sign.
func parseQuery(s string, into url.Values) error {
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, err1 := url.PathUnescape(key)
		value, err2 := url.PathUnescape(value)
		if err1 != nil || err2 != nil {
			return errors.New("invalid percent escape")
		}
		into.Set(canonical(key), value)
	}
	return nil
}

func canonical(key string) string {
	if key == "dbname" {
		return "database"
	}
	return key
}

const asciiSpace = " \t\n\r\v\f"

func parseKeywordValue(s string, into url.Values) error {
	for s = strings.TrimLeft(s, asciiSpace); s != ""; s = strings.TrimLeft(s, asciiSpace) {
		key, rest, ok := strings.Cut(s, "=")
		key = strings.TrimRight(key, asciiSpace)
		if !ok || key == "" || strings.ContainsAny(key, asciiSpace) {
			return errors.New("neither a postgres:// URL nor keyword=value pairs")
		}
		rest = strings.TrimLeft(rest, asciiSpace)
		quoted := strings.HasPrefix(rest, "'")
		if quoted {
			rest = rest[1:]
		}
		var value strings.Builder
		closed := !quoted
		i := 0
		for ; i < len(rest); i++ {
			if c := rest[i]; quoted && c == '\'' {
				closed = true
				i++
				break
			} else if !quoted && strings.IndexByte(asciiSpace, c) >= 0 {
				break
			} else if c == '\\' {
				if i++; i == len(rest) {
					break
				}
			}
			value.WriteByte(rest[i])
		}
		if !closed {
			return errors.New("unterminated quoted value")
		}
		into.Set(canonical(key), value.String())
		s = rest[min(i, len(rest)):]
	}
	return nil
}

// String gives the URL form.
func (c connString) String() string {
	u := url.URL{Scheme: "postgres", Host: c.host, Path: "/" + c.database}
	u.RawQuery = strings.ReplaceAll(c.params.Encode(), "+", "%20")
	switch {
	case c.password != "":
		u.User = url.UserPassword(c.user, c.password)
	case c.user != "":
		u.User = url.User(c.user)
	}
	return u.String()
}

func (c connString) withDatabase(name string) connString {
	c.database = name
	return c
}

func (c connString) withLogin(user, password string) connString {
	c.user, c.password = user, password
	return c
}

// at gives c for a server that answers at host and port without TLS; host may be a socket directory.
func (c connString) at(host, port string) connString {
	c.params = maps.Clone(c.params)
	if c.params == nil {
		c.params = url.Values{}
	}
	for key := range c.params {
		if strings.HasPrefix(key, "ssl") || key == "host" || key == "port" || key == "channel_binding" || key == "requiressl" {
			delete(c.params, key)
		}
	}
	c.params.Set("sslmode", "disable")
	if c.host = net.JoinHostPort(host, port); strings.HasPrefix(host, "/") {
		c.host = ""
		c.params.Set("host", host)
		c.params.Set("port", port)
	}
	return c
}
