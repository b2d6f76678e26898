# Two commands do all set-up: `make demo` and `make test`. Everything lives in .venv.
# Another Python: `make test PYTHON=python3.13 VENV=.venv-3.13`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: demo test lint bench accept screenshots lock clean
.DEFAULT_GOAL := demo

# The environment: made once, remade when the pinned requirements change.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 15) else "Jingxing needs Python 3.11 to 3.14; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (only when requirements.lock changes)"
	@grep -A 60 '^uv==' requirements.lock | sed '/^ *#/d' | awk 'NR == 1 || /--hash/ {print} NR > 1 && !/--hash/ {exit}' > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(VENV)/ready
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command "make lock" --output-file requirements.lock

# The main job from nothing: a simulated force, to a page in the browser. `make demo ARGS=--no-serve` ends before.
demo: $(VENV)/ready
	@$(BIN)/jingxing demo $(ARGS)

# Lint and every test, on both cores. Browser tests need Chromium and say so where there is none.
test: lint
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

lint: $(VENV)/ready
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# The benchmark table: whole jobs and their parts, measured here.
bench: $(VENV)/ready
	@$(BIN)/python -m tests.bench $(ARGS)

# Each issue's acceptance table: what takes longer than CI allows.
accept: $(VENV)/ready
	@$(BIN)/python -m tests.accept $(ARGS)

# Every page in both languages at both widths, as pictures in screenshots/ (needs Chromium; of a demo of its own, or ARGS="--home DIR").
screenshots: $(VENV)/ready
	@$(BIN)/python -m tests.screenshots $(ARGS)

clean:
	rm -rf .venv .venv-* var/bench var/demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
