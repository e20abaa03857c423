# Everything a person does here. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
LONG := tests/long tests/jobs/batch/clean/test_rebuild.py

# Cached bytecode makes every engine start five times faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: bootstrap ## A retailer's purchases to live recommendations; Ctrl-C ends it (EXIT=1: ends by itself)
	@$(PYTHON) -m infra.demo $(if $(EXIT),--exit)

.PHONY: test
test: bootstrap lint ## Lint, types, layers and all tests, end to end included
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(LONG)) $(ARGS)

.PHONY: test-long
test-long: bootstrap ## Tests of minutes each, not part of test: every batch job killed, silver made again, the lake maintained, a person forgotten, ten years of a shop
	@$(PYTHON) -m pytest $(LONG) $(ARGS)

.PHONY: check
check: bootstrap lint ## Lint, types and layers only

.PHONY: lint
lint:
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

.PHONY: up
up: bootstrap ## Start Kafka, Valkey and MLflow here
	@$(PYTHON) -m headrace up

.PHONY: down
down: bootstrap ## Stop everything that was started here; the data stays
	@$(PYTHON) -m headrace down

.PHONY: doctor
doctor: bootstrap ## Say what this machine lacks, and how to mend it
	@$(PYTHON) -m headrace doctor

.PHONY: airflow
airflow: bootstrap ## Scheduler and web page with the DAGs, until Ctrl-C
	@$(PYTHON) -m infra.local.airflow web

.PHONY: mlflow
mlflow: bootstrap ## Tracking and registry with its web page, in the background
	@$(PYTHON) -m headrace up mlflow

.PHONY: bench
bench: bootstrap ## Run one benchmark: make bench NAME=serving
	@test -n "$(NAME)" || { echo "Name one: make bench NAME=$$(ls benchmarks | sed 's/\.py$$//' | grep -vx -e __init__ -e __pycache__ -e report -e results -e gold_users | paste -sd '|')" >&2; exit 2; }
	@$(PYTHON) -m benchmarks.$(NAME)

.PHONY: format
format: bootstrap ## Format the code and mend what can be mended by itself
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format .

.PHONY: settings
settings: bootstrap ## Write docs/settings.toml, event.schema.json and features.md from the code
	@$(PYTHON) -m headrace.cli.reference --write

.PHONY: requirements
requirements: bootstrap ## Pin each role's packages again, at the versions of requirements/all.txt
	@infra/requirements.sh

.PHONY: clean
clean: ## Remove the data and the caches (not the environment); what runs is stopped first
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m headrace down; fi
	@rm -rf var build spark-warehouse metastore_db derby.log .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

.PHONY: bootstrap
bootstrap:
	@infra/bootstrap.sh
