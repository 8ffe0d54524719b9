# `make tables` sets up .venv on the first call and makes every table; `make test` runs the tests.
PYTHON ?= python3
VENV := .venv
# processes of `make test`; each takes whole modules or classes, so that their fixtures are made once, and may start a
# workflow run on two cores
WORKERS ?= 2
READY := $(VENV)/.ready
# make tables CONFIG=my.yaml TARGETS=ablation ARGS=-n: files laid over config.yaml, what to make instead of all tables,
# and more arguments of snakemake
CONFIG ?=
TARGETS ?=
ARGS ?=
# Snakemake keeps a cache in the home folder, and stops before it reads any rule where it cannot
CACHE = cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/snakemake"; mkdir -p "$$cache" 2>/dev/null && [ -w "$$cache" ] || \
    { echo "Note: $$cache cannot be written, the cache is in .snakemake/cache"; \
    export XDG_CACHE_HOME="$(CURDIR)/.snakemake/cache"; };
SHELL := /bin/bash

.PHONY: setup tables report test lint format clean

setup: $(READY)

$(READY): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python >= 3.11 is needed, found $$($(PYTHON) --version); name another with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement envs/requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(VENV)/bin/python -m pivm.report.page.niivue
	touch $(READY)

tables: $(READY)
	@for file in $(CONFIG); do [ -f "$$file" ] || \
	    { echo "CONFIG: $$file: no such file; what to make is named by TARGETS=\"$$file\""; exit 1; }; done
	@$(CACHE) \
	    PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	    snakemake --cores all --resources gpu=1 $(ARGS) $(if $(CONFIG),--configfile $(CONFIG)) -- $(TARGETS)

report: tables
	@$(CACHE) PATH="$(CURDIR)/$(VENV)/bin:$$PATH" snakemake $(if $(CONFIG),--configfile $(CONFIG)) --report report.zip

test: $(READY)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" OMP_NUM_THREADS=1 pytest -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/basedpyright
	$(VENV)/bin/snakefmt --check Snakefile workflow/Snakefile rules
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" snakemake --lint

format: $(READY)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/snakefmt Snakefile workflow/Snakefile rules

clean:
	rm -rf $(VENV) .snakemake
