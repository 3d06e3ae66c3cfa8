package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
)

const canaryPassword = "hunter2-canary"

var (
	baseURL      = "postgres://app:" + canaryPassword + "@127.0.0.1:5432/clinic?sslmode=disable"
	baseKeywords = "host=127.0.0.1 port=5432 user=app password=" + canaryPassword + " dbname=clinic sslmode=disable"
)

// dsns are a DSN with key=value in both forms.
func dsns(keys ...string) map[string]string {
	u, k := baseURL, baseKeywords
	for _, key := range keys {
		name, value, _ := strings.Cut(key, "=")
		u += "&" + name + "=" + value
		k += " " + name + "='" + value + "'"
	}
	return map[string]string{"URL": u, "keywords": k}
}

func silent(t *testing.T, err error) {
	t.Helper()
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err), canaryPassword)
}

func TestDSNKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{
		{}, {"pganon.identity=required"}, {"pganon.identity=optional"}, {"pganon.anonymous=reader"}, {"pganon.masked_role=m"},
		{"pganon.masked_role=m", "pganon.masked_groups=analysts,qa_team"}, {"pganon.roles=support:support_masked,billing:billing_full"}, {"pganon.default_role=r"},
		{"pganon.settings_prefix=app"}, {"pganon.claims=request.jwt.claims"}, {"pganon.session=clean"}, {"pganon.session=always"}, {"pganon.session=keep"},
		{"pganon.raw=allow"}, {"pganon.raw=refuse"}, {"pganon.log=off"}, {"pganon.log=debug"}, {"application_name=x", "search_path=y"},
	} {
		for form, dsn := range dsns(keys...) {
			_, err := driver.NewConnector(dsn, driver.Config{})
			assert.NoError(t, err, "%s %v", form, keys)
			h, err := sql.Open("pganon", dsn)
			assert.NoError(t, err, "%s %v", form, keys)
			_ = h.Close()
		}
	}
	for _, row := range []struct {
		keys []string
		want []string
	}{
		{[]string{"pganon.identiy=optional"}, []string{"pganon.identiy", "did you mean pganon.identity"}},
		{[]string{"pganon.masked-role=m"}, []string{"did you mean pganon.masked_role"}},
		{[]string{"pganon.maskedrole=m"}, []string{"did you mean pganon.masked_role"}},
		{[]string{"pganon.role=a:b"}, []string{"did you mean pganon.roles"}},
		{[]string{"pganon.Identity=optional"}, []string{"did you mean pganon.identity"}},
		{[]string{"Pganon.identity=optional"}, []string{"did you mean pganon.identity"}},
		{[]string{"pgannon.identity=optional"}, []string{"did you mean pganon.identity"}},
		{[]string{"pganon_identity=optional"}, []string{"did you mean pganon.identity"}},
		{[]string{"pganon.zzzzzzzz=1"}, []string{"unknown key pganon.zzzzzzzz"}},
		{[]string{"pganon.=1"}, []string{"unknown key"}},
		{[]string{"pganon.identity=maybe"}, []string{"pganon.identity", "required or optional"}},
		{[]string{"pganon.identity=Optional"}, []string{"pganon.identity", "required or optional"}},
		{[]string{"pganon.session=dirty"}, []string{"pganon.session"}},
		{[]string{"pganon.raw=yes"}, []string{"pganon.raw"}},
		{[]string{"pganon.log=all"}, []string{"pganon.log"}},
		{[]string{"pganon.identity="}, []string{"pganon.identity", "empty"}},
		{[]string{"pganon.anonymous="}, []string{"pganon.anonymous", "empty"}},
		{[]string{"pganon.default_role="}, []string{"pganon.default_role", "empty"}},
		{[]string{"pganon.settings_prefix="}, []string{"pganon.settings_prefix", "empty"}},
		{[]string{"pganon.masked_role=m", "pganon.masked_groups="}, []string{"pganon.masked_groups", "empty"}},
		{[]string{"pganon.masked_role=m", "pganon.masked_groups=a,,b"}, []string{"pganon.masked_groups", "empty"}},
		{[]string{"pganon.masked_groups=a"}, []string{"pganon.masked_groups", "needs pganon.masked_role"}},
		{[]string{"pganon.identity=required", "pganon.anonymous=r"}, []string{"pganon.anonymous", "pganon.identity"}},
		{[]string{"pganon.anonymous=none"}, []string{"pganon.anonymous", "none"}},
		{[]string{"pganon.anonymous=None"}, []string{"pganon.anonymous", "none"}},
		{[]string{"pganon.masked_role=NONE"}, []string{"pganon.masked_role"}},
		{[]string{"pganon.default_role=" + strings.Repeat("x", 64)}, []string{"pganon.default_role", "63"}},
		{[]string{"pganon.roles="}, []string{"pganon.roles"}},
		{[]string{"pganon.roles=a"}, []string{"pganon.roles", "group:role"}},
		{[]string{"pganon.roles=a:"}, []string{"pganon.roles", "group:role"}},
		{[]string{"pganon.roles=:b"}, []string{"pganon.roles", "group:role"}},
		{[]string{"pganon.roles=a:b,"}, []string{"pganon.roles", "group:role"}},
		{[]string{"pganon.roles=a:b,c"}, []string{"pganon.roles", "group:role"}},
		{[]string{"pganon.roles=a:none"}, []string{"pganon.roles", "none"}},
		{[]string{"pganon.settings_prefix=a.b.c'"}, []string{"settings prefix"}},
		{[]string{"pganon.settings_prefix=1a"}, []string{"settings prefix"}},
		{[]string{"pganon.settings_prefix=plpgsql"}, []string{"settings prefix"}},
		{[]string{"pganon.claims=claims"}, []string{"claims"}},
		{[]string{"pganon.claims=rls.user_id"}, []string{"claims"}},
		{[]string{"pganon.keys_env=K"}, []string{"pganon.keys_env"}},
		{[]string{"pganon.keys_env="}, []string{"pganon.keys_env", "empty"}},
		{[]string{"pganon.keys_file=/nowhere/keys"}, []string{"pganon.keys_file"}},
		{[]string{"pganon.keys_env=K", "pganon.keys_file=/nowhere/keys"}, []string{"pganon.keys_env", "only one"}},
		{[]string{"pganon.domains=no"}, []string{"pganon.domains", "optional or required"}},
	} {
		for form, dsn := range dsns(row.keys...) {
			if form == "keywords" {
				dsn = strings.ReplaceAll(dsn, "c''", `c\''`)
			}
			_, err := driver.NewConnector(dsn, driver.Config{})
			if !assert.Error(t, err, "%s %v", form, row.keys) {
				continue
			}
			assert.True(t, strings.HasPrefix(err.Error(), "pganon: "), "%v", err)
			for _, want := range row.want {
				assert.ErrorContains(t, err, want, "%s %v", form, row.keys)
			}
			silent(t, err)
			_, err = sql.Open("pganon", dsn)
			assert.Error(t, err)
			silent(t, err)
		}
	}
	for _, dsn := range []string{
		baseURL + "&pganon.raw=refuse&pganon.raw=allow", baseURL + "&pganon.raw=allow&pganon.raw=allow",
		baseKeywords + " pganon.raw=refuse pganon.raw=allow",
	} {
		_, err := driver.NewConnector(dsn, driver.Config{})
		assert.ErrorContains(t, err, "pganon.raw", "which of them holds?")
		silent(t, err)
	}
}

