package guc_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon/internal/guc"
)

const canary = "C4N4RY"

// fails asserts that err says want and never what the identity holds.
func fails(t *testing.T, err error, want string) {
	t.Helper()
	require.Error(t, err)
	assert.Contains(t, err.Error(), want)
	assert.NotContains(t, err.Error(), canary)
	assert.Less(t, len(err.Error()), 500)
	assert.NotContains(t, err.Error(), "\x00")
}

func TestValidName(t *testing.T) {
	for name, ok := range map[string]bool{
		"rls.region":                             true,
		"request.jwt.claims":                     true,
		"a.b":                                    true,
		"_._":                                    true,
		"A1$.b$2":                                true,
		"é.ü":                                    true,
		"a." + strings.Repeat("b", 198):          true,
		"a." + strings.Repeat("b", 199):          false,
		"region":                                 false,
		"":                                       false,
		".":                                      false,
		"a.":                                     false,
		".a":                                     false,
		"a..b":                                   false,
		"1a.b":                                   false,
		"a.1b":                                   false,
		"$a.b":                                   false,
		"a.$b":                                   false,
		"a-b.c":                                  false,
		"a.b c":                                  false,
		" a.b":                                   false,
		"a.b\n":                                  false,
		"a.b\x00":                                false,
		"a.b'":                                   false,
		`"a".b`:                                  false,
		"a.\xff":                                 false,
		"a.b;drop":                               false,
		"a.b=c":                                  false,
		"a\u2024b":                               false, // a dot to the eye
		strings.Repeat("a.", 1_000_000) + canary: false,
	} {
		if err := guc.ValidName(name); ok {
			assert.NoError(t, err, "%.80q", name)
		} else {
			fails(t, err, "setting ")
		}
	}
}

// serverName is valid_custom_variable_name of PostgreSQL's guc.c, as a regular expression over valid UTF-8.
var serverName = regexp.MustCompile(`\A` + strings.ReplaceAll(`I(\.I)+`, "I", `[A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_$\x{80}-\x{10FFFF}]*`) + `\z`)

func FuzzValidName(f *testing.F) {
	for _, seed := range []string{"rls.region", "a..b", "a.1", "é.$", "a\x00.b", "\xff.a", "region", strings.Repeat("x.", 101) + "y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := utf8.ValidString(name) && len(name) <= guc.MaxName && serverName.MatchString(name)
		assert.Equal(t, want, guc.ValidName(name) == nil)
		folded := guc.Fold(name)
		assert.Equal(t, want, guc.ValidName(folded) == nil, "folding changes no answer")
		assert.Equal(t, folded, guc.Fold(folded))
		assert.Len(t, folded, len(name))
	})
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"RLS.Region":  "rls.region",
		"rls.region":  "rls.region",
		"É.K\u212a_Z": "É.k\u212a_z", // the Kelvin sign is no k
		"@[`{":        "@[`{",
		"\xffA":       "\xffa",
	} {
		assert.Equal(t, want, guc.Fold(in), "%q", in)
	}
}

