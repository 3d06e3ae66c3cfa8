// Command sqlx is a chain of shops on pganon by way of sqlx: what a seller of one shop, a seller of another, an analyst and nobody
// get out of the same store. It starts a database by itself and leaves nothing behind.
//
//	go run .
//
// The store is in store.go and says nothing of who asks. What the database holds is in roles.sql and schema.sql.
package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/pganon/pganon"
	"github.com/pganon/pganon/driver"
	"github.com/pganon/pganon/pganontest"
)

var (
	//go:embed roles.sql
	roles string
	//go:embed schema.sql
	schema string
)

// identities is the DSN's part that says who runs under which role.
const identities = "&pganon.roles=sellers:shop_seller&pganon.masked_role=shop_analyst&pganon.masked_groups=analysts"

var (
	ada = pganon.Identity{User: "ada", Tenant: "north", Groups: []string{"sellers"}}
	bob = pganon.Identity{User: "bob", Tenant: "south", Groups: []string{"sellers"}}
	eve = pganon.Identity{User: "eve", Groups: []string{"analysts"}}
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sqlx:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	server, err := pganontest.Start(ctx, pganontest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	admin, err := driver.OpenSystem(server.DSN(), "create the shops")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	password := rand.Text()
	for _, text := range []string{roles, schema, "ALTER ROLE shop_app PASSWORD '" + password + "'"} {
		if _, err := admin.Exec(text); err != nil {
			return err
		}
	}
	defer func() { // for a server that was there before: roles do not go with a database
		_, dropped := admin.Exec(`DROP SCHEMA shop_analyst CASCADE; DROP TABLE orders, customers;
			DROP ROLE shop_app, shop_seller, shop_analyst, shop_masks`)
		err = errors.Join(err, dropped)
	}()

	dsn, err := url.Parse(server.DSN())
	if err != nil {
		return err
	}
	dsn.User = url.UserPassword("shop_app", password)
	store, err := NewStore(ctx, dsn.String()+identities)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return story(ctx, out, store)
}

func story(ctx context.Context, out io.Writer, store *Store) error {
	north, south, analyst := pganon.WithIdentity(ctx, ada), pganon.WithIdentity(ctx, bob), pganon.WithIdentity(ctx, eve)

	phone := "555-0171"
	ann, ben := Customer{Name: "Ann Berg", Email: "ann@example.com", Phone: &phone}, Customer{Name: "Ben Castro", Email: "ben@example.org"}
	if err := store.Add(north, ann, ben); err != nil {
		return err
	}
	if err := store.Add(south, Customer{Name: "Cleo Dubois", Email: "cleo@example.com"}); err != nil {
		return err
	}
	if _, err := store.Place(north, 1, "19.90", "5.10"); err != nil {
		return err
	}
	if _, err := store.Place(south, 3, "120"); err != nil {
		return err
	}

	for _, who := range []struct {
		title string
		ctx   context.Context
	}{
		{"ada sells in the north", north},
		{"bob sells in the south", south},
		{"eve analyses, masked", analyst},
		{"ada shares her screen: pganon.Masked", pganon.Masked(north)},
	} {
		fmt.Fprintf(out, "\n%s:\n", who.title)
		customers, err := store.Customers(who.ctx)
		if err != nil {
			return err
		}
		for _, c := range customers {
			phone := "no phone"
			if c.Phone != nil {
				phone = *c.Phone
			}
			fmt.Fprintf(out, "    %s: %s, %s, %s\n", c.Shop, c.Name, c.Email, phone)
		}
		found, err := store.ByEmail(who.ctx, "ann@example.com", "cleo@example.com")
		if err != nil {
			return err
		}
		spending, err := store.Spending(who.ctx, "%", 1)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "    %d found by address; spent:", len(found))
		for _, s := range spending {
			fmt.Fprintf(out, " %s %s in %d", s.Name, s.Total, s.Orders)
		}
		fmt.Fprintln(out)
	}

	fmt.Fprintln(out, "\nWhat is refused:")
	_, nobody := store.Customers(ctx)
	_, otherShop := store.Customer(south, 1)
	_, masked := store.Place(analyst, 1, "1")
	_, all := store.Place(north, 1, "1", "2", "-3")
	for _, refused := range []struct {
		what string
		err  error
	}{
		{"nobody asks", nobody},
		{"bob asks for ada's customer", otherShop},
		{"eve places an order", masked},
		{"ada places three, of which one is impossible", all},
	} {
		if refused.err == nil {
			return fmt.Errorf("not refused: %s", refused.what)
		}
		fmt.Fprintf(out, "    %s\n        %v\n", refused.what, refused.err)
	}
	return nil
}
