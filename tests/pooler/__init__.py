"""Behind a real PgBouncer; `make test-pgbouncer` runs the calls, the jobs and a race there too."""