func TestValidRole(t *testing.T) {
	for role, want := range map[string]string{
		"doctor":                        "",
		"None of us":                    "",
		"rôle \"quoted\"":               "",
		"pg_monitor":                    "",
		strings.Repeat("r", 63):         "",
		strings.Repeat("r", 64):         "longer than 63 bytes",
		strings.Repeat("é", 32):         "longer than 63 bytes",
		"":                              "it is empty",
		"none":                          "no role at all",
		"NONE":                          "no role at all",
		"nOnE":                          "no role at all",
		"doctor\x00":                    "NUL",
		"doc\xfftor":                    "UTF-8",
		strings.Repeat("r", 10_000_000): "longer than 63 bytes",
	} {
		if err := guc.ValidRole(role); want == "" {
			assert.NoError(t, err, "%q", role)
		} else {
			fails(t, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	many := map[string]string{}
	for i := range guc.MaxSettings + 1 {
		many["s"+strings.Repeat("x", i)] = canary
	}
	type settings = map[string]string
	for _, tt := range []struct {
		name         string
		user, tenant string
		groups       []string
		role         string
		settings     settings
		want         string
	}{
		{name: "user", user: canary},
		{name: "tenant", tenant: canary},
		{name: "group", groups: []string{"", "doctors"}},
		{name: "role", role: "doctor"},
		{name: "setting", settings: settings{"region": canary}},
		{name: "setting without value", settings: settings{"region": ""}},
		{name: "everything", user: canary, tenant: canary, groups: []string{canary}, role: "doctor", settings: settings{"a": "", "B.c": canary}},
		{name: "empty", want: guc.ErrEmpty.Error()},
		{name: "empty maps and slices", groups: []string{}, settings: settings{}, want: guc.ErrEmpty.Error()},
		{name: "the groups of an empty header", groups: strings.Split("", ","), want: guc.ErrEmpty.Error()},
		{name: "NUL in user", user: canary + "\x00", want: "user: it has a NUL byte"},
		{name: "UTF-8 in user", user: canary + "\xff", want: "user: it is not valid UTF-8"},
		{name: "NUL in tenant", tenant: canary + "\x00", want: "tenant: it has a NUL byte"},
		{name: "UTF-8 in tenant", tenant: canary + "\xc3", want: "tenant: it is not valid UTF-8"},
		{name: "NUL in group", groups: []string{"a", canary + "\x00"}, want: "group 1: it has a NUL byte"},
		{name: "UTF-8 in group", groups: []string{canary + "\xff"}, want: "group 0: it is not valid UTF-8"},
		{name: "role none", user: canary, role: "None", want: `role "none"`},
		{name: "long role", user: canary, role: strings.Repeat("r", 64), want: "longer than 63"},
		{name: "NUL in value", settings: settings{"region": canary + "\x00"}, want: `setting "region": it has a NUL byte`},
		{name: "UTF-8 in value", settings: settings{"region": canary + "\xff"}, want: `setting "region": it is not valid UTF-8`},
		{name: "bad name", settings: settings{"my region": canary}, want: `setting "my region": a name is made of`},
		{name: "empty name", settings: settings{"": canary}, want: `setting "": a name is made of`},
		{name: "reserved name", settings: settings{"Role": canary}, want: `setting "role": it decides`},
		{name: "first of two errors, always", settings: settings{"b ": canary, "a ": canary, "c ": canary}, want: `setting "a "`},
		{name: "too many settings", settings: many, want: "257 settings are more than 256"},
		{name: "too long", user: strings.Repeat(canary, guc.MaxBytes/len(canary)+1), want: "bytes are more than 1048576"},
		{name: "too many groups", groups: make([]string, guc.MaxBytes+1), user: canary, want: "bytes are more than 1048576"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := guc.Check(tt.user, tt.tenant, tt.groups, tt.role, tt.settings)
			if tt.want == "" {
				assert.NoError(t, err)
			} else {
				fails(t, err, tt.want)
			}
			_, empty := strings.CutPrefix(tt.want, guc.ErrEmpty.Error())
			assert.Equal(t, empty, err == guc.ErrEmpty)
		})
	}
}

func TestNewRules(t *testing.T) {
	for _, tt := range []struct {
		name, prefix, claims string
		allow                []string
		want                 string
	}{
		{name: "default", prefix: "rls"},
		{name: "dotted prefix", prefix: "my.app"},
		{name: "claims", prefix: "rls", claims: "request.jwt.claims"},
		{name: "allowed", prefix: "rls", allow: []string{"statement_timeout", "Lock_Timeout", "application_name", "pg_trgm.similarity_threshold", "TimeZone"}},
		{name: "empty prefix", want: `settings prefix: setting ".user_id"`},
		{name: "bad prefix", prefix: "my-app", want: `settings prefix: setting "my-app.user_id": a name is made of`},
		{name: "long prefix", prefix: strings.Repeat("p", guc.MaxName), want: "longer than 200 bytes"},
		{name: "prefix whose tenant_id is too long", prefix: strings.Repeat("p", guc.MaxName-len(".user_id")), want: "longer than 200 bytes"},
		{name: "extension's prefix", prefix: "Anon", want: `setting "anon.user_id": its prefix belongs to an extension`},
		{name: "claims without dot", prefix: "rls", claims: "claims", want: `claims: setting "claims": a custom setting is named prefix.name`},
		{name: "claims of an extension", prefix: "rls", claims: "plpgsql.claims", want: "belongs to an extension"},
		{name: "claims in place of the user", prefix: "rls", claims: "RLS.user_id", want: "is sent already"},
		{name: "claims in place of the tenant", prefix: "rls", claims: "rls.Tenant_ID", want: "is sent already"},
		{name: "allow role", prefix: "rls", allow: []string{"ROLE"}, want: `allowed settings: setting "role": it decides`},
		{name: "allow session_authorization", prefix: "rls", allow: []string{"session_authorization"}, want: "it decides"},
		{name: "allow read-write", prefix: "rls", allow: []string{"transaction_read_only"}, want: "it decides"},
		{name: "allow other strings", prefix: "rls", allow: []string{"standard_conforming_strings"}, want: "it decides"},
		{name: "allow a typo", prefix: "rls", allow: []string{"statment_timeout"}, want: `PostgreSQL has no setting "statment_timeout"`},
		{name: "allow what is sent", prefix: "rls", allow: []string{"rls.user_id"}, want: "is sent already"},
		{name: "allow the claims", prefix: "rls", claims: "a.claims", allow: []string{"A.claims"}, want: "is sent already"},
		{name: "allow what is no name", prefix: "rls", allow: []string{"a b"}, want: "a name is made of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := guc.NewRules(tt.prefix, tt.claims, tt.allow)
			if tt.want != "" {
				fails(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			for _, name := range []string{r.UserID(), r.TenantID()} {
				assert.NoError(t, guc.ValidName(name))
			}
			assert.Equal(t, tt.claims, r.Claims())
		})
	}
}

func TestResolve(t *testing.T) {
	rules, err := guc.NewRules("RLS", "request.jwt.claims", []string{"Statement_Timeout", "pg_trgm.similarity_threshold", "rls.allowed"})
	require.NoError(t, err)
	known := func(name string) bool {
		assert.Equal(t, guc.Fold(name), name)
		return name == "vendor.masking" || name == "rls.owned" || name == "new_in_20" || name == "rls.allowed"
	}
	type settings = map[string]string
	for _, tt := range []struct {
		name     string
		settings settings
		want     []guc.Setting
		err      string
	}{
		{name: "none"},
		{name: "empty", settings: settings{}},
		{name: "prefix", settings: settings{"Region": canary}, want: []guc.Setting{{"rls.region", canary}}},
		{name: "dotted", settings: settings{"App.Region": ""}, want: []guc.Setting{{"app.region", ""}}},
		{name: "the prefix by hand", settings: settings{"rls.region": "x"}, want: []guc.Setting{{"rls.region", "x"}}},
		{name: "allowed", settings: settings{"STATEMENT_TIMEOUT": "5s"}, want: []guc.Setting{{"statement_timeout", "5s"}}},
		{name: "allowed of an extension", settings: settings{"pg_trgm.Similarity_Threshold": "0.5"}, want: []guc.Setting{{"pg_trgm.similarity_threshold", "0.5"}}},
		{name: "allowed though known", settings: settings{"Allowed": "x"}, want: []guc.Setting{{"rls.allowed", "x"}}},
		{name: "sorted by what is sent", settings: settings{"b": "1", "Z.a": "2", "a": "3", "statement_timeout": "4", "C": "5"},
			want: []guc.Setting{{"rls.a", "3"}, {"rls.b", "1"}, {"rls.c", "5"}, {"statement_timeout", "4"}, {"z.a", "2"}}},
		{name: "not ASCII", settings: settings{"Ümlaut": "x", "ümlaut": "y"}, want: []guc.Setting{{"rls.Ümlaut", "x"}, {"rls.ümlaut", "y"}}},

		{name: "PostgreSQL's", settings: settings{"Lock_Timeout": canary}, err: `setting "Lock_Timeout": it is PostgreSQL's own`},
		{name: "PostgreSQL's, hidden", settings: settings{"seed": canary}, err: "it is PostgreSQL's own"},
		{name: "PostgreSQL's, old name", settings: settings{"sort_mem": canary}, err: "it is PostgreSQL's own"},
		{name: "PostgreSQL's, newer than us", settings: settings{"New_in_20": canary}, err: "it is PostgreSQL's own"},
		{name: "search_path", settings: settings{"search_path": canary}, err: "it is PostgreSQL's own"},
		{name: "row_security", settings: settings{"row_security": canary}, err: "it is PostgreSQL's own"},
		{name: "role", settings: settings{"Role": canary}, err: `setting "role": it decides`},
		{name: "session_authorization", settings: settings{"session_Authorization": canary}, err: "it decides"},
		{name: "an extension's", settings: settings{"Anon.transparent_dynamic_masking": canary}, err: "it is an extension's own"},
		{name: "an extension's, not loaded yet", settings: settings{"plpgsql.variable_conflict": canary}, err: "it is an extension's own"},
		{name: "an extension's, the server says", settings: settings{"Vendor.Masking": canary}, err: "it is an extension's own"},
		{name: "with the prefix an extension's", settings: settings{"owned": canary}, err: "it is an extension's own"},
		{name: "user", settings: settings{"user_id": canary}, err: "the identity's own fields"},
		{name: "user, dotted", settings: settings{"RLS.User_ID": canary}, err: "the identity's own fields"},
		{name: "tenant", settings: settings{"Tenant_id": canary}, err: "the identity's own fields"},
		{name: "claims", settings: settings{"request.JWT.claims": canary}, err: "the identity's own fields"},
		{name: "twice by case", settings: settings{"region": canary, "Region": "x"}, err: `setting "rls.region": two settings`},
		{name: "twice by prefix", settings: settings{"region": canary, "rls.region": canary}, err: `setting "rls.region": two settings`},
		{name: "no name", settings: settings{"": canary}, err: "a name is made of"},
		{name: "bad name", settings: settings{"a-b": canary}, err: "a name is made of"},
		{name: "too long with the prefix", settings: settings{strings.Repeat("n", guc.MaxName-3): canary}, err: "longer than 200 bytes"},
		{name: "NUL", settings: settings{"region": canary + "\x00"}, err: `setting "region": it has a NUL byte`},
		{name: "UTF-8", settings: settings{"region": canary + "\xff"}, err: `setting "region": it is not valid UTF-8`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rules.Resolve(tt.settings, known)
			if tt.err != "" {
				fails(t, err, tt.err)
				assert.Nil(t, got)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			for _, s := range got {
				assert.Equal(t, guc.Fold(s.Name), s.Name)
			}
			assert.NoError(t, guc.Check("u", "", nil, "", tt.settings), "Check refuses nothing that can be sent")
		})
	}
	for range 20 { // the order of a map is another each time
		_, err := rules.Resolve(settings{"b ": canary, "a ": canary, "c ": canary}, nil)
		fails(t, err, `setting "a "`)
	}
	many := settings{}
	for i := range guc.MaxSettings + 1 {
		many["s"+strings.Repeat("x", i/2)+[]string{"y", "z"}[i%2]] = canary
	}
	_, err = rules.Resolve(many, nil)
	fails(t, err, "257 settings are more than 256")
	got, err := rules.Resolve(settings{"vendor.masking": "x"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []guc.Setting{{"vendor.masking", "x"}}, got)
}

// FuzzResolve holds what the driver relies on: whatever is sent has a name that the server takes, is nobody else's and comes once.
func FuzzResolve(f *testing.F) {
	rules, err := guc.NewRules("rls", "request.jwt.claims", []string{"statement_timeout"})
	require.NoError(f, err)
	f.Add("region", "x", "Region", "y")
	f.Add("ROLE", "x", "rls.user_id", "y")
	f.Add("statement_timeout", "5s", "a.b", "\x00")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		got, err := rules.Resolve(map[string]string{n1: v1, n2: v2}, nil)
		if err != nil {
			assert.Less(t, len(err.Error()), 600)
			return
		}
		seen := map[string]bool{rules.UserID(): true, rules.TenantID(): true, rules.Claims(): true}
		for _, s := range got {
			assert.False(t, seen[s.Name], s.Name)
			seen[s.Name] = true
			assert.Equal(t, guc.Fold(s.Name), s.Name)
			assert.True(t, utf8.ValidString(s.Value) && !strings.Contains(s.Value, "\x00"))
			if s.Name != "statement_timeout" {
				assert.Regexp(t, serverName, s.Name)
			}
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	rules, err := guc.NewRules("rls", "", []string{"statement_timeout"})
	require.NoError(b, err)
	settings := map[string]string{"region": "north", "locale": "de", "statement_timeout": "5s"}
	for b.Loop() {
		if _, err := rules.Resolve(settings, nil); err != nil {
			b.Fatal(err)
		}
	}
}
