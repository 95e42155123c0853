# make run and make test do everything on a fresh machine; they need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run install test lint lines lock bench node

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
