-- A chain of shops: a seller sees the customers and orders of its own, an analyst those of all shops, masked.
GRANT shop_seller, shop_analyst TO shop_app;
GRANT shop_masks TO CURRENT_USER; -- only a member may give it something

CREATE TABLE customers (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop  text NOT NULL DEFAULT nullif(current_setting('rls.tenant_id', true), ''),
    name  text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text
);
CREATE TABLE orders (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop     text NOT NULL DEFAULT nullif(current_setting('rls.tenant_id', true), ''),
    customer bigint NOT NULL REFERENCES customers,
    total    numeric(12,2) NOT NULL CHECK (total > 0)
);
GRANT SELECT, INSERT, UPDATE ON customers, orders TO shop_seller;

ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders    ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_shop ON customers TO shop_seller USING (shop = nullif(current_setting('rls.tenant_id', true), ''));
CREATE POLICY own_shop ON orders    TO shop_seller USING (shop = nullif(current_setting('rls.tenant_id', true), ''));

-- "$user" stands first in the search_path and follows the role: the analyst's customers is the view. An identity that has a shop
-- sees no other behind the mask either.
GRANT SELECT ON customers, orders TO shop_masks;
CREATE POLICY own_shop_or_all ON customers TO shop_masks USING (shop = coalesce(nullif(current_setting('rls.tenant_id', true), ''), shop));
CREATE POLICY own_shop_or_all ON orders    TO shop_masks USING (shop = coalesce(nullif(current_setting('rls.tenant_id', true), ''), shop));
CREATE SCHEMA shop_analyst;
CREATE VIEW shop_analyst.customers WITH (security_barrier) AS
    SELECT id, shop, left(name, 1) || '***' AS name, '***@' || split_part(email, '@', 2) AS email, NULL::text AS phone
    FROM public.customers;
CREATE VIEW shop_analyst.orders WITH (security_barrier) AS
    SELECT id, shop, customer, round(total, -1) AS total
    FROM public.orders;
GRANT CREATE, USAGE ON SCHEMA shop_analyst TO shop_masks;
ALTER VIEW shop_analyst.customers OWNER TO shop_masks;
ALTER VIEW shop_analyst.orders    OWNER TO shop_masks;
REVOKE CREATE ON SCHEMA shop_analyst FROM shop_masks;
GRANT USAGE ON SCHEMA shop_analyst TO shop_analyst;
GRANT SELECT ON shop_analyst.customers, shop_analyst.orders TO shop_analyst;
