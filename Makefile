# make run and make test do everything on a fresh machine; they need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# `everywhere` lets no scenario off whose tool is missing
ACCEPTANCE ?= here
# more than cores, since some tests wait; one PostgreSQL for each
WORKERS ?= 4
# `all` tells each lie in every scenario, and judges nothing: hours
LIES ?= named
PARALLEL = -n $(WORKERS) --dist loadgroup
PAGE := build/living-documentation.html

.PHONY: run install install-check node test lies check docs lint contract contract-lint deploy-lint dist image lines lock bench faults live pooled distributed mutants fuzz soak

run: install
	@exec $(BIN)/todo-api serve

install: .venv/installed

.venv/installed: requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements-dev.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# what the later tiers need beside that: the fuzzer and the mutants' tool
install-check: .venv/installed-check

.venv/installed-check: .venv/installed requirements-check.txt
	$(PIP) --require-hashes -r requirements-check.txt
	@touch $@

# what some scenarios and the documentation's page take from npm; without it they say what is missing
node: tests/node/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	npm ci --prefix tests/node --no-audit --no-fund --loglevel=error
	@touch $@

# every scenario, and what proves the app: two minutes on two cores
test: install lint
	$(BIN)/pytest $(PARALLEL) --cov --acceptance=$(ACCEPTANCE) $(PYTEST)

# the application lies in one way at a time, and a scenario must notice: half a minute
lies: install
	$(BIN)/pytest $(PARALLEL) --quiet --show-capture=no --lies=$(LIES) tests/test_features.py

# what CI runs: nothing let off, the page in a browser, the gate's own tests, and every scenario over HTTP and PgBouncer
check: install-check node
	$(MAKE) --no-print-directory test ACCEPTANCE=everywhere PYTEST=--living-documentation=$(PAGE)
	node tests/node/look-at-page.mjs $(PAGE) build/pictures
	$(MAKE) --no-print-directory lies
	$(BIN)/pytest $(PARALLEL) tests/check tests/acceptance/tests
	$(MAKE) --no-print-directory contract-lint deploy-lint
	$(MAKE) --no-print-directory pooled faults distributed

# the living documentation, and the Cucumber Messages beside it
docs: install
	-@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node; fi
	$(BIN)/pytest $(PARALLEL) --cov --cov-report= --acceptance=$(ACCEPTANCE) --living-documentation=$(PAGE)

# every scenario again, by a running `todo-api serve` over HTTP
live: install
	$(BIN)/pytest $(PARALLEL) --live tests/test_features.py

# the same with PgBouncer between the service and its database, and what the server's log shows then
pooled: install
	$(BIN)/pytest --live --through-pgbouncer tests/test_features.py tests/faults/after_the_scenarios.py

# the database stopped, frozen, killed, half-open, asleep, and 200 clients at once
faults: install
	$(BIN)/pytest $(PARALLEL) --durable tests/faults/database.py tests/faults/neon.py tests/faults/load.py

# every scenario on Citus, and its workers' faults: CITUS=FOLDER has Citus's source archive and a build.sh for it
distributed: install
ifdef CITUS
	$(BIN)/pytest --on-citus=$(CITUS) tests/test_features.py tests/test_queries.py tests/test_retries.py tests/faults/shards.py tests/faults/outgrowing.py tests/faults/workers.py
else
	@echo "make distributed: not run here; it needs CITUS=FOLDER, a folder with Citus's source archive and build.sh"
endif

# which mutants of auth, errors, queries and schemas the tests let live: a sample, half an hour
MUTANTS ?= 150
SEED ?= 4711
mutants: install-check
	$(BIN)/python -m tests.mutants $(MUTANTS) $(SEED)

# many more requests by Schemathesis than make check has time for: ten minutes (EXAMPLES per operation and phase)
fuzz: export EXAMPLES ?= 1000
fuzz: export SEED ?= 4711
fuzz: install-check
	$(BIN)/pytest tests/check/test_fuzzing.py

# half an hour of mixed load and faults, and what the service holds afterwards (MINUTES=4 for a short form)
MINUTES ?= 30
soak: install
	$(BIN)/python -m tests.soak $(MINUTES)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# the contract that the frontend's team builds against; a test fails where it is not what the app says
contract: install
	$(BIN)/todo-api openapi > docs/openapi.json

# the contract by Redocly's recommended rules and Spectral's for OpenAPI
contract-lint: export REDOCLY_SUPPRESS_UPDATE_NOTICE := true
contract-lint: node
	tests/node/node_modules/.bin/redocly lint --config tests/node/redocly.yaml docs/openapi.json
	tests/node/node_modules/.bin/spectral lint --fail-severity=warn --ruleset tests/node/spectral.yaml docs/openapi.json

# the workflows by zizmor, and they and compose.yaml by their schemas
SCHEMA = $(BIN)/check-jsonschema --builtin-schema
deploy-lint: install-check
	$(BIN)/zizmor --offline --no-progress --quiet .github
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.compose-spec compose.yaml

# the wheel and the sdist
dist: install
	$(BIN)/python -m flit_core.wheel --outdir dist
	$(BIN)/python -c 'from flit_core.buildapi import build_sdist; build_sdist("dist")'

# the container image, built without a registry and run: needs root, buildah and mmdebstrap
image: install
	$(BIN)/python -m tests.image

# what a request costs, as a ratio to FastAPI's own hello world (BENCH=--quick: in a minute)
bench: install
	$(BIN)/python -m tests.bench $(BENCH)

# lines of code per file of app/: no blanks, comments, docstrings or migrations
lines: install
	@$(BIN)/python tests/count_lines.py

# needs uv; the locks record hashes and no addresses
LOCK = uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header
lock:
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) --extra=embedded --extra=telemetry --extra=dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(LOCK) --all-extras -c requirements-dev.txt pyproject.toml -o requirements-check.txt
