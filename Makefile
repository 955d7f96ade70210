# Every target needs nothing but make, git, Python >= 3.11 and apt: what is missing is installed first.
SHELL := /bin/sh
LAB   := .venv/bin/l2tp-lab
RUN   := .venv/bin/python -m

# ARGS passes options through: make check ARGS=--json
ARGS ?=

# What test-all proves the driver on: everything runs on the first (or where a lab runs here, on this
# kernel), and the kernel tests on each of the others, in the appliance.
KERNELS ?= 6.12 6.1 newest

.DEFAULT_GOAL := help
.PHONY: .venv/.ready help lab test test-all lint check trace status shell down bench fuzz clean doctor docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Start with make lab. ARGS passes options on: make check ARGS=--json'
	@echo 'l2tp-lab itself, once a target has made .venv: export PATH="$(CURDIR)/.venv/bin:$$PATH"'

# Always asked, because a .venv can be newer than everything and of no use; it answers in a blink.
.venv/.ready:
	@sh lab/bootstrap.sh

lab: .venv/.ready ## bring the lab up, check it, show it
	@$(LAB) up --check $(ARGS)

test: .venv/.ready ## the short tier: unit, property and kernel tests in one run
	@$(LAB) setup --quiet
	@$(RUN) pytest -m "not long" $(ARGS)

test-all: .venv/.ready ## everything, the kernel tests on KERNELS="6.12 6.1 newest"
	@$(LAB) setup --quiet
	@only=; failed=; for kernel in $(KERNELS); do \
		echo "make test-all: kernel $$kernel"; \
		$(RUN) pytest $$only --kernel $$kernel $(ARGS) || failed="$$failed $$kernel"; \
		only="-m kernel --place appliance"; \
	done; [ -z "$$failed" ] || { echo "make test-all: failed on kernel$$failed"; exit 1; }

lint: .venv/.ready ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

check: .venv/.ready ## run the checks against the live lab
	@$(LAB) check $(ARGS)

trace: .venv/.ready ## what the driver does, per tunnel, live
	@$(LAB) trace $(ARGS)

status: .venv/.ready ## tunnels and sessions
	@$(LAB) status $(ARGS)

shell: .venv/.ready ## a shell in a node: make shell ARGS=lns
	@$(LAB) shell $(ARGS)

down: .venv/.ready ## remove the lab, and nothing else
	@$(LAB) down $(ARGS)

bench: .venv/.ready ## the figures, with their conditions
	@$(LAB) bench $(ARGS)

fuzz: .venv/.ready ## ten minutes of coverage-guided fuzzing; shorter: ARGS="--seconds 30"
	@.venv/bin/python -c 'import atheris' 2>/dev/null || \
		.venv/bin/python -m pip install --quiet --only-binary atheris --editable '.[fuzz]' || true
	@$(RUN) tests.fuzz $(ARGS)

docs: .venv/.ready ## write the documents that come from the code: states, conformance, schemas
	@$(RUN) l2tp.protocol.statedoc docs/states.md
	@$(RUN) tests.conformance
	@$(RUN) lab.results.schemas docs/schemas

clean: ## remove what this checkout made for itself (the appliance's cache stays)
	rm -rf .venv .fuzz build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

doctor: .venv/.ready ## what this box can do, each "no" with its cure
	@$(LAB) doctor $(ARGS)
