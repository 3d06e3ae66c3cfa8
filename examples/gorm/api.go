package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/redact"
)

// The handlers say nothing of who asks: it is in the request's context, and GORM hands that to the driver.

// person is an employee as the API has it.
type person struct {
	ID         uint     `json:"id,omitempty"`
	Name       string   `json:"name"`
	Email      string   `json:"email"`
	Phone      string   `json:"phone,omitempty"`
	SSN        string   `json:"ssn,omitempty"`
	Salary     int64    `json:"salary,omitempty"`
	Department string   `json:"department,omitempty"`
	Skills     []string `json:"skills,omitempty"`
	Reviews    []string `json:"reviews,omitempty"`
}

func personOf(e Employee) person {
	p := person{ID: e.ID, Name: e.Name, Email: e.Email, Phone: e.Phone, SSN: e.SSN, Salary: e.Salary}
	if e.Department != nil {
		p.Department = e.Department.Name
	}
	for _, skill := range e.Skills {
		p.Skills = append(p.Skills, skill.Name)
	}
	for _, review := range e.Reviews {
		p.Reviews = append(p.Reviews, review.Text)
	}
	return p
}

// employee makes a model of p. The department and the skills are those of the database, made where they are missing.
func (p person) employee(db *gorm.DB) (Employee, error) {
	e := Employee{Name: p.Name, Email: p.Email, Phone: p.Phone, SSN: p.SSN, Salary: p.Salary}
	if p.Department != "" {
		var d Department
		if err := db.Where(Department{Name: p.Department}).FirstOrCreate(&d).Error; err != nil {
			return e, err
		}
		e.DepartmentID = &d.ID
	}
	var err error
	e.Skills, err = skills(db, p.Skills)
	return e, err
}

func skills(db *gorm.DB, names []string) ([]Skill, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var list []Skill
	for _, name := range names {
		list = append(list, Skill{Name: name})
	}
	if err := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&list).Error; err != nil {
		return nil, err
	}
	list = nil
	err := db.Where("name IN ?", names).Order("name").Find(&list).Error
	return list, err
}

func (a *App) list(w http.ResponseWriter, r *http.Request) error {
	query := a.db.WithContext(r.Context()).Joins("Department").Preload("Skills").Preload("Reviews").Order("employees.id")
	if department := r.FormValue("department"); department != "" {
		query = query.Where(`"Department"."name" = ?`, department)
	}
	if email := r.FormValue("email"); email != "" {
		query = query.Where("employees.email = ?", email)
	}
	var employees []Employee
	if err := query.Find(&employees).Error; err != nil {
		return err
	}
	people := make([]person, len(employees))
	for i, e := range employees {
		people[i] = personOf(e)
	}
	return json.NewEncoder(w).Encode(people)
}

func (a *App) load(r *http.Request, db *gorm.DB) (e Employee, err error) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	if err != nil {
		return e, gorm.ErrRecordNotFound
	}
	err = db.Preload("Department").Preload("Skills").Preload("Reviews").First(&e, id).Error
	return e, err
}

func (a *App) get(w http.ResponseWriter, r *http.Request) error {
	e, err := a.load(r, a.db.WithContext(r.Context()))
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(personOf(e))
}

