# Every verb of the repository. `make` alone lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
PY := .venv/bin/python
STAMP := .venv/.ready
MEMBERS := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml cli/pyproject.toml proto/python/pyproject.toml)
SERVICES := intake tickets sla-clock notifier survey
CODE := libs services cli tools tests bench
WORKERS ?= 2

##@ Try it
.PHONY: demo up down
demo: $(STAMP) ## A mailbox goes in, tickets and clocks come out (KEEP=1 leaves the desk running)
	@.venv/bin/tickdesk demo $(if $(KEEP),--keep)

up: $(STAMP) ## Start the desk for daily use, data kept in a folder
	@.venv/bin/tickdesk up

down: $(STAMP) ## Stop it
	@.venv/bin/tickdesk down

##@ Work on it
.PHONY: setup fmt run proto docs bench
setup: $(STAMP) ## Make .venv from the locks (PYTHON=... picks an interpreter)

$(STAMP): requirements.lock tools/bootstrap.lock tools/setup.sh $(MEMBERS)
	@PYTHON="$(PYTHON)" tools/setup.sh
	@touch $@

fmt: $(STAMP) ## Format the code, apply safe fixes
	.venv/bin/ruff check -q --fix-only .
	.venv/bin/ruff format -q .

run: $(STAMP) ## Run one service with the settings of your environment, S=tickets
	@test -n "$(S)" || { echo "name a service: make run S=tickets ($(SERVICES))" >&2; exit 2; }
	@$(PY) -m $(subst -,_,$(S)) serve

proto: $(STAMP) ## Generate proto/python from proto/
	$(PY) -m tools.proto generate

docs: $(STAMP) ## Generate docs/reference from contracts, settings, metrics and the chart
	$(PY) -m tools.docs generate

bench: $(STAMP) ## Measure, write bench/results
	$(PY) -m bench

.PHONY: bench-clock bench-tickets soak
bench-clock: $(STAMP) ## Measure the clock beside its peers (QUICK=1, ROUNDS=3, PARTS="burst rest")
	$(PY) -m bench.clock $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(PARTS)
	$(if $(QUICK),,$(PY) -m tools.docs generate)

bench-tickets: $(STAMP) ## Measure lists, searches and new tickets at a million of them (TICKETS=100000 for fewer)
	$(PY) -m bench.tickets $(if $(TICKETS),--tickets $(TICKETS))
	$(if $(TICKETS),,$(PY) -m tools.docs generate)

soak: $(STAMP) ## The long runs: faults by the hundred, five million timers armed; hours
	TICKDESK_SOAK=1 $(PY) -m pytest -q tests/faults
	$(PY) -m bench.clock --soak
	$(PY) -m tools.docs generate

##@ Check it
.PHONY: check lint types imports proto-check docs-check shape chart chart-lint
check: lint types imports shape proto-check docs-check chart-lint ## Everything CI checks before the tests

lint: $(STAMP)
	.venv/bin/ruff format --check -q .
	.venv/bin/ruff check -q .

types: $(STAMP)
	.venv/bin/mypy $(wildcard $(CODE))

imports: $(STAMP)
	.venv/bin/lint-imports

shape: $(STAMP)
	$(PY) -m tools.shape

proto-check: $(STAMP) ## Contracts: stubs up to date, lint, nothing breaks (BASE=ref, default origin/main)
	$(PY) -m tools.proto check

docs-check: $(STAMP)
	$(PY) -m tools.docs check

chart: chart-lint ## Lint and render the chart, validate it against old and new Kubernetes, plant faults
	$(PY) -m pytest -q -n $(WORKERS) tests/chart

chart-lint: $(STAMP)
	$(PY) -m tools.chart

##@ Test it
.PHONY: test test-unit test-component e2e
test: $(STAMP) ## All tests (WORKERS=2)
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup

test-unit: $(STAMP) ## Domain rules only, seconds
	$(PY) -m pytest -q $(wildcard services/*/tests/unit cli/tests/unit) tests/arch

test-component: $(STAMP) ## Each service against real servers
	$(PY) -m pytest -n $(WORKERS) libs $(wildcard services/*/tests/component)

e2e: $(STAMP) ## All services together, and what they survive
	$(PY) -m pytest $(wildcard tests/e2e tests/faults)

##@ Release it
.PHONY: lock image
UV_VERSION := 0.13.9
EXPORT := .venv/bin/uv export -q --no-emit-workspace --no-header
COMPILE := .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate

# uv.lock names the index it came from, so only these exports, which hold names and hashes, are committed.
lock: $(STAMP) ## Resolve again and write every lock
	.venv/bin/uv lock
	$(EXPORT) --all-packages --all-groups -o requirements.lock
	$(EXPORT) --no-dev $(SERVICES:%=--package tickdesk-%) -o requirements-runtime.lock
	echo hatchling | $(COMPILE) - -c requirements.lock -o tools/build.lock
	echo uv==$(UV_VERSION) | $(COMPILE) - -o tools/bootstrap.lock
	@if grep -n "://" requirements.lock requirements-runtime.lock tools/*.lock; then \
		echo "lock: an address got into a lock" >&2; exit 1; fi

image: ## Build the container image with podman or docker
	$(or $(shell command -v podman),docker) build -f Containerfile -t tickdesk:dev .

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
