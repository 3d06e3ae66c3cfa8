-- The login role may read what the roles of identities may read, so that every line of a block does the same work.
create role :app login password :password;
create role :one;
create role :two;
grant :one, :two to :app;
