# One command a job. No target needs an activated virtual environment: `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
OLDEST := .venv-3.11/bin/python
PYENV_VERSIONS := $${PYENV_ROOT:-$$HOME/.pyenv}/versions
# Arguments for the command behind `make run`, `make test` and `make bench`, e.g. make run ARGS="--port 8000"
ARGS ?=

# Prints the Python to use: Azure's 3.13 where there is one, else the newest that Spillway supports.
FIND_PYTHON = is() { "$$1" -c "import sys; sys.exit(not ($$2))" 2>/dev/null; }; \
	for p in python3.13 "$(PYENV_VERSIONS)"/3.13*/bin/python3.13 "$$(uv python find 3.13 2>/dev/null)"; do \
	  if is "$$p" "sys.version_info[:2] == (3, 13)"; then command -v "$$p"; exit 0; fi; done; \
	for p in python3.12 python3.11 python3 python; do \
	  if is "$$p" "sys.version_info >= (3, 11)"; then command -v "$$p"; exit 0; fi; done; exit 1
FIND_OLDEST = is() { "$$1" -c "import sys; sys.exit(sys.version_info[:2] != (3, 11))" 2>/dev/null; }; \
	for p in python3.11 "$(PYENV_VERSIONS)"/3.11*/bin/python3.11 python3 "$$(uv python find 3.11 2>/dev/null)"; do \
	  if is "$$p"; then command -v "$$p"; exit 0; fi; done; exit 1

.PHONY: help setup run test test-oldest check requirements docs prices bench bench-peers deploy infra-types \
	infra-lint clean oldest-found

help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: .venv/.installed node_modules/.installed ## Install everything into .venv and node_modules

run: setup ## Run Spillway with storage and a simulated Azure; prints URL, key and a call
	@$(PYTHON) -m devtools up $(ARGS)

test: setup .venv-checkov/.installed ## Run all tests
	@$(PYTHON) -m pytest -q -n 2 $(ARGS)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 13))" || { \
	  echo "tests/runtime was NOT run: it needs Python 3.13, which was not found."; \
	  echo "Install it (for example: uv python install 3.13), then: make clean test"; \
	  test -z "$$CI"; }

test-oldest: .venv-3.11/.installed node_modules/.installed ## Run the tests on Python 3.11, without tests/runtime
	@$(OLDEST) -m pytest -q -n 2 --ignore=tests/runtime $(ARGS)

oldest-found:
	@($(FIND_OLDEST)) >/dev/null && echo yes || echo no

check: setup ## Lint, format check, types, and generated files
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@$(PYTHON) -m devtools.requirements --check
	@$(PYTHON) -m devtools.docs --check
	@$(PYTHON) -m devtools.prices --check

requirements: setup ## Regenerate requirements.txt and requirements-dev.txt from pyproject.toml
	@$(PYTHON) -m devtools.requirements

docs: setup ## Regenerate the pages of docs/ that are made of the code
	@$(PYTHON) -m devtools.docs

prices: setup ## Regenerate the price book from its tables
	@$(PYTHON) -m devtools.prices

bench: setup ## Measure Spillway on this machine
	@$(PYTHON) -m devtools bench $(ARGS)

bench-peers: ## Install LiteLLM's proxy and Portkey's gateway into .peers, to be measured beside Spillway
	@python3 -m venv .peers/litellm
	@.peers/litellm/bin/pip install --quiet --disable-pip-version-check "litellm[proxy]"
	@npm install --silent --no-audit --no-fund --prefix .peers @portkey-ai/gateway

deploy: ## Create everything in Azure, or bring it up to date, and deploy the code: azd up
	@command -v azd >/dev/null || { echo "Azure Developer CLI was not found: https://aka.ms/azd-install"; exit 1; }
	azd up $(ARGS)

infra-types: setup ## Regenerate the table of resource types that infra/ is checked against
	@$(PYTHON) -m devtools.infra

infra-lint: .venv-checkov/.installed ## Lint infra/ with Checkov, which gets an environment of its own (300 MB)
	@.venv-checkov/bin/checkov --config-file infra/.checkov.yaml $(ARGS)

clean: ## Remove everything that the other commands made
	rm -rf .venv .venv-3.11 .venv-checkov .peers node_modules .spillway .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov

.venv/.installed: requirements.txt requirements-dev.txt
	@test -x $(PYTHON) || { \
	  found=$$($(FIND_PYTHON)) || { echo "Spillway needs Python 3.11 or newer, best 3.13: https://python.org"; exit 1; }; \
	  version=$$("$$found" -c "import platform; print(platform.python_version())"); \
	  echo "Creating .venv with Python $$version"; \
	  case $$version in 3.13.*) ;; *) echo "Note: Azure runs Spillway on Python 3.13, which was not found here." ;; esac; \
	  "$$found" -m venv .venv || { echo "Python's venv module does not work here (Debian: apt install python3-venv)."; \
	    rm -rf .venv; exit 1; }; }
	@echo "Installing Python packages (about a minute the first time)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

.venv-3.11/.installed: requirements.txt requirements-dev.txt
	@test -x $(OLDEST) || { \
	  found=$$($(FIND_OLDEST)) || { echo "Python 3.11 was not found."; exit 1; }; \
	  echo "Creating .venv-3.11"; "$$found" -m venv .venv-3.11; }
	@echo "Installing Python packages for Python 3.11"
	@$(OLDEST) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

# Checkov pins an older Bicep parser than the tests use, and a hundred packages more: it stays apart.
.venv-checkov/.installed: infra/requirements-checkov.txt
	@test -x .venv-checkov/bin/python || { found=$$($(FIND_PYTHON)); "$$found" -m venv .venv-checkov; }
	@echo "Installing Checkov (some minutes the first time)"
	@.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r infra/requirements-checkov.txt
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Storage needs Node.js 18 or newer with npm: https://nodejs.org"; exit 1; }
	@echo "Installing Azurite, the storage emulator"
	@npm ci --silent --no-audit --no-fund
	@touch $@
