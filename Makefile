# Short names for a developer's commands; every target works in a fresh clone. `make test T=tests/scoring` narrows a run.

BIN := .venv/bin
T ?=
# Starts the local services unless they run, and exports the settings that lead to them.
SERVICES = $(BIN)/smarttrip stack up >/dev/null && eval "$$($(BIN)/smarttrip stack env)"
COMPILE = uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*##.*/\1/p' $(MAKEFILE_LIST))

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-12s %s\n' "$$name" "$$text"; done

setup: ## Create .venv and the local Elasticsearch; takes no time once they exist
	@./scripts/setup

demo: ## Show the whole system at work (Ctrl-C ends it)
	@./scripts/demo

test: ## Run every check and the tests, on services of their own; T=tests/scoring narrows
	@./scripts/test $(T)

test-all: ## The same with the slow tests: crashes of servers, the demo, the soak
	@./scripts/test --all $(T)

test-versions: setup ## Run migrations, indexer and contract suites on each version of the servers; T="Postgres 15" narrows
	@$(BIN)/python -m scripts.entry scripts.versions.run $(if $(T),"$(T)")

test-fast: setup ## Run the tests that need no services, in half a minute; T=tests/scoring narrows
	@$(BIN)/pytest -q -m fast -n 2 $(T)

lint: setup ## Report problems of style and unused dependencies
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/deptry .

format: setup ## Sort imports, fix what can be fixed, and format the code
	@$(BIN)/ruff check --fix && $(BIN)/ruff format

types: setup ## Check the types
	@$(BIN)/mypy

contracts: setup ## Check which package may import which
	@$(BIN)/lint-imports

docs: setup ## Check the documents: links, and the tests, settings and metrics that they name
	@$(BIN)/pytest -q tests/docs

stack: setup ## Start Postgres, Valkey and Elasticsearch; print their addresses
	@$(BIN)/smarttrip stack up

stack-down: setup ## Stop these services; their data stays
	@$(BIN)/smarttrip stack down

shell: setup ## Open a shell with .venv active and the settings of the local services
	@$(SERVICES) && . $(BIN)/activate && exec "$${SHELL:-/bin/sh}"

serve: setup ## Serve the API from the local services, on PORT (5000)
	@$(SERVICES) && exec $(BIN)/smarttrip serve

worker: setup ## Run the worker on the local services
	@$(SERVICES) && exec $(BIN)/smarttrip worker

generate: setup ## Write the files that are made from code: SLO rules and table, dashboards, gateway, fault matrix
	@$(BIN)/python -m scripts.observability.generated_files
	@$(BIN)/python -m scripts.gateway.generated_files
	@$(BIN)/python -m tests.fault_injection.fault_matrix

openapi: setup ## Print the OpenAPI document
	@$(BIN)/python -c 'from app.endpoints.openapi import build_openapi; from app.routes import ENDPOINTS; print(build_openapi(ENDPOINTS).decode())'

bench: setup ## Measure the service against raw Elasticsearch and other baselines (an hour)
	@$(BIN)/smarttrip bench

audit: setup ## Look for known vulnerabilities in the pinned packages
	@$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.lock
	@$(BIN)/pip-audit --require-hashes --disable-pip -r requirements-dev.lock

SBOM ?= sbom.json
sbom: setup ## List the packages of the image as CycloneDX, in SBOM=sbom.json
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --validate -o $(SBOM) requirements.lock

lock: ## Pin the dependencies of pyproject.toml anew, with hashes (needs uv)
	$(COMPILE) --extra tracing pyproject.toml -o requirements.lock
	$(COMPILE) --extra local --extra dev --extra tracing pyproject.toml -o requirements-dev.lock
	$(COMPILE) --extra load pyproject.toml -o requirements-load.lock

clean: ## Delete .venv and the tools' caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
