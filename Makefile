# Everything a person or a machine does with this checkout; `make` alone lists it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
CONTRACTS := $(shell find proto/backroom -name '*.proto')

.DEFAULT_GOAL := help
AGAINST ?= main

.PHONY: help run demo test prove bench check test-postgres-16 test-pgbouncer breaking access generate migrate lock clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: generate ## Serve Backroom; without DATABASE_URL on an embedded PostgreSQL
	@$(BIN)/backroom serve

demo: generate ## Replay one real day of a real shop, and print its figures
	@$(BIN)/backroom demo

test: generate ## Run the tests, against a real database and real servers
	@$(BIN)/pytest

prove: generate ## Run the longer proofs, whose last figures are in docs/proofs.md
	@$(BIN)/pytest -n 1 -m proof

bench: generate ## Measure Backroom beside what would be written instead, in 3 minutes; BENCH=long for docs/performance.md
	@$(BIN)/python -m bench $(if $(filter long,$(BENCH)),--long)

check: generate ## Lint, type-check, hold the laws of imports and of the contract, compare migrations with tables
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code --path proto/backroom
	$(BIN)/python -m migrations.compare
	$(BIN)/python -m server.cli.access_table --check

breaking: generate ## Refuse a contract that breaks the callers of main's
	@rm -rf proto/gen/against && mkdir -p proto/gen/against/proto/gen
	@git archive $(AGAINST) buf.yaml proto | tar -x -C proto/gen/against
	@cp -r proto/gen/third_party proto/gen/against/proto/gen
	$(BIN)/buf breaking --against proto/gen/against

access: generate ## Write docs/access.md anew, from the contract and the roles
	@$(BIN)/python -m server.cli.access_table

generate: proto/gen/.ready $(VENV)/.installed ## Set up the virtual environment and build the stubs

migrate: generate ## Bring the database of DATABASE_URL, or the embedded one, up to date
	@$(BIN)/backroom migrate

lock: $(VENV)/.ready ## Lock the dependencies again, with hashes
	$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header -o requirements/uv.txt requirements/uv.in
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --extra dev -c requirements/runtime.txt -o requirements/dev.txt pyproject.toml

clean: ## Remove what was built and the embedded database
	rm -rf $(VENV) proto/gen dist .backroom .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.ready: requirements/uv.txt requirements/dev.txt
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@touch $@

proto/gen/.ready: $(CONTRACTS) proto/generate.py requirements/validate.txt $(VENV)/.ready
	@echo "Building the stubs ..."
	@$(BIN)/python proto/generate.py
	@touch $@

# After the stubs, which are a part of the package.
$(VENV)/.installed: pyproject.toml proto/gen/.ready
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# What a person or CI asks of the databases that Backroom promises to run on, beside the newest.
BEHIND_POOLER := tests/pooler tests/commerce/test_rpcs_*.py tests/identity/test_*_rpcs.py tests/webhooks/test_endpoint_rpcs.py \
	tests/frame/test_jobs.py tests/races/test_stock.py
ON_POSTGRES_16 := tests/migrations tests/*/test_repository*.py tests/storage/test_database.py tests/cli/test_demo.py \
	tests/cli/test_verify.py tests/races/test_stock.py

test-postgres-16: generate ## Migrate, run the demo, verify, the repositories and a race on PostgreSQL 16, the oldest promised
	@TEST_POSTGRES=16 $(BIN)/pytest $(ON_POSTGRES_16)

test-pgbouncer: generate ## Run the calls, the jobs and a race behind a real PgBouncer in transaction mode, which must be installed
	@TEST_POOLER=transaction $(BIN)/pytest $(BEHIND_POOLER)
