# make run and make test do everything on a fresh machine; they need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run install test lint lines lock bench node faults pooled

run: install
	@exec $(BIN)/todo-api serve

install: .venv/installed

.venv/installed: requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

test: install lint
	$(BIN)/pytest --cov

# what takes minutes: the database stopped, frozen, killed, half-open, asleep, and 200 clients for a minute
faults: install
	$(BIN)/pytest tests/faults/database.py tests/faults/neon.py tests/faults/load.py

# every scenario again with PgBouncer between the service and its database, and what can be told from that
pooled: install
	$(BIN)/pytest --through-pgbouncer tests/test_features.py tests/faults/after_the_scenarios.py

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: install
	$(BIN)/python -m tests.bench $(BENCH)

# what some scenarios need besides Python: Node.js itself must be there
node: tests/node/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	cd tests/node && npm ci --no-audit --no-fund
	@touch $@

# lines of code per file of app/: no blanks, comments, docstrings or migrations
lines: install
	@$(BIN)/python tests/count_lines.py

# needs uv; the locks record hashes and no addresses
lock:
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --all-extras -c requirements.txt pyproject.toml -o requirements-dev.txt
