package main

import (
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/pganon/pganon"
)

// Of whose company a row is, the database says: its default is the tenant of whoever asks, and its policies show no other.

// Employee is who works at a company. Whoever gets hold of the database has neither the addresses nor the numbers of social
// security: they are encrypted on their way there. A masked role reads the rest through a view, see masks.sql.
type Employee struct {
	gorm.Model
	Company string `gorm:"<-:false;not null;default:current_company()"`
	Name    string `gorm:"not null"`
	// Email is unique among those who are still there, see policies.sql.
	Email        string `gorm:"type:text;not null" pganon:"encrypt,deterministic,key=people.email,fold,mask=hidden@example.invalid"`
	Phone        string
	SSN          string `gorm:"type:text" pganon:"encrypt,key=people.ssn"`
	Salary       int64
	DepartmentID *uint
	Department   *Department
	Skills       []Skill `gorm:"many2many:employee_skills"`
	Reviews      []Review
}

// Department is a part of a company.
type Department struct {
	ID      uint
	Company string `gorm:"<-:false;not null;default:current_company()"`
	Name    string `gorm:"not null"`
}

// Skill is what someone can do; all companies have the same ones.
type Skill struct {
	ID   uint
	Name string `gorm:"not null;unique"`
}

// Review is what was said of an employee.
type Review struct {
	ID         uint
	Company    string `gorm:"<-:false;not null;default:current_company()"`
	EmployeeID uint   `gorm:"not null"`
	Text       string `gorm:"not null"`
	CreatedAt  time.Time
}

// Change is a line of the audit trail: who has changed which employee.
type Change struct {
	ID         uint
	Company    string `gorm:"<-:false;not null;default:current_company()"`
	EmployeeID uint   `gorm:"not null"`
	Actor      string `gorm:"not null"`
	Action     string `gorm:"not null"`
	CreatedAt  time.Time
}

// Account is who may log in. Groups choose what they see; see roles.sql.
type Account struct {
	ID       uint
	Login    string `gorm:"not null;unique"`
	Company  string `gorm:"not null"`
	Groups   string `gorm:"not null"` // separated by spaces
	Salt     []byte `gorm:"not null"`
	Password []byte `gorm:"not null"`
}

// Session is a login. Its token is with the client alone.
type Session struct {
	TokenHash []byte `gorm:"primaryKey"`
	AccountID uint   `gorm:"not null"`
	Account   Account
	Expires   time.Time `gorm:"not null"`
}

// models are what AutoMigrate creates.
var models = []any{&Department{}, &Skill{}, &Employee{}, &Review{}, &Change{}, &Account{}, &Session{}}

var errInvalid = errors.New("name and a valid email are required")

// BeforeSave refuses what is no employee.
func (e *Employee) BeforeSave(*gorm.DB) error {
	e.Email = strings.TrimSpace(e.Email)
	if e.Name == "" || !strings.Contains(e.Email, "@") {
		return errInvalid
	}
	return nil
}

// AfterCreate, AfterUpdate and AfterDelete write the audit trail, in the transaction of the change and as whoever makes it.

func (e *Employee) AfterCreate(tx *gorm.DB) error { return e.audit(tx, "create") }

func (e *Employee) AfterUpdate(tx *gorm.DB) error { return e.audit(tx, "update") }

func (e *Employee) AfterDelete(tx *gorm.DB) error { return e.audit(tx, "delete") }

func (e *Employee) audit(tx *gorm.DB, action string) error {
	id, _ := pganon.IdentityFrom(tx.Statement.Context)
	return tx.Create(&Change{EmployeeID: e.ID, Actor: id.User, Action: action}).Error
}
