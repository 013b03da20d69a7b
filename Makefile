# Everything a newcomer needs: `make study` and `make test`, with nothing installed but Python and make.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadgroup

.PHONY: study test check lint bench clean

study: .venv/installed
	$(BIN)/elman study --profile quick

# Everything: lint, types, layers, all tests, doctests and the examples of the docs.
test: .venv/installed-dev lint
	$(PYTEST)

# The same without the slow tests.
check: .venv/installed-dev lint
	$(PYTEST) -m "not slow"

bench: .venv/installed
	$(BIN)/python benchmarks/bench.py --json build/bench.json

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The lock files name exact versions; pip's own configuration chooses the build of torch (README).
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "elman needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.lock
	@touch $@

clean:
	rm -rf .venv
