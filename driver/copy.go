package driver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pganon/pganon/internal/tagged"
)

// CopyFrom copies rows into a table by COPY, as what ctx says, and encrypts the values of encrypted columns. table, columns
// and src are those of pgx's CopyFrom. If sqlConn is in a transaction the rows are part of it; else they are all copied or
// none. It returns how many rows were copied. PostgreSQL refuses COPY FROM on tables with row-level security.
func CopyFrom(ctx context.Context, sqlConn *sql.Conn, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (n int64, err error) {
	rawErr := sqlConn.Raw(func(driverConn any) error {
		holder, ok := driverConn.(interface{ identityConn() *conn })
		if !ok {
			return fmt.Errorf("pganon: copy: the connection is a %T, want one of this package's", driverConn)
		}
		n, err = holder.identityConn().copyFrom(ctx, table, columns, src)
		return nil // an error of the statement says nothing of the connection
	})
	return n, errors.Join(rawErr, err)
}

func (c *conn) copyFrom(ctx context.Context, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (n int64, err error) {
	defer c.guard(&err, "", nil)
	if c.pg.TxStatus() == 'I' {
		err := c.inTx(ctx, func(tx pgx.Tx) (err error) {
			n, err = tx.CopyFrom(ctx, table, columns, src)
			return err
		})
		if err != nil {
			n = 0
		}
		return n, err
	}
	if c.tx == nil {
		return 0, errors.New("pganon: copy: in a transaction that was begun by its text: use BeginTx")
	}
	t := &pinnedTx{conn: c, tx: c.tx, savepoints: new(int)}
	if err := t.pin(ctx, c.tx.who); err != nil {
		return 0, err
	}
	return t.CopyFrom(ctx, table, columns, src)
}

// encryptCopy returns src with the values of encrypted columns encrypted, and the guard that the table's name needs.
func (c *conn) encryptCopy(ctx context.Context, who *principal, table pgx.Identifier, columns []string, src pgx.CopyFromSource) (pgx.CopyFromSource, *guards, error) {
	tags, err := c.connector.vault.current(ctx, c)
	if err != nil || tags.Empty() {
		return src, nil, err
	}
	if len(table) < 1 || len(table) > 2 {
		return nil, nil, fmt.Errorf("pganon: copy: want a table's name, or schema and name, got %d parts", len(table))
	}
	if !tags.MayName(strings.Join(table, ".")) {
		return src, nil, nil
	}
	path, err := c.path(ctx, who, tags)
	if err != nil {
		return nil, nil, err
	}
	copier, err := tags.Copy(ctx, path, table, columns)
	if err != nil {
		return nil, nil, err
	}
	g := &guards{values: guardValues(copier.Guards())}
	if !copier.Encrypts() {
		return src, g, nil
	}
	return &encryptedSource{src: src, copier: copier}, g, nil
}

// encryptedSource encrypts what it takes from another source, whose rows it does not change.
type encryptedSource struct {
	src    pgx.CopyFromSource
	copier *tagged.Copier
	err    error
}

func (s *encryptedSource) Next() bool { return s.err == nil && s.src.Next() }

func (s *encryptedSource) Values() ([]any, error) {
	values, err := s.src.Values()
	if err != nil {
		return nil, err
	}
	values, s.err = s.copier.Row(slices.Clone(values))
	return values, s.err
}

func (s *encryptedSource) Err() error {
	if s.err != nil {
		return s.err
	}
	return s.src.Err()
}