func (a *App) create(w http.ResponseWriter, r *http.Request) error {
	var in person
	if err := read(r, &in); err != nil {
		return err
	}
	var e Employee
	err := a.db.WithContext(r.Context()).Transaction(func(tx *gorm.DB) (err error) {
		if e, err = in.employee(tx); err != nil {
			return err
		}
		return tx.Omit("Skills.*").Create(&e).Error // the skills are there, the links are not
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(map[string]uint{"id": e.ID})
}

// save is what must not happen to a masked row: load it, change a field, write all of it back. Under a masked role the database
// refuses it, whatever a handler does.
func (a *App) save(w http.ResponseWriter, r *http.Request) error {
	db := a.db.WithContext(r.Context())
	e, err := a.load(r, db)
	if err != nil {
		return err
	}
	p := personOf(e)
	if err := read(r, &p); err != nil {
		return err
	}
	e.Name, e.Email, e.Phone, e.SSN, e.Salary = p.Name, p.Email, p.Phone, p.SSN, p.Salary
	if err := db.Omit(clause.Associations).Save(&e).Error; err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(personOf(e))
}

func (a *App) remove(_ http.ResponseWriter, r *http.Request) error {
	db := a.db.WithContext(r.Context())
	e, err := a.load(r, db)
	if err != nil {
		return err
	}
	return db.Delete(&e).Error
}

func (a *App) restore(_ http.ResponseWriter, r *http.Request) error {
	db := a.db.WithContext(r.Context())
	e, err := a.load(r, db.Unscoped())
	if err != nil {
		return err
	}
	return db.Unscoped().Model(&e).Omit(clause.Associations).Update("deleted_at", nil).Error
}

func (a *App) setSkills(_ http.ResponseWriter, r *http.Request) error {
	var names []string
	if err := read(r, &names); err != nil {
		return err
	}
	return a.db.WithContext(r.Context()).Transaction(func(tx *gorm.DB) error {
		e, err := a.load(r, tx)
		if err != nil {
			return err
		}
		list, err := skills(tx, names)
		if err != nil {
			return err
		}
		return tx.Model(&e).Omit("Skills.*").Association("Skills").Replace(list)
	})
}

func (a *App) review(_ http.ResponseWriter, r *http.Request) error {
	var in struct{ Text string }
	if err := read(r, &in); err != nil {
		return err
	}
	db := a.db.WithContext(r.Context())
	e, err := a.load(r, db)
	if err != nil {
		return err
	}
	return db.Model(&e).Association("Reviews").Append(&Review{Text: in.Text})
}

// upsert takes any number of employees: new ones are made, those whose address is known are changed.
func (a *App) upsert(w http.ResponseWriter, r *http.Request) error {
	var people []person
	if err := read(r, &people); err != nil {
		return err
	}
	var list []Employee
	err := a.db.WithContext(r.Context()).Transaction(func(tx *gorm.DB) error {
		for _, p := range people {
			e, err := p.employee(tx)
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		return tx.Omit(clause.Associations).Clauses(clause.OnConflict{
			Columns:     []clause.Column{{Name: "company"}, {Name: "email"}},
			TargetWhere: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "deleted_at IS NULL"}}},
			DoUpdates:   clause.AssignmentColumns([]string{"name", "phone", "ssn", "salary", "department_id", "updated_at"}),
		}).CreateInBatches(&list, 100).Error
	})
	if err != nil {
		return err
	}
	ids := make([]uint, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	return json.NewEncoder(w).Encode(map[string][]uint{"ids": ids})
}

// importAll takes those employees that can be taken. Each is a transaction in the transaction, which is a savepoint: one that
// fails undoes nothing of the others.
func (a *App) importAll(w http.ResponseWriter, r *http.Request) error {
	var people []person
	if err := read(r, &people); err != nil {
		return err
	}
	imported, failed := 0, []int{}
	err := a.db.WithContext(r.Context()).Transaction(func(tx *gorm.DB) error {
		for i, p := range people {
			err := tx.Transaction(func(one *gorm.DB) error {
				e, err := p.employee(one)
				if err != nil {
					return err
				}
				return one.Omit("Skills.*").Create(&e).Error
			})
			switch {
			case err == nil:
				imported++
			case errors.Is(err, gorm.ErrDuplicatedKey), errors.Is(err, errInvalid):
				failed = append(failed, i)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{"imported": imported, "failed": failed})
}

func (a *App) changes(w http.ResponseWriter, r *http.Request) error {
	var list []Change
	if err := a.db.WithContext(r.Context()).Order("id").Find(&list).Error; err != nil {
		return err
	}
	lines := make([]string, len(list))
	for i, c := range list {
		lines[i] = fmt.Sprintf("%s %s %d", c.Actor, c.Action, c.EmployeeID)
	}
	return json.NewEncoder(w).Encode(lines)
}

func (a *App) directory(w http.ResponseWriter, r *http.Request) error {
	list := []struct{ Name, Department string }{}
	if err := a.db.WithContext(r.Context()).Table("directory").Order("name").Find(&list).Error; err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(list)
}

const maxBody = 1 << 20

var errBody = errors.New("the body is not the JSON that is wanted")

func read(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errBody // err quotes the body
	}
	return nil
}

// api answers for a handler that fails.
func (a *App) api(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		err := handle(w, r)
		if err == nil {
			return
		}
		status, text := answer(err)
		if status == http.StatusInternalServerError {
			a.Logger.ErrorContext(r.Context(), "request failed", slog.String("path", r.Pattern), slog.Any("error", redact.Error(err)))
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
	})
}

// answer returns the status of an error and what the client may read of it.
func answer(err error) (int, string) {
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, pganon.ErrNoIdentity):
		return http.StatusUnauthorized, "who are you?"
	case errors.Is(err, gorm.ErrRecordNotFound):
		return http.StatusNotFound, "there is no such thing, or not for you"
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return http.StatusConflict, "there is one already"
	case errors.Is(err, errInvalid), errors.Is(err, errBody):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &pgErr) && pgErr.Code == "42501":
		return http.StatusForbidden, "your role may not do that"
	case errors.As(err, &pgErr) && (pgErr.Code == "25006" || pgErr.Code == "0A000") && pgErr.Hint != "":
		return http.StatusForbidden, pgErr.Hint // the driver's: this identity is masked
	}
	return http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
}
