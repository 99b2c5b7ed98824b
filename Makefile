# `make` alone prints this list. Nothing but a Python >= 3.11 (and apt-get as root for what is missing) is needed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:

# `make run PORT=9000` and `PORT=9000 make run` do the same. What stands on the command line is taken as it is. In the environment
# HOST may mean anything, such as the name of a compiler's target: there an IP address or localhost and a number are
# taken, where no setting of Sightline says more, and what is left aside is said.
typed = $(if $(findstring command,$(origin $(1))),$($(1)),$(if $(SIGHTLINE_$(1)),,$(shell [[ "$$$(1)" =~ $(2) ]] && echo "$$$(1)")))
host := $(call typed,HOST,^([0-9.]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*|localhost)$$)
port := $(call typed,PORT,^[0-9]+$$)
address := $(if $(host),--host "$(host)") $(if $(port),--port "$(port)")
aside = $(if $($(1)),$(if $(2)$(SIGHTLINE_$(1)),,@echo "$(1)=$$$(1) of the environment is no $(3) and is left aside; \`make run $(1)=…\` takes anything." >&2))
ARGS ?=
export PYTHON

core := .venv/.ready
# What `make extras` was asked for so far: it is put back whenever .venv is made anew.
extras := $(shell cat .extras 2>/dev/null)
dev := .venv-dev/.ready
bin := .venv-dev/bin
TESTS ?= tests
# One folder neither covers the whole package nor, most often, needs a browser.
coverage := $(if $(filter tests,$(TESTS)),--cov --cov-report=term)
browser := $(filter tests tests/browser%,$(TESTS))
# Tests of jobs start servers of their own; where one cannot be installed, those that need it say so and are skipped.
servers := $(filter tests tests/jobs% tests/worker% tests/chaos% tests/storage%,$(TESTS))
# All tests share the cores: tests/conftest.py says how many run at once. Each worker takes a stretch of the tests, so
# that those of one file share what it starts, and helps the others when it is done. One folder runs without workers, as
# all do with ARGS="-n 0": each worker would start the servers of that folder for itself.
together := $(if $(filter tests,$(TESTS)),-n auto --dist worksteal)
postgres := $(or $(shell command -v postgres),$(wildcard /usr/lib/postgresql/*/bin/postgres))

.PHONY: help run extras test lint format docs docs-live bench lock size clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  make run HOST=0.0.0.0 PORT=9000    ·    make test TESTS=tests/cli    ·    PYTHON=/path/to/python3"

run: $(core) ## Serve the page and the HTTP interface (HOST, PORT)
	$(call aside,HOST,$(host),IP address)
	$(call aside,PORT,$(port),number)
	@.venv/bin/python -m sightline serve $(address) $(ARGS)

extras: ## Add libraries to what `make run` uses, and keep them: ADD="video cluster train gcs azure"
	@for extra in $(ADD); do \
	  test -f requirements/$$extra.txt && [[ ! $$extra =~ ^(core|dev)$$ ]] || { \
	    echo "There is no extra '$$extra'. Wanted some of: video cluster train gcs azure." >&2; exit 2; }; done
	@test -n "$(ADD)" || { echo 'Say which: make extras ADD="video cluster". Added so far: $(or $(extras),none).'; exit 2; }
	@tools/venv .venv requirements/core.txt $(patsubst %,requirements/%.txt,$(sort $(extras) $(ADD))) lean
	@printf '%s\n' $(sort $(extras) $(ADD)) >.extras
	@touch $(core)

test: $(dev) ## Run all tests with the coverage gate (TESTS, ARGS)
	$(if $(browser),@command -v chromium >/dev/null || tools/apt chromium)
	$(if $(servers),@command -v redis-server >/dev/null || tools/apt redis-server || true)
	$(if $(servers),@test -n "$(postgres)" || tools/apt postgresql || true)
	@# Where a shell forbids compiled modules, each server that a test starts would compile its libraries again: 3 s.
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
	  $(bin)/python -m pytest $(coverage) $(together) $(TESTS) $(ARGS)

lint: $(dev) ## Check style, types and the direction of imports
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

format: $(dev) ## Format the code
	$(bin)/ruff check --fix-only
	$(bin)/ruff format

docs: $(dev) ## Build the documentation into site/, strictly
	$(bin)/python tools/reference.py --check
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict

docs-live: $(dev) ## Show the documentation while it is written
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs serve

bench: $(dev) ## Measure against the physical limit and against other servers
	$(bin)/python -m bench.serve $(ARGS)

lock: ## Write requirements/*.txt anew from pyproject.toml
	tools/lock

size: $(core) ## Say how much disk the environment of `make run` takes
	@du -sk --apparent-size .venv | awk '{printf ".venv: %.0f MB in files", $$1 * 1024 / 1e6}'
	@du -sk .venv | awk '{printf ", %.0f MB (%.0f MiB) on disk\n", $$1 * 1024 / 1e6, $$1 / 1024}'

clean: ## Remove environments, caches and what was built; data stays
	rm -rf .venv .venv-dev .venv-lock build dist site out .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(core): requirements/core.txt tools/venv
	@tools/venv .venv requirements/core.txt $(extras:%=requirements/%.txt) lean
	@touch $@

$(dev): requirements/dev.txt tools/venv
	@tools/venv .venv-dev requirements/dev.txt
	@touch $@
