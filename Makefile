# make run and make test do everything on a fresh machine; they need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

# `everywhere` lets no scenario off whose tool is missing
ACCEPTANCE ?= here
PAGE := build/living-documentation.html

.PHONY: run install node test docs look lint contract lines lock bench faults pooled mutants fuzz soak

run: install
	@exec $(BIN)/todo-api serve

install: .venv/installed

.venv/installed: requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# what some scenarios and the documentation's page take from npm; without it they say what is missing
node: tests/node/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	npm ci --prefix tests/node --no-audit --no-fund --loglevel=error
	@touch $@

test: install lint
	$(BIN)/pytest --cov --acceptance=$(ACCEPTANCE) $(PYTEST)

# the living documentation, and the Cucumber Messages beside it
docs: install
	-@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node; fi
	$(BIN)/pytest --cov --cov-report= --acceptance=$(ACCEPTANCE) --living-documentation=$(PAGE)

# opens it in Chromium as a stakeholder does, at two widths, without a network; pictures go to build/pictures
look:
	node tests/node/look-at-page.mjs $(PAGE) build/pictures

# what takes minutes: the database stopped, frozen, killed, half-open, asleep, and 200 clients for a minute
faults: install
	$(BIN)/pytest tests/faults/database.py tests/faults/neon.py tests/faults/load.py

# every scenario again with PgBouncer between the service and its database, and what can be told from that
pooled: install
	$(BIN)/pytest --through-pgbouncer tests/test_features.py tests/faults/after_the_scenarios.py

# which mutants of auth, errors, queries and schemas the tests let live: a sample, half an hour
MUTANTS ?= 150
SEED ?= 4711
mutants: install
	$(BIN)/python -m tests.mutants $(MUTANTS) $(SEED)

# many more requests by Schemathesis than make test has time for: ten minutes (EXAMPLES per operation and phase)
fuzz: export EXAMPLES ?= 1000
fuzz: export SEED ?= 4711
fuzz: install
	$(BIN)/pytest tests/test_fuzzing.py

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

# what a request costs, as a ratio to FastAPI's own hello world (BENCH=--quick: in a minute)
bench: install
	$(BIN)/python -m tests.bench $(BENCH)

# lines of code per file of app/: no blanks, comments, docstrings or migrations
lines: install
	@$(BIN)/python tests/count_lines.py

# needs uv; the locks record hashes and no addresses
lock:
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --all-extras -c requirements.txt pyproject.toml -o requirements-dev.txt
