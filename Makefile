# make run and make test do everything on a fresh machine; they need Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

# uv where it is on the PATH, else pip with the same options; neither compiles what may never be imported
ifneq ($(shell command -v uv 2>/dev/null),)
VENV = $(PYTHON) -m venv --clear --without-pip .venv
INSTALL = uv pip install --quiet --python $(BIN)/python
CHECK = uv pip check --quiet --python $(BIN)/python
else
VENV = $(PYTHON) -m venv --clear .venv
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
CHECK = $(BIN)/python -m pip check --quiet --disable-pip-version-check
endif
# nothing is resolved and nothing is built: a lock names all that is needed, and each file by its hash
LOCKED = --no-deps --require-hashes --only-binary :all:

# `everywhere` lets no scenario off whose tool is missing
ACCEPTANCE ?= here
# more than cores, since some tests wait; one PostgreSQL for each
WORKERS ?= 5
# `all` tells each lie in every scenario, and judges nothing: hours
LIES ?= named
# `worksteal` keeps the tests of a module together, which share a service or a database
PARALLEL = -n $(WORKERS) --dist worksteal
PAGE := build/living-documentation.html

.PHONY: run moved install-run install install-check node test lies check docs promises lint contract contract-lint deploy-lint dist image lines lock bench faults live pooled distributed mutants fuzz soak

run: install-run
	@exec $(BIN)/todo-api serve

# A changed lock begins a new environment, in which nothing of the old one is left. So does a folder that was moved:
# the commands in an environment name the folder in which it was made.
MOVED := $(filter-out $(CURDIR),$(shell cat .venv/folder 2>/dev/null))
.venv/pyvenv.cfg: requirements-run.txt requirements-dev.txt requirements-check.txt $(if $(MOVED),moved)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(VENV)
	@pwd -P > .venv/folder

# what running needs: the service, and the embedded PostgreSQL
install-run: .venv/installed-run

.venv/installed-run: .venv/pyvenv.cfg pyproject.toml
	$(INSTALL) $(LOCKED) -r requirements-run.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	$(CHECK)
	@touch $@

# what the tests need beside that
install: .venv/installed

.venv/installed: .venv/installed-run
	$(INSTALL) $(LOCKED) -r requirements-dev.txt
	$(CHECK)
	@touch $@

# what the later tiers need beside that: the fuzzer, and the linters of workflows
install-check: .venv/installed-check

.venv/installed-check: .venv/installed
	$(INSTALL) $(LOCKED) -r requirements-check.txt
	$(CHECK)
	@touch $@

# what some scenarios and the look at the documentation's page take from npm; without it they say what is missing
node: tests/node/node_modules/.package-lock.json

tests/node/node_modules/.package-lock.json: tests/node/package-lock.json
	npm ci --prefix tests/node --no-audit --no-fund --loglevel=error
	@touch $@

# every scenario, and what proves the app: two minutes on two cores
test: install lint
	$(BIN)/pytest $(PARALLEL) --cov --acceptance=$(ACCEPTANCE) $(PYTEST)

# the application lies in one way at a time, and a scenario must notice: a minute
lies: install
	$(BIN)/pytest $(PARALLEL) --quiet --show-capture=no --lies=$(LIES) tests/test_features.py

# what CI runs: nothing let off, the page in a browser, the gate's own tests, and every scenario over HTTP and PgBouncer
check: install-check node
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target with-workers in-one-process

# side by side: what several workers share, and what is one process that waits for its servers half of the time
.PHONY: with-workers in-one-process later-tests
with-workers: install-check node
	$(MAKE) --no-print-directory test ACCEPTANCE=everywhere PYTEST=--living-documentation=$(PAGE)
	node tests/node/look-at-page.mjs $(PAGE) build/pictures
	$(MAKE) --no-print-directory lies
	$(MAKE) --no-print-directory later-tests
	$(MAKE) --no-print-directory contract-lint
	$(MAKE) --no-print-directory deploy-lint
	$(MAKE) --no-print-directory faults

in-one-process: install-check node
	$(MAKE) --no-print-directory distributed
	$(MAKE) --no-print-directory pooled

later-tests: install-check node
	$(BIN)/pytest $(PARALLEL) tests/check tests/acceptance/tests

