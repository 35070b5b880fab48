# Two commands matter: `make demo` shows the main job, `make test` proves it. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PYTEST_ARGS ?=
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN {FS = ":.*## "}; {printf "  %-12s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Tollmeter needs Python 3.11 or newer; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@# Its axe.min.js is all that tests of accessibility take of it: without the browser driver it depends on.
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -c constraints.txt axe-playwright-python
	@touch $@

.PHONY: setup
setup: .venv/.installed ## Create .venv and install everything for development

.PHONY: apt
apt: ## Install what the browser and Redshift suites need from Debian (as root)
	command -v chromium >/dev/null && command -v chromedriver >/dev/null && test -n "$$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" || \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver postgresql >/dev/null)

.PHONY: demo
demo: setup ## Two months of history, a live replay, the ETL, alarms and the dashboard (ARGS=--no-serve stops before it)
	$(BIN)/tollmeter demo $(ARGS)

.PHONY: test
test: setup ## Every suite at a small size, after `make check`
	$(MAKE) -s check
	TOLLMETER_KILLS=$${TOLLMETER_KILLS:-10} $(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: soak
soak: setup ## The same suites at full size
	TOLLMETER_KILLS=100 TOLLMETER_OUTAGE_S=60 TOLLMETER_REPLAY_ROWS=2000 TOLLMETER_BROKEN_LINES=1000 TOLLMETER_SDK_EVERY=1 TOLLMETER_FULL=1 TOLLMETER_LONG_RUN=1000000 TOLLMETER_FUZZ_LINES=1000000 $(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: check
check: setup ## Lint, format, types, imports
	$(BIN)/ruff check -q
	$(BIN)/ruff format -q --check
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: bench
bench: setup ## Cost of the instrumentation, speed of the forwarder and the ETL, beside others (ARGS=--write updates docs/benchmarks.md)
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

.PHONY: golden
golden: setup ## Rewrite generated pages and golden files; review the diff
	TOLLMETER_UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/golden

.PHONY: sdks
sdks: setup ## Every recording through the real SDKs; rewrites what they did with it (docs/sdks.md), review the diff
	TOLLMETER_UPDATE_GOLDEN=1 TOLLMETER_SDK_EVERY=1 $(BIN)/pytest -q -n 2 --dist loadfile tests/sdks
	TOLLMETER_UPDATE_GOLDEN=1 $(BIN)/pytest -q -n 0 tests/golden/test_sdks_page.py

.PHONY: clean
clean: ## Remove the environment and caches
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist .coverage
