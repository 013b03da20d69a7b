# Everything a newcomer needs: `make study` and `make test`, with nothing installed but Python and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: study test bench lint clean

study: .venv/installed
	$(BIN)/elman study --profile quick

test: .venv/installed lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

bench: .venv/installed
	$(BIN)/elman bench --json build/bench.json

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The lock file names exact versions; which build of torch pip takes is its own configuration's choice (README).
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "elman needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv
