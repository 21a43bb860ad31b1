# All that is done with this book. It needs make, and Python 3.11 or newer with venv.
#   make book PYTHON=python3.12    chooses the interpreter, once: an environment keeps its own
#   make book VENV=.venv-3.12      chooses the environment

SHELL := /bin/bash
# XLA has threads of its own; those of BLAS would only wait for them, and for each other, spinning.
export OPENBLAS_NUM_THREADS ?= 1
# What JAX has compiled is kept on this machine.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/_build/programs/$(shell uname -n)
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= 0
export EQX_ON_ERROR ?= nan
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(or $(wildcard $(BIN)/python),python3)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
READY := $(VENV)/ready-$(VERSION)
PIP := $(BIN)/python -u -m pip --disable-pip-version-check install
# The pages, from a folder of notebooks with outputs; what it prints is shown if it fails. All are
# written anew: a page's previews show what stands on others, and know only what this run writes.
SITE = mkdir -p _build && { $(BIN)/jb build --all --config _config.yml --toc "$(CURDIR)/_toc.yml" \
	$(1) >_build/pages.log 2>&1 || { cat _build/pages.log; exit 1; }; }

# A file stays with one process, which compiles for all its tests. Files are taken in their order,
# and what takes longest comes first, so that in the end no process is left to wait for it.
TESTS = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
LONGEST := book/linearization.ipynb book/lenses.ipynb book/heavy_tails.ipynb
CHAPTERS := $(LONGEST) $(filter-out $(LONGEST),$(wildcard book/*.ipynb))

.PHONY: help book test test-browser test-faults site pdf notebooks seeds refute bench weigh costs mutants lab lock clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

book: $(READY)  ## compute every chapter here, and build the book from that
	@$(BIN)/lazyrich build book --into _build/book
	@echo "Building the pages"
	@$(call SITE,_build/book --path-output .)
	@$(BIN)/lazyrich claims _build/book
	@echo; echo "Open _build/html/index.html"

test: $(READY)  ## check all: code, formulas, chapters, and the site from the stored outputs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(TESTS)
	$(TESTS) --nbval --nbval-current-env $(CHAPTERS)
	rm -rf _build/test
	$(call SITE,book --path-output _build/test -W -n --keep-going)

test-browser: $(READY)  ## check the pages in a headless Chromium or Chrome, if there is one
	$(PIP) --quiet -e '.[browser]'
	@$(call SITE,book --path-output _build/test)
	LAZYRICH_SITE=_build/test/_build/html $(BIN)/python -m pytest -rs tests/browser

test-faults: $(READY)  ## kill what computes at random moments: is anything lost? (a quarter of an hour)
	$(BIN)/python -m pytest -n 2 tests/faults.py

site: $(READY)  ## build the book from the stored outputs, in a minute
	@$(call SITE,book --path-output .)
	@echo "Open _build/html/index.html"

pdf: $(READY)  ## the book on paper, in some minutes: _build/lazyrich.pdf (it needs a Chromium)
	$(PIP) --quiet -e '.[browser]'
	@$(call SITE,book --builder singlehtml --path-output _build/pdf)
	@echo "Printing the pages"
	@$(BIN)/python -m lazyrich.book.printing _build/pdf/_build/singlehtml/index.html _build/lazyrich.pdf
	@echo "Open _build/lazyrich.pdf"

notebooks: $(READY)  ## execute and store the chapters (CHAPTER=mechanisms: only this one)
	$(BIN)/lazyrich execute $(CHAPTER)

seeds: $(READY)  ## compute the verdicts at twenty other seeds (hours; CHAPTER= as above)
	$(BIN)/lazyrich seeds $(CHAPTER)

refute: $(READY)  ## break the formulas: do the verdicts turn? (hours; CHAPTER= as above)
	$(BIN)/lazyrich refute $(CHAPTER)

bench: $(READY)  ## time the library against others
	$(PIP) --quiet -e '.[bench]'
	$(BIN)/python benchmarks/run.py

weigh: site  ## weigh the pages, and time how soon a reader sees them (it needs a Chromium)
	$(PIP) --quiet -e '.[browser]'
	$(BIN)/python benchmarks/pages.py _build/html

costs: $(READY)  ## measure what the papers' sizes would take (an hour)
	$(BIN)/python benchmarks/costs.py

mutants: $(READY)  ## break the formulas at random: do the tests notice? (CHAPTER= as above)
	$(PIP) --quiet -e '.[mutants]'
	$(BIN)/python tests/mutants.py $(CHAPTER)

lab: $(READY)  ## open the chapters in JupyterLab
	$(BIN)/jupyter lab book

lock:  ## pin what pyproject.toml asks for (UPGRADE=--upgrade: at the newest versions)
	$(PYTHON) -m venv _build/lock
	_build/lock/bin/pip install --quiet uv
	_build/lock/bin/uv pip compile --quiet --universal --fork-strategy fewest \
		--generate-hashes --no-emit-index-url \
		--no-header $(UPGRADE) -p 3.11 --extra book --extra test --extra distributed \
		pyproject.toml -o requirements.lock

clean:  ## remove what was built; the environment stays
	rm -rf _build .hypothesis .pytest_cache .ruff_cache
	find lib tests book benchmarks -name __pycache__ -exec rm -rf {} +

# The environment: made anew for another Python, and brought up to date with the lock.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo >&2 \
		"Python 3.11 or newer is needed, and $(PYTHON) is not: install it (on Debian: apt" \
		"install python3 python3-venv), or name one, as in make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo >&2 \
		"$(PYTHON) has no venv: install it (on Debian: apt install python$(VERSION)-venv)"; exit 1; }
	@test ! -e $(VENV) -o -e $(VENV)/pyvenv.cfg || { echo >&2 \
		"$(VENV) is not an environment: name another folder, as in make VENV=.venv"; exit 1; }
	@echo "Installing requirements.lock into $(VENV) (the first time: 1.2 GB, some minutes)"
	@$(BIN)/python$(VERSION) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@set -o pipefail; $(PIP) --progress-bar off --require-hashes -r requirements.lock \
		| sed -nE 's/^ *Downloading ([^ ]+) \(([0-9.]+ [MG]B)\).*/  \1 (\2)/p'
	@$(PIP) --quiet --no-deps -e .
	@rm -f $(VENV)/ready-* && touch $@