# the living documentation, and the Cucumber Messages beside it, from the scenarios alone: under a minute on two cores
# (WHOLE=1: from all tests, with coverage; SINCE=COMMIT: what changed since then)
docs: install
	-@if command -v npm >/dev/null; then $(MAKE) --no-print-directory node; fi
	$(BIN)/pytest $(PARALLEL) --living-documentation=$(PAGE) $(if $(SINCE),--changes-since=$(SINCE)) $(if $(WHOLE),--cov --cov-report= --acceptance=$(ACCEPTANCE),tests/test_features.py)

# which rules and scenarios were added, reworded and removed since a commit (SINCE=v0.2.0), until another (UNTIL=HEAD)
promises: install
	@$(BIN)/python -m tests.acceptance.changes $(or $(SINCE),$(error make promises SINCE=COMMIT)) $(UNTIL)

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
	$(BIN)/pytest --on-citus=$(CITUS) tests/test_features.py tests/test_store.py tests/test_retries.py tests/faults/shards.py tests/faults/outgrowing.py tests/faults/workers.py
else
	@echo "make distributed: not run here; it needs CITUS=FOLDER, a folder with Citus's source archive and build.sh"
endif

# which mutants of auth, errors, store and schemas the tests let live: a sample, half an hour
MUTANTS ?= 150
SEED ?= 4711
mutants: install
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

# make run and make test on the Pythons of Debian 12, 13 and sid, as root and as a user: needs root and mmdebstrap, half an hour
.PHONY: pythons
pythons:
	tests/pythons.sh $(SUITES)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# the contract that the frontend's team builds against; a test fails where it is not what the app says
contract: install-run
	$(BIN)/todo-api openapi > docs/openapi.json

# the contract by Redocly's recommended rules and Spectral's for OpenAPI
contract-lint: export REDOCLY_SUPPRESS_UPDATE_NOTICE := true
contract-lint: node
	tests/node/node_modules/.bin/redocly lint --config tests/node/redocly.yaml docs/openapi.json
	tests/node/node_modules/.bin/spectral lint --fail-severity=warn --ruleset tests/node/spectral.yaml docs/openapi.json

# the workflows by zizmor, and they, Dependabot's file and compose.yaml by their schemas
SCHEMA = $(BIN)/check-jsonschema --builtin-schema
deploy-lint: install-check
	$(BIN)/zizmor --offline --no-progress --quiet .github
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.compose-spec compose.yaml

# The wheel and the sdist of the last commit. Its hash is a part of their version unless a tag says that it is the
# release of pyproject.toml's number, because pip does not install what it believes is installed.
NUMBER = $(shell git show HEAD:pyproject.toml | sed -n 's/^version = "\(.*\)"/\1/p')
HASH = $(if $(shell git tag --list v$(NUMBER) --points-at HEAD),,+g$(shell git rev-parse --short HEAD))
dist: install-run
	rm -rf dist build/dist && mkdir -p build/dist
	git archive HEAD app LICENSE README.md | tar -x -C build/dist
	git show HEAD:pyproject.toml | sed 's/^version = .*/version = "$(NUMBER)$(HASH)"/' > build/dist/pyproject.toml
	cd build/dist && $(abspath $(BIN)/python) -m flit_core.wheel --outdir $(CURDIR)/dist
	cd build/dist && $(abspath $(BIN)/python) -c 'from flit_core.buildapi import build_sdist; build_sdist("$(CURDIR)/dist")'

# the container image, built without a registry and run: needs root, buildah and mmdebstrap
image: install
	$(BIN)/python -m tests.image

# what a request costs, as a ratio to FastAPI's own hello world (BENCH=--quick: in a minute)
bench: install
	$(BIN)/python -m tests.bench $(BENCH)

# lines of code per file of app/: no blanks, comments, docstrings or migrations
lines: install
	@$(BIN)/python tests/count_lines.py

# needs uv; the locks record hashes and no addresses (make lock UPGRADE=1: the newest that pyproject.toml and package.json allow)
LOCK = uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade)
SHIPPED = --extra=telemetry
RUN = $(SHIPPED) --extra=build --extra=embedded
lock:
	$(LOCK) $(SHIPPED) pyproject.toml -o requirements.txt
	$(LOCK) $(RUN) -c requirements.txt pyproject.toml -o requirements-run.txt
	$(LOCK) $(RUN) --extra=dev -c requirements-run.txt pyproject.toml -o requirements-dev.txt
	$(LOCK) --all-extras -c requirements-dev.txt pyproject.toml -o requirements-check.txt
ifdef UPGRADE
	npm update --prefix tests/node --package-lock-only --no-audit --no-fund
endif
