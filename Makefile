# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install demo demo-ui test lint dev format clean

help:  ## say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## create the environment in .venv

# torch first and pinned: a later request for it then finds it installed and pulls nothing more.
# Byte-code is compiled once, so that every process starts in half the time.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib seg_assets > /dev/null || true
	@touch $@

demo: $(INSTALLED)  ## run the whole chain on generated scenes and say where to look
	$(BIN)/seg-assets demo --out demo

test: $(INSTALLED)  ## run all tests
	$(BIN)/python -m pytest

lint: $(INSTALLED)  ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(INSTALLED)  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# DAGSTER_HOME keeps runs and partitions between sessions.
dev: $(INSTALLED)  ## open the Dagster UI on http://127.0.0.1:3000
	mkdir -p .dagster && cp -n dagster.yaml .dagster/dagster.yaml || true
	DAGSTER_HOME=$(CURDIR)/.dagster $(BIN)/dagster dev --host 127.0.0.1 --port 3000

demo-ui: $(INSTALLED)  ## open the UI on what the demo has made
	DAGSTER_HOME=$(CURDIR)/demo/dagster SEG_DATA_DIR=$(CURDIR)/demo/store \
	SEG_SAM_MODEL=sam_demo SEG_SEEM_MODEL=seem_demo \
	$(BIN)/dagster dev --host 127.0.0.1 --port 3000

clean:  ## remove the environment and the demo's output
	rm -rf $(VENV) demo .dagster
