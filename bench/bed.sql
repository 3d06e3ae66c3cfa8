create table items (
    id      bigint primary key,
    name    text not null,
    price   integer not null,
    updated timestamptz not null
);
insert into items select n, 'item ' || n, n % 997, timestamptz '2026-01-01 12:00+00' + n * interval '1 minute' from generate_series(1, 10000) n;

create table tenant_items (
    id     bigint primary key,
    tenant text not null,
    name   text not null,
    price  integer not null
);
insert into tenant_items select id, 'north', name, price from items;
alter table tenant_items enable row level security;
create policy tenant on tenant_items using (tenant = nullif(current_setting('rls.tenant_id', true), ''));

grant select on items, tenant_items to :app, :one, :two;
analyze items, tenant_items;
