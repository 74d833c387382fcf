-- Run by the image of PostgreSQL when its volume is made, as the superuser, whom nobody uses afterwards.
-- One role owns the tables and migrates them; another serves, to which `backroom migrate` grants what that needs.
\getenv owner_password POSTGRES_PASSWORD
\getenv serving_password BACKROOM_DATABASE_PASSWORD
CREATE ROLE backroom_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE backroom LOGIN PASSWORD :'serving_password';
CREATE DATABASE backroom OWNER backroom_owner;
REVOKE ALL ON DATABASE backroom FROM PUBLIC;
-- It shares its password with the owner no longer: without one, nobody comes in as it over the network.
ALTER ROLE CURRENT_USER PASSWORD NULL;
