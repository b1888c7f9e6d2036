# Python 3.11 or later, make and the package registries are all that is needed.
# Elsewhere or with another interpreter: make test VENV=/tmp/venv PYTHON=python3.12

VENV ?= .venv
PYTHON ?= python3
WORKERS ?= 2
STORE ?= images
POOL ?= disjoint
ESTIMATORS ?= last_value,lcranknet,baker,chandrashekaran:train_on=sources,lcnet,lcpfn
DEMO ?= never,last_value,successive_halving,hyperband,asha,median,lcranknet,lcranknet:at_zero=true

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format traces figures termination

help:  ## this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 10

setup: $(STAMP)  ## a virtual environment with what nassim needs, in .venv

# One command with the constraints: without them pip would look for the newest torch first.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nassim needs Python 3.11 or later, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: setup  ## compare early-termination methods on the bundled store, into demo/
	$(BIN)/nassim terminate --methods $(DEMO) --workers $(WORKERS) --model-seeds 1 --out demo/results.parquet --report demo/report.html

test: setup  ## all tests and doctests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: setup  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## format the code, mend what the linter can
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

traces: setup  ## record the behaviour of all methods again; read the diff before you commit it
	$(BIN)/python tests/traces/record.py

figures: setup  ## draw the figures of README.md and docs/ again
	for script in analysis/*.py; do $(BIN)/python $$script || exit 1; done

# With another store: make termination STORE=text POOL=shared. docs/termination.md has durations.
termination: STUDY = --store $(STORE) --pool $(POOL) --workers $(WORKERS)
termination: FOLDER = analysis/results/$(STORE)
termination: setup  ## all studies of early termination on STORE, into analysis/results/STORE
	$(BIN)/nassim terminate $(STUDY) --out $(FOLDER)/termination.parquet
	$(BIN)/nassim terminate $(STUDY) --leave-out group --out $(FOLDER)/termination-group.parquet
	$(BIN)/python analysis/front.py $(STUDY) --orders 5 --model-seeds 1
	$(BIN)/python analysis/ranking.py $(STUDY) --methods $(ESTIMATORS)
	$(BIN)/python analysis/components.py $(STUDY)
	$(BIN)/python analysis/sources_needed.py $(STUDY)
	$(BIN)/python analysis/calibration.py $(STUDY) --methods $(ESTIMATORS)