// A field of Config and a key of the DSN may say the same, not two things.
func TestDSNAndConfig(t *testing.T) {
	t.Parallel()
	for key, row := range map[string]struct{ same, different driver.Config }{
		"pganon.identity=optional":   {driver.Config{Identity: "optional"}, driver.Config{Identity: "required"}},
		"pganon.anonymous=r":         {driver.Config{Anonymous: "r"}, driver.Config{Anonymous: "R"}},
		"pganon.masked_role=m":       {driver.Config{MaskedRole: "m"}, driver.Config{MaskedRole: "n"}},
		"pganon.roles=a:b,c:d":       {driver.Config{Roles: []driver.GroupRole{{Group: "a", Role: "b"}, {Group: "c", Role: "d"}}}, driver.Config{Roles: []driver.GroupRole{{Group: "c", Role: "d"}, {Group: "a", Role: "b"}}}},
		"pganon.default_role=r":      {driver.Config{DefaultRole: "r"}, driver.Config{DefaultRole: "s"}},
		"pganon.settings_prefix=app": {driver.Config{SettingsPrefix: "app"}, driver.Config{SettingsPrefix: "rls"}},
		"pganon.claims=a.b":          {driver.Config{Claims: "a.b"}, driver.Config{Claims: "a.c"}},
		"pganon.session=keep":        {driver.Config{Session: "keep"}, driver.Config{Session: "clean"}},
		"pganon.raw=allow":           {driver.Config{Raw: "allow"}, driver.Config{Raw: "refuse"}},
		"pganon.log=debug":           {driver.Config{Log: "debug"}, driver.Config{Log: "off"}},
	} {
		for form, dsn := range dsns(key) {
			_, err := driver.NewConnector(dsn, row.same)
			assert.NoError(t, err, "%s %s", form, key)
			_, err = driver.NewConnector(dsn, row.different)
			name, _, _ := strings.Cut(key, "=")
			assert.ErrorContains(t, err, name, form)
			silent(t, err)
		}
	}
	for _, cfg := range []driver.Config{
		{Identity: "x"}, {Session: "x"}, {Raw: "x"}, {Log: "x"}, {Anonymous: "none"}, {Anonymous: "a", Identity: "optional"}, {MaskedGroups: []string{"a"}}, {MaskedRole: "a\x00"},
		{MaskedRole: "m", MaskedGroups: []string{""}}, {Roles: []driver.GroupRole{{Role: "r"}}}, {Roles: []driver.GroupRole{{Group: "g"}}}, {AllowSettings: []string{"role"}},
		{AllowSettings: []string{"ROLE"}}, {AllowSettings: []string{"session_authorization"}}, {AllowSettings: []string{"transaction_read_only"}}, {AllowSettings: []string{"statement_timeot"}},
		{AllowSettings: []string{"a'b"}}, {AllowSettings: []string{""}}, {SettingsPrefix: "a'"}, {Claims: "a'b.c"},
	} {
		_, err := driver.NewConnector(baseURL, cfg)
		assert.Error(t, err, "%+v", cfg)
		silent(t, err)
	}
}

