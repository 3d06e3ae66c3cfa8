package pganon_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
)

const (
	userCanary   = "userC4N4RY@example.com"
	tenantCanary = "tenantC4N4RY"
	valueCanary  = "valueC4N4RY"
)

var secret = pganon.Identity{
	User: userCanary, Tenant: tenantCanary,
	Groups: []string{"doctors", "line\nbreak"}, Role: "doctor",
	Settings: map[string]string{"region": valueCanary, "app.note": valueCanary},
}

// needles are the forms in which a printer could write a canary.
var needles = func() (all []string) {
	for _, canary := range []string{userCanary, tenantCanary, valueCanary} {
		part := canary[:strings.Index(canary, "C4N4RY")+6]
		all = append(all, part, hex.EncodeToString([]byte(part)), strings.ToUpper(hex.EncodeToString([]byte(part))),
			fmt.Sprintf("% x", part), fmt.Sprint([]byte(part)), base64.RawStdEncoding.EncodeToString([]byte(part))[:len(part)/3*4])
	}
	return all
}()

func leaks(text string) bool {
	for _, n := range needles {
		if strings.Contains(text, n) {
			return true
		}
	}
	return false
}

// holders put v where printers find values.
func holders(v any) map[string]any {
	type inner struct{ V any }
	return map[string]any{
		"itself":            v,
		"struct":            inner{v},
		"pointer to struct": &inner{v},
		"slice":             []any{v, v},
		"map":               map[string]any{"k": v},
		"map of structs":    map[string]inner{"k": {v}},
		"deep":              []map[string]any{{"k": []inner{{V: map[string]any{"l": v}}}}},
	}
}

func TestPrintingShowsNoValue(t *testing.T) {
	type plain pganon.Identity // has no methods
	require.True(t, leaks(fmt.Sprintf("%+v", plain(secret))), "the needles would be found")
	require.True(t, leaks(fmt.Sprintf("%x", plain(secret))), "the needles would be found")
	j, err := json.Marshal(plain(secret))
	require.NoError(t, err)
	require.True(t, leaks(string(j)), "the needles would be found")

	type typed struct {
		ID  pganon.Identity
		Ptr *pganon.Identity
		IDs []pganon.Identity
		Map map[string]pganon.Identity
	}
	values := map[string]any{
		"Identity":  secret,
		"*Identity": &secret,
		"typed":     typed{secret, &secret, []pganon.Identity{secret}, map[string]pganon.Identity{"k": secret}},
		"context":   pganon.WithIdentity(context.Background(), secret),
	}
	verbs := "vsqxXdbocOUeEfFgGtTznymk" // not %p and %w, of which the documentation of Identity speaks
	for kind, v := range values {
		for where, held := range holders(v) {
			t.Run(kind+" in "+where, func(t *testing.T) {
				for _, verb := range verbs {
					for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "60", ".5", "-60.50", "# "} {
						format := "%" + flags + string(verb)
						assert.False(t, leaks(fmt.Sprintf(format, held)), format)
						assert.False(t, leaks(fmt.Errorf("failed: "+format, held).Error()), format)
					}
				}
				assert.False(t, leaks(fmt.Sprintln(held)))
				for _, format := range []string{"no verb", "%[9]d", "%!", "%"} {
					assert.False(t, leaks(fmt.Sprintf(format, held)), format)
				}
				var buf bytes.Buffer
				log.New(&buf, "", 0).Print(held)
				for _, h := range []slog.Handler{
					slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil),
					slog.NewTextHandler(&buf, nil).WithAttrs([]slog.Attr{slog.Any("id", held)}),
				} {
					l := slog.New(h)
					l.Info("m", "id", held)
					l.With("id", held).WithGroup("g").Info("m", slog.Group("h", "id", held))
				}
				if b, err := json.Marshal(held); err == nil {
					buf.Write(b)
				}
				if b, err := xml.Marshal(held); err == nil {
					buf.Write(b)
				}
				require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{printf "%v" .}} {{html .}} {{js .}}`)).Execute(&buf, held))
				html := htmltemplate.Must(htmltemplate.New("").Parse(`<a href="?{{.}}" title="{{.}}">{{.}}</a>`))
				require.NoError(t, html.Execute(&buf, held))
				require.NotEmpty(t, buf.String())
				assert.False(t, leaks(buf.String()))
			})
		}
	}
}

func TestPanicShowsNoValue(t *testing.T) {
	defer func() { assert.False(t, leaks(fmt.Sprint(recover()))) }()
	panic(secret)
}

// What may be seen is there, each form on one line.
func TestPrintingShowsWhatItMay(t *testing.T) {
	text := `identity\(user=#[0-9a-f]{12} tenant=#[0-9a-f]{12} groups=\["doctors" "line\\nbreak"\] role="doctor" settings=\["app\.note" "region"\]\)`
	for format, want := range map[string]string{
		"%v": text, "%+v": text, "%s": text, "%d": text, "%T": `pganon\.Identity`,
		"%#v": strings.Replace(text, "identity", `pganon\.Identity`, 1),
	} {
		assert.Regexp(t, "^"+want+"$", fmt.Sprintf(format, secret), format)
	}
	assert.Equal(t, fmt.Sprintf("%q", secret.String()), fmt.Sprintf("%q", secret))
	assert.Equal(t, hex.EncodeToString([]byte(secret.String())), fmt.Sprintf("%x", secret))
	assert.Equal(t, secret.GoString(), fmt.Sprintf("%#v", secret))
	assert.Equal(t, "identity()", pganon.Identity{}.String())
	assert.Equal(t, "<nil>", fmt.Sprint((*pganon.Identity)(nil)))
	yaml, err := secret.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, secret.String(), string(yaml))
	assert.Equal(t, `identity(groups=["a"])`, pganon.Identity{Groups: []string{"a"}}.String())

	var shown struct {
		User, Tenant, Role string
		Groups, Settings   []string
	}
	j, err := json.Marshal(secret)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(j, &shown))
	assert.Regexp(t, `^#[0-9a-f]{12}$`, shown.User)
	assert.Regexp(t, `^#[0-9a-f]{12}$`, shown.Tenant)
	assert.Equal(t, secret.Groups, shown.Groups)
	assert.Equal(t, "doctor", shown.Role)
	assert.Equal(t, []string{"app.note", "region"}, shown.Settings)
	assert.Contains(t, secret.String(), shown.User, "one hash, however it is printed")
	empty, err := json.Marshal(pganon.Identity{})
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, string(empty))

	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "id", secret)
	assert.Contains(t, buf.String(), `id.user=`+shown.User)
	assert.Contains(t, buf.String(), `id.groups="[doctors line\nbreak]" id.role=doctor id.settings="[app.note region]"`)
	assert.Equal(t, 1, strings.Count(buf.String(), "\n"))
	buf.Reset()
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "id", secret)
	var line struct{ ID json.RawMessage }
	require.NoError(t, json.Unmarshal(buf.Bytes(), &line))
	assert.JSONEq(t, string(j), string(line.ID))
}

