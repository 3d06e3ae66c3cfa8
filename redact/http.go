package redact

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxBody = 1 << 16 // bytes of a body that Request reads ahead

// Form returns a copy of values with the sensitive ones starred: those of well-known names (see Handler), of the names given, and
// those of a sensitive shape. A name counts wherever its words occur, as in Options.Names.
func Form(values url.Values, names ...string) url.Values {
	return form(values, newNames(names), func(string) string { return stars })
}

func form(values url.Values, names names, star func(string) string) url.Values {
	clean := make(url.Values, len(values))
	for name, all := range values {
		key := shapes(name, star)
		for _, v := range all {
			if names.match(name) {
				v = star(v)
			} else {
				v = shapes(v, star)
			}
			clean[key] = append(clean[key], v)
		}
	}
	return clean
}

// header cleans as form does; the names of cookies stay.
func header(values http.Header, names names, star func(string) string) http.Header {
	clean := make(http.Header, len(values))
	for name, all := range values {
		key := shapes(name, star)
		for _, v := range all {
			switch {
			case strings.EqualFold(name, "Cookie"):
				cookies, err := http.ParseCookie(v)
				if err != nil {
					v = stars
					break
				}
				var shown []string
				for _, c := range cookies {
					shown = append(shown, shapes(c.Name, star)+"="+star(c.Value))
				}
				v = strings.Join(shown, "; ")
			case names.match(name):
				v = star(v)
			case strings.EqualFold(name, "Referer"), strings.EqualFold(name, "Origin"), strings.EqualFold(name, "Location"):
				if u, err := url.Parse(v); err == nil {
					v = location(u, names, star)
				} else {
					v = stars
				}
			default:
				v = shapes(v, star)
			}
			clean[key] = append(clean[key], v)
		}
	}
	return clean
}

func location(u *url.URL, names names, star func(string) string) string {
	if u == nil {
		return ""
	}
	clean := *u
	if clean.User != nil {
		clean.User = url.User("-")
	}
	raw, _, _ := strings.Cut(clean.RawQuery, "#") // url.ParseRequestURI leaves a fragment there
	query, err := url.ParseQuery(raw)
	clean.RawQuery = ""
	clean.Fragment, clean.RawFragment = "", "" // OAuth's implicit flow puts tokens there
	text := shapes(clean.String(), star)
	switch {
	case err != nil:
		text += "?" + stars
	case len(query) > 0:
		text += "?" + readable(form(query, names, star))
	}
	return text
}

// readable is url.Values.Encode without escaping the stars.
func readable(v url.Values) string {
	return strings.NewReplacer("%2A", "*", "%23", "#").Replace(v.Encode())
}

// RequestView is what may be logged of a request; see Request. It is immutable.
type RequestView struct {
	attrs []slog.Attr
}

// LogValue returns a group of method, url, host, remote, headers, and the form or body if there is one.
func (v *RequestView) LogValue() slog.Value {
	if v == nil {
		return slog.GroupValue()
	}
	return slog.GroupValue(v.attrs...)
}

// String returns the same on one line.
func (v *RequestView) String() string {
	if v == nil {
		return ""
	}
	parts := make([]string, len(v.attrs))
	for i, a := range v.attrs {
		parts[i] = fmt.Sprintf("%s=%q", a.Key, fmt.Sprint(a.Value.Any()))
	}
	return strings.Join(parts, " ")
}

// Request returns what may be logged of r: sensitive parameters, headers, fields of JSON and form bodies, of the names given too, and the
// values of all cookies are starred. A JSON or form body up to 64 KiB that has not been read yet is read, and put back for the
// handler; a larger one, and others, are named by their type. Like any read of the body it must not run beside another.
func Request(r *http.Request, names ...string) *RequestView {
	return describe(r, newNames(names), func(string) string { return stars }, true)
}

func describe(r *http.Request, names names, star func(string) string, readAhead bool) *RequestView {
	if r == nil {
		return nil
	}
	view := &RequestView{attrs: []slog.Attr{
		slog.String("method", shapes(r.Method, star)), slog.String("url", location(r.URL, names, star)),
		slog.String("host", shapes(r.Host, star)), slog.String("remote", r.RemoteAddr),
	}}
	var headers []slog.Attr
	clean := header(r.Header, names, star)
	for _, name := range slices.Sorted(maps.Keys(clean)) {
		headers = append(headers, slog.String(name, strings.Join(clean[name], ", ")))
	}
	view.attrs = append(view.attrs, slog.Attr{Key: "headers", Value: slog.GroupValue(headers...)})
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.PostForm != nil:
		view.attrs = append(view.attrs, slog.String("form", readable(form(r.PostForm, names, star))))
	case r.MultipartForm != nil:
		view.attrs = append(view.attrs, slog.String("form", readable(form(r.MultipartForm.Value, names, star))))
	case r.Body == nil || r.Body == http.NoBody:
	case !readAhead:
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		shown := any(gone)
		if body, ok := peek(r); ok {
			w := walk{cleaner: &cleaner{names: names}}
			shown = w.json(body, 0)
		}
		view.attrs = append(view.attrs, slog.Any("body", shown))
	case media == "application/x-www-form-urlencoded":
		shown := gone
		if body, ok := peek(r); ok {
			if values, err := url.ParseQuery(string(body)); err == nil {
				shown = readable(form(values, names, star))
			}
		}
		view.attrs = append(view.attrs, slog.String("form", shown))
	default:
		view.attrs = append(view.attrs, slog.String("body", "["+shapes(media, star)+"]"))
	}
	return view
}

// peek reads the body and puts it back; ok is false for one that is too large or fails.
func peek(r *http.Request) (body []byte, ok bool) {
	if r.ContentLength > maxBody {
		return nil, false
	}
	original := r.Body
	read, err := io.ReadAll(io.LimitReader(original, maxBody+1))
	rest := io.Reader(original)
	if err != nil {
		rest = failed{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), original}
	return read, err == nil && len(read) <= maxBody
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
