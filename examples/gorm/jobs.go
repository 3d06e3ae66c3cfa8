package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/redact"
)

// reportJob is what goes into the queue. It holds no identity but a sealed one, so that the queue may be another program's, and
// whoever writes into it cannot choose who a job runs as.
type reportJob struct {
	id    int
	token string
}

type reportResult struct {
	user, tenant string
	Done         bool
	Failed       bool             `json:",omitempty"`
	Lines        []departmentLine `json:",omitempty"`
}

type departmentLine struct {
	Department string
	Employees  int
	Salaries   int64
}

func (rs *reports) start(a *App) {
	rs.queue, rs.all = make(chan reportJob, 16), map[int]*reportResult{}
	rs.done.Go(func() {
		for job := range rs.queue {
			lines, err := a.runReport(context.Background(), job.token)
			if err != nil {
				a.Logger.Error("report failed", slog.Int("report", job.id), slog.Any("error", redact.Error(err)))
			}
			rs.mu.Lock()
			result := rs.all[job.id]
			result.Done, result.Failed, result.Lines = true, err != nil, lines
			rs.mu.Unlock()
		}
	})
}

func (rs *reports) stop() {
	close(rs.queue)
	rs.done.Wait()
}

// orderReport puts a job into the queue, with the identity of the request, and its mask if it has one.
func (a *App) orderReport(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if r.FormValue("masked") != "" {
		ctx = pganon.Masked(ctx)
	}
	token, err := pganon.SealIdentity(ctx, a.keys, time.Hour)
	if err != nil {
		return err
	}
	id, _ := pganon.IdentityFrom(ctx)
	rs := &a.reports
	rs.mu.Lock()
	rs.last++
	job := reportJob{rs.last, token}
	rs.all[job.id] = &reportResult{user: id.User, tenant: id.Tenant}
	rs.mu.Unlock()
	select {
	case rs.queue <- job:
	case <-ctx.Done():
		return ctx.Err()
	}
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(map[string]int{"id": job.id})
}

// runReport is the worker's: it knows nobody but whom the token names.
func (a *App) runReport(ctx context.Context, token string) (lines []departmentLine, err error) {
	ctx, err = pganon.OpenIdentity(ctx, a.keys, token)
	if err != nil {
		return nil, err
	}
	err = a.db.WithContext(ctx).Model(&Employee{}).Joins("LEFT JOIN departments d ON d.id = employees.department_id").
		Select("coalesce(d.name, '') AS department, count(*) AS employees, sum(salary)::bigint AS salaries").
		Group("d.name").Order("d.name").Scan(&lines).Error
	return lines, err
}

// report gives a report to who has ordered it.
func (a *App) report(w http.ResponseWriter, r *http.Request) error {
	id, _ := pganon.IdentityFrom(r.Context())
	n, _ := strconv.Atoi(r.PathValue("id"))
	a.reports.mu.Lock()
	result := a.reports.all[n]
	var is reportResult
	if result != nil {
		is = *result
	}
	a.reports.mu.Unlock()
	if result == nil || is.user != id.User || is.tenant != id.Tenant {
		return gorm.ErrRecordNotFound
	}
	return json.NewEncoder(w).Encode(is)
}
