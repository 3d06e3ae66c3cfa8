-- The program logs in as shop_app, which may do nothing but become a seller or an analyst. shop_masks owns the views that the
-- analyst reads.
CREATE ROLE shop_app LOGIN NOINHERIT;
CREATE ROLE shop_seller;
CREATE ROLE shop_analyst;
CREATE ROLE shop_masks;
