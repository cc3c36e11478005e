# `make` lists the targets. Only make, Python 3.11 or 3.12 and Java 17 or 21 have to be there.

active := . .venv/bin/activate &&
# Two sessions side by side: most of a small run is one thread of the driver. A module keeps to one.
# The long ones come first in the order of their names, and are not moved behind the many short ones.
parallel := -n 2 --dist loadscope --no-loadscope-reorder
checks := ruff check; ruff format --check; mypy --strict src; lint-imports; scripts/lint-contracts.sh

.PHONY: help setup setup-online demo demo-online test test-fast test-deep bench bench-medium bench-full bench-check docs reference lint format clean

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Prepare .venv: packages, Delta jars, Spark settings (the others do it by themselves)
	@scripts/setup.sh

setup-online: ## The same, and what the online store needs: Feast, Redis, PostgreSQL, deltalake
	@scripts/setup.sh online

demo: setup ## Generate 40 athletes and two years of activities, and run both jobs on them
	@$(active) scripts/demo.sh

demo-online: setup-online ## Go on from the demo: correct, delete, and compare the online store with Feast's own
	@$(active) scripts/demo-online.sh

test: lint ## Run everything that has to pass: lint, and all tests
	$(active) pytest --connect tests/spark/connect
	$(active) pytest $(parallel)

test-fast: setup-online ## Run the quick tests only
	$(active) pytest $(parallel) -m "not slow and not real"

deep := random_histories crashes kill interleavings

test-deep: setup-online ## Run every recipe on Spark Connect, and explore histories and faults for hours
	$(active) pytest $(parallel) --connect -m "not classic" tests/spark
	$(active) pytest --hypothesis-profile deep tests/online/test_histories.py $(deep:%=tests/pipeline/test_%.py)

bench: setup-online ## Measure beside others for a quarter of an hour, and write docs/performance.md
	$(active) python -m benchmarks && python -m benchmarks.report

bench-medium: setup-online ## The same with two thousand athletes, which takes two hours
	$(active) python -m benchmarks --size medium && python -m benchmarks.report

bench-full: setup-online ## The same with ten thousand athletes, which takes hours
	$(active) python -m benchmarks --size full && python -m benchmarks.report

bench-check: setup-online ## Measure, and fail when a guarded figure has become worse
	$(active) python -m benchmarks --check

docs: setup ## Build the site of the documentation into build/site
	$(active) NO_MKDOCS_2_WARNING=1 mkdocs build --strict

reference: setup ## Write the pages of docs/reference again, from the code and the contracts
	$(active) python scripts/reference.py

lint: setup-online ## Check style, formatting, types, who imports whom, and the contracts
	@$(active) scripts/timed.sh lint sh -exc '$(checks)'

format: setup ## Format the code and repair what can be repaired by itself
	$(active) ruff check --fix
	$(active) ruff format

clean: ## Remove what make has made in this clone, .venv and demo included
	rm -rf .venv demo site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