func TestHashesCanBeCompared(t *testing.T) {
	user := func(u, t string) string { return pganon.Identity{User: u, Tenant: t}.String() }
	assert.Equal(t, user("alice", "north"), user("alice", "north"))
	assert.NotEqual(t, user("alice", "north"), user("bob", "north"))
	assert.NotEqual(t, user("alice", "north"), user("alice", "south"))
	same := user("x", "x")
	assert.NotEqual(t, strings.Fields(same)[0][len("identity(user="):], strings.TrimSuffix(strings.Fields(same)[1][len("tenant="):], ")"))
}

func TestIdentityIsNotReadFromAnEncoding(t *testing.T) {
	const doc = `{"User":"root","user":"root","Role":"admin","Groups":["admins"]}`
	type holder struct{ ID pganon.Identity }
	var id pganon.Identity
	var h holder
	var list []pganon.Identity
	for name, err := range map[string]error{
		"JSON":           json.Unmarshal([]byte(doc), &id),
		"JSON in struct": json.Unmarshal([]byte(`{"ID":`+doc+`}`), &h),
		"JSON in list":   json.Unmarshal([]byte(`[`+doc+`]`), &list),
		"JSON text":      json.Unmarshal([]byte(`"root"`), &id),
		"JSON of ours":   json.Unmarshal(must(json.Marshal(secret)), &id),
		"XML":            xml.Unmarshal([]byte(`<ID><User>root</User></ID>`), &id),
		"XML in struct":  xml.Unmarshal([]byte(`<holder><ID><User>root</User></ID></holder>`), &h),
		"text":           id.UnmarshalText([]byte("root")),
		"binary":         id.UnmarshalBinary([]byte("root")),
		"gob":            gob.NewEncoder(new(bytes.Buffer)).Encode(secret),
		"gob in struct":  gob.NewEncoder(new(bytes.Buffer)).Encode(holder{secret}),
	} {
		require.Error(t, err, name)
		assert.True(t, errors.Is(err, pganon.ErrInvalidIdentity), "%s: %v", name, err)
		assert.ErrorContains(t, err, "OpenIdentity", name)
		assert.NotContains(t, err.Error(), "root", name)
	}
	assert.True(t, same(pganon.Identity{}, id))
	assert.True(t, same(pganon.Identity{}, h.ID))

	require.NoError(t, json.Unmarshal([]byte(`{"ID":null}`), &h), "null says nothing")

	// A stream that somebody else's program wrote, with fields of the same names.
	var buf bytes.Buffer
	require.NoError(t, gob.NewEncoder(&buf).Encode(struct{ User, Role string }{"root", "admin"}))
	require.Error(t, gob.NewDecoder(&buf).Decode(&id))
	assert.True(t, same(pganon.Identity{}, id))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