// No error says a password, however malformed the DSN is.
func TestDSNErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://app:" + canaryPassword + "@127.0.0.1:port/clinic", "postgres://app:" + canaryPassword + "@[::1/clinic", "postgres://app:" + canaryPassword + "%zz@h/clinic",
		"postgres://app:" + canaryPassword + "@h/clinic?sslmode=maybe", "postgres://app:" + canaryPassword + "@h/clinic?connect_timeout=x", "postgres//app:" + canaryPassword + "@h/clinic",
		"host=h password=" + canaryPassword + " user", "host=h password='" + canaryPassword, "host=h password=" + canaryPassword + " port=x", "host=h password=a" + " " + canaryPassword,
		"password=" + canaryPassword + " =x", "postgres://app:x@h/c?password=" + canaryPassword + "&sslmode=maybe", "postgres://app:x@h/c?password=" + canaryPassword + "&pganon.rol=x",
		"postgres://app:" + canaryPassword + "@h/c?default_query_exec_mode=fast", "postgres://app:" + canaryPassword + "@h/c?statement_cache_capacity=x",
		"postgres://app:" + canaryPassword + "@h/c?target_session_attrs=x", "postgres://app:" + canaryPassword + "@h/c?sslrootcert=/nosuch&sslmode=verify-full",
		"postgres://app:" + canaryPassword + "@h1,h2/c?host=a,b&port=1,2,3", "postgres://app:" + canaryPassword + "@h:99999999/c", "postgres://app:pass word " + canaryPassword + "@h/c?x",
		"servicefile=/nosuch service=x password=" + canaryPassword, canaryPassword,
	} {
		_, err := driver.NewConnector(dsn, driver.Config{})
		silent(t, err)
		_, err = sql.Open("pganon", dsn)
		silent(t, err)
		if err == nil {
			continue
		}
		assert.True(t, strings.HasPrefix(err.Error(), "pganon: "), "%v", err)
	}
	// One that parses and cannot connect.
	h, err := driver.Open("postgres://app:"+canaryPassword+"@127.0.0.1:1/clinic", driver.Config{})
	require.NoError(t, err)
	defer h.Close()
	err = h.Ping()
	require.Error(t, err)
	silent(t, err)
	silent(t, fmt.Errorf("wrapped: %w", err))
}

// The server hears nothing of our keys; what is not ours goes on to it.
func TestKeysStayHere(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	keys := []string{"pganon.masked_role=" + w.masked, "pganon.masked_groups=analysts", "pganon.roles=a:" + w.tenant, "pganon.default_role=" + w.other, "pganon.settings_prefix=rls",
		"pganon.claims=jwt.claims", "pganon.session=clean", "pganon.raw=refuse", "pganon.log=off", "pganon.identity=required", "application_name=kept", "app.param=kept"}
	keywords := w.proxy.DSNAs(w.login)
	host := keywords[strings.Index(keywords, "@")+1 : strings.Index(keywords, "/"+w.db.Name())]
	name, port, _ := strings.Cut(host, ":")
	keywords = fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable %s", name, port, w.login, w.db.Name(), strings.Join(keys, " "))
	for _, dsn := range []string{withKeys(w.proxy.DSNAs(w.login), keys...), keywords} {
		w.proxy.Reset()
		h, err := sql.Open("pganon", dsn)
		require.NoError(t, err)
		a := pganon.WithIdentity(context.Background(), pganon.Identity{User: "1", Groups: []string{"a"}})
		user, err := currentUser(a, h)
		require.NoError(t, err)
		require.Equal(t, w.tenant, user)
		require.Equal(t, []string{"kept", "kept"}, settingsOf(t, a, h, "application_name", "app.param"))
		require.NoError(t, h.Close())
		startups := 0
		for _, m := range w.proxy.Messages() {
			if m.Type == 0 {
				startups++
				require.Contains(t, string(m.Body), "kept")
				require.NotContains(t, string(m.Body), "pganon.")
			}
		}
		require.Equal(t, 1, startups)
	}
}
