package main

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/pganon/pganon"
)

const sessionLength = 12 * time.Hour

var rounds = 600_000 // of PBKDF2; tests need fewer

// asAuth returns a context whose statements may read accounts and sessions, and nothing else. The login role itself may not.
func (a *App) asAuth(ctx context.Context) context.Context {
	return pganon.WithIdentity(ctx, pganon.Identity{Role: a.Roles + "_auth"})
}

func hashPassword(password string, salt []byte) []byte {
	hash, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		panic(err) // of FIPS mode, for a salt too short
	}
	return hash
}

// newAccount returns an account with a password of its own.
func newAccount(login, password, company, groups string) Account {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // it never fails
	return Account{Login: login, Company: company, Groups: groups, Salt: salt, Password: hashPassword(password, salt)}
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// login gives a token for a name and a password.
func (a *App) login(w http.ResponseWriter, r *http.Request) error {
	var in struct{ Login, Password string }
	if err := read(r, &in); err != nil {
		return err
	}
	db := a.db.WithContext(a.asAuth(r.Context()))
	var account Account
	err := db.Where("login = ?", in.Login).First(&account).Error
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return err
	}
	// An unknown name takes as long as a wrong password.
	if subtle.ConstantTimeCompare(hashPassword(in.Password, account.Salt), account.Password) != 1 {
		return pganon.ErrNoIdentity
	}
	token := rand.Text()
	session := Session{TokenHash: hashToken(token), AccountID: account.ID, Expires: time.Now().Add(sessionLength)}
	if err := db.Omit("Account").Create(&session).Error; err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]string{"token": token})
}

// logout ends the session whose token comes with the request.
func (a *App) logout(_ http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	if err := a.db.WithContext(a.asAuth(r.Context())).Delete(&Session{TokenHash: hashToken(token)}).Error; err != nil {
		return err
	}
	a.sessions.Forget(token)
	return nil
}

// session finds out whose token it is. It is asked once a minute for each, see App.sessions.
func (a *App) session(ctx context.Context, token string) (pganon.Identity, error) {
	var s Session
	err := a.db.WithContext(a.asAuth(ctx)).Joins("Account").Where("token_hash = ? AND expires > now()", hashToken(token)).First(&s).Error
	if err != nil {
		return pganon.Identity{}, err
	}
	return pganon.Identity{User: s.Account.Login, Tenant: s.Account.Company, Groups: strings.Fields(s.Account.Groups)}, nil
}

// bearer returns the token of a request.
func bearer(r *http.Request) (string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", pganon.ErrNoIdentity
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return "", errors.New("not a bearer token")
	}
	return token, nil
}
