# Everything runs in .venv, which the first target that needs it makes from the lock file.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
LINE := --------------------------------------------------------------------------------

.PHONY: help demo test test-unit check bench bench-validation bench-features bench-hubs bench-models bench-serve bench-soak bench-audit bench-sealed lock clean

help:  ## Show what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(BENCH_READY): $(READY) requirements-bench.lock
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-bench.lock
	touch $@

demo: $(READY)  ## Make a sample bank's week, run it, train, score; show certificate, tables, and alerts against what was planted
	rm -rf demo
	$(BIN)/leofric sample demo/landing
	$(BIN)/leofric reference load modulus --valacdos demo/landing/ground_truth/modulus/valacdos.txt --scsubtab demo/landing/ground_truth/modulus/scsubtab.txt --version synthetic --lake demo/lake
	$(BIN)/leofric run demo/landing --lake demo/lake --zone 'branch-*=Europe/London'
	@echo $(LINE)
	$(BIN)/leofric certificate verify --lake demo/lake
	$(BIN)/leofric tables --lake demo/lake
	$(BIN)/leofric query "select channel, currency, sum(transactions) as transactions, sum(value_minor) as value_minor from gold_channel_daily group by all order by transactions desc limit 12" --lake demo/lake
	$(BIN)/leofric query "select * from gold_account_daily order by transactions desc limit 5" --lake demo/lake
	$(BIN)/leofric query "select * from gold_data_quality_daily" --lake demo/lake
	@echo $(LINE)
	$(BIN)/leofric train --lake demo/lake --labels demo/landing/ground_truth/labels.csv
	$(BIN)/leofric models promote isolation_forest --lake demo/lake --why "the first"
	$(BIN)/leofric score --lake demo/lake
	$(BIN)/leofric alerts list --lake demo/lake --scenario unusual --limit 5
	$(BIN)/leofric alerts compare --lake demo/lake --labels demo/landing/ground_truth/labels.csv

test: $(READY)  ## Run every test, two files at a time: those that start Ray wait more than they work
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-unit: $(READY)  ## Run the tests that take seconds
	$(BIN)/python -m pytest tests/unit

check: $(READY)  ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH_READY)  ## Compare with PySpark, Polars, DuckDB and pandas on the same work; prints ratios
	$(BIN)/python -m tests.bench.main

bench-validation: $(BENCH_READY)  ## Compare the rules on one core with schwifty, python-stdnum and ukmodulus
	$(BIN)/python -m tests.bench.validation

bench-features: $(READY)  ## Parity of batch and online, counted; the features against plain Python and pandas
	$(BIN)/python -m tests.bench.features

bench-hubs: $(READY)  ## One payment of an account with a thousand to a million others, beside one of an ordinary account
	$(BIN)/python -m tests.bench.hubs

bench-models: $(READY)  ## Score one row and a batch by the flat trees and by scikit-learn
	$(BIN)/python -m tests.bench.models

bench-serve: $(READY)  ## The scoring endpoint beside plain uvicorn and the bare function; needs wrk
	$(BIN)/python -m tests.bench.serving

bench-soak: $(BENCH_READY)  ## 70 % of the scoring endpoint's highest rate for ten minutes: errors, latencies, memory; needs wrk
	$(BIN)/python -m tests.bench.soak

bench-audit: $(READY)  ## Entries a second that the audit trail takes and verifies, in Delta and in PostgreSQL
	$(BIN)/python -m tests.bench.audit

bench-sealed: $(READY)  ## What it costs to load into a sealed lake, beside a plain one
	$(BIN)/python -m tests.bench.sealed

lock:  ## Resolve the dependencies anew into the lock files; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --extra bench --constraint requirements.lock pyproject.toml -o requirements-bench.lock

clean:  ## Remove what the targets made
	rm -rf $(VENV) demo .bench build *.egg-info
