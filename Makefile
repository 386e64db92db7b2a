# Two commands do everything on a fresh clone: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
# uv is itself pinned; it fills the environment in a few seconds where pip takes most of a minute.
INSTALL = VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet
ARGS ?=

# Some containers forbid cached bytecode: each of the hundred processes of a test run would compile everything anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo install test lint types imports pytest peers programs packages soak bench docs texts clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

demo: .venv/.demo ## simulated plant, collected, stored, shown: prints the page's address (ARGS="--for 60s")
	@$(BIN)/km0 demo $(ARGS)

install: .venv/.dev ## .venv with the km0 command and everything the demo and the tests need

test: programs ## everything CI checks
	@$(MAKE) --no-print-directory --jobs 3 packages lint imports # npm's packages come while Python's do
	@$(MAKE) --no-print-directory --jobs 2 types pytest # mypy takes one core for half a minute

lint: .venv/.dev ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.dev ## mypy --strict
	$(BIN)/mypy

imports: .venv/.dev ## who may import whom
	$(BIN)/lint-imports --no-logo

pytest: .venv/.warm ## the tests, without lint (ARGS="-k spool")
	$(BIN)/pytest -m "not soak" -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

peers: programs packages ## what tests talk to: system programs (installed when root on Debian), packages of npm

programs:
	@sh tests/install-peers

packages: # before the tests: npm's time is none of theirs
	@$(PYTHON) -m tests.foreign.install

soak: .venv/.dev peers ## the long tests
	$(BIN)/pytest -m soak $(ARGS)

bench: .venv/.dev ## every benchmark, as a table
	$(BIN)/python -m benchmarks all

docs: .venv/.dev ## the generated reference pages
	$(BIN)/python -m km0.reference docs/reference

texts: .venv/.dev ## the French catalogue: new messages in, compiled; then fill in what is empty
	$(BIN)/python -m tests.dashboards.catalogue

clean: ## remove the virtual environment and caches; data in .km0 stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/uv: requirements/uv.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.demo: requirements/demo.txt pyproject.toml | $(BIN)/uv
	@test -e .venv/.dev || { $(INSTALL) --require-hashes -r requirements/demo.txt && $(INSTALL) --no-build-isolation --no-deps -e . ; }
	@$(BIN)/python -m compileall -q -j 0 .venv/lib/python3*/site-packages/asyncua # it is half of the demo's start otherwise
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | $(BIN)/uv
	$(INSTALL) --compile-bytecode --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-build-isolation --no-deps -e .
	@touch $@ .venv/.demo

# On a fresh clone each of the workers would compile every test and module, all at once: one does, beside mypy.
.venv/.warm: .venv/.dev
	@$(BIN)/pytest --collect-only -qq -m "not soak" >/dev/null 2>&1 || true # what cannot be collected, the tests say
	@touch $@
