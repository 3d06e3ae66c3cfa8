package main

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	_ "github.com/pganon/pganon/driver" // registers "pganon"
)

// sqlx goes by the driver's name to know how parameters are written, and does not know "pganon". Without this it writes ? for
// the names of a query, which PostgreSQL refuses. It stands in the program: package driver cannot say it without sqlx becoming a
// dependency of everybody.
func init() { sqlx.BindDriver("pganon", sqlx.DOLLAR) }

// Customer is a row of customers, as whoever asks may see it.
type Customer struct {
	ID    int64   `db:"id"`
	Shop  string  `db:"shop"`
	Name  string  `db:"name"`
	Email string  `db:"email"`
	Phone *string `db:"phone"`
}

// Order is a row of orders.
type Order struct {
	ID       int64  `db:"id"`
	Customer int64  `db:"customer"`
	Total    string `db:"total"`
}

// Spending is what a customer has spent.
type Spending struct {
	Name   string `db:"name"`
	Orders int    `db:"orders"`
	Total  string `db:"total"`
}

// Store is written as for any driver: who asks is in the contexts.
type Store struct {
	db       *sqlx.DB
	spending *sqlx.NamedStmt
}

// NewStore opens the database that dsn names.
func NewStore(ctx context.Context, dsn string) (*Store, error) {
	db, err := sqlx.Open("pganon", dsn)
	if err != nil {
		return nil, err
	}
	// Prepared once, before anybody asks. Each role has a statement of its own on the server, from its first execution on.
	spending, err := db.PrepareNamedContext(ctx, `SELECT c.name, count(o.id) AS orders, coalesce(sum(o.total), 0) AS total
		FROM customers c LEFT JOIN orders o ON o.customer = c.id
		WHERE c.shop LIKE :shop GROUP BY c.id, c.name HAVING count(o.id) >= :orders ORDER BY c.id`)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return &Store{db, spending}, nil
}

// Close closes the store.
func (s *Store) Close() error {
	if err := s.spending.Close(); err != nil {
		return err
	}
	return s.db.Close()
}

// Add adds customers to the shop of whoever asks: one statement with a row for each.
func (s *Store) Add(ctx context.Context, customers ...Customer) error {
	_, err := s.db.NamedExecContext(ctx, `INSERT INTO customers (name, email, phone) VALUES (:name, :email, :phone)`, customers)
	return err
}

// Customer returns one customer, or sql.ErrNoRows where whoever asks may not see it.
func (s *Store) Customer(ctx context.Context, id int64) (c Customer, err error) {
	err = s.db.GetContext(ctx, &c, `SELECT * FROM customers WHERE id = $1`, id)
	return c, err
}

// Customers returns every customer that whoever asks may see.
func (s *Store) Customers(ctx context.Context) (list []Customer, err error) {
	err = s.db.SelectContext(ctx, &list, `SELECT * FROM customers ORDER BY id`)
	return list, err
}

// ByEmail returns the customers with these addresses.
func (s *Store) ByEmail(ctx context.Context, emails ...string) (list []Customer, err error) {
	query, args, err := sqlx.In(`SELECT * FROM customers WHERE email IN (?) ORDER BY id`, emails)
	if err != nil {
		return nil, err
	}
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(query), args...)
	return list, err
}

// Place places orders of one customer, all or none, and returns them.
func (s *Store) Place(ctx context.Context, customer int64, totals ...string) (orders []Order, err error) {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	// The transaction has the identity of ctx; what runs in it needs none of its own.
	insert, err := tx.Preparex(`INSERT INTO orders (customer, total) VALUES ($1, $2) RETURNING id, customer, total`)
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	for _, total := range totals {
		var order Order
		if err := insert.QueryRowx(customer, total).StructScan(&order); err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	return orders, tx.Commit()
}

// Spending returns what customers of shops like the pattern have spent who have placed at least so many orders.
func (s *Store) Spending(ctx context.Context, shop string, orders int) (list []Spending, err error) {
	err = s.spending.SelectContext(ctx, &list, map[string]any{"shop": shop, "orders": orders})
	return list, err
}
