package main

import (
	"encoding/csv"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/redact"
)

const flushEach = 100 // rows

// export streams the employees that whoever asks may see, as they may see them.
func (a *App) export(w http.ResponseWriter, r *http.Request) (err error) {
	db := a.db.WithContext(r.Context())
	rows, err := db.Model(&Employee{}).Order("id").Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	stream := http.NewResponseController(w)
	out := csv.NewWriter(w)
	_ = out.Write([]string{"name", "email", "phone", "ssn", "salary"}) // out.Error tells
	for n := 1; rows.Next(); n++ {
		var e Employee
		if err := db.ScanRows(rows, &e); err != nil {
			a.abort(r, err)
		}
		_ = out.Write([]string{e.Name, e.Email, e.Phone, e.SSN, strconv.FormatInt(e.Salary, 10)})
		if n%flushEach == 0 {
			out.Flush()
			_ = stream.Flush() // a recorder cannot, a client gets it all the same
		}
	}
	if err := rows.Err(); err != nil {
		a.abort(r, err)
	}
	out.Flush()
	return out.Error()
}

// abort cuts the connection: a part of an export must not look like all of it.
func (a *App) abort(r *http.Request, err error) {
	a.Logger.ErrorContext(r.Context(), "export failed", slog.Any("error", redact.Error(err)))
	panic(http.ErrAbortHandler)
}

// adminExport shows what the administrator sees, or on purpose what everybody else would: a masked copy to hand on.
func (a *App) adminExport(w http.ResponseWriter, r *http.Request) error {
	if r.FormValue("masked") != "" {
		r = r.WithContext(pganon.Masked(r.Context()))
	}
	return a.export(w, r)
}
