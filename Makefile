# make          what there is
# make demo     draw people, ingest them, find what is wrong, look at the result
# make test     the tests;  make test-long: those with kills, jobs and spies;  make check: format, lint, types, layers

PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(shell sha256sum pyproject.toml | cut -c1-16)
HERE   := import omokage, sys; sys.exit(not omokage.__file__.startswith(sys.argv[1]))
DEMO   ?= demo

.PHONY: help install demo test test-fast test-long check format bench

help:
	@sed -n 's/^# //p' Makefile

# One environment per pyproject: it is installed again only when that file changes.
$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not here; name yours: make PYTHON=python3 …"; exit 1; }
	@echo "Installing into $(VENV): 7 GB, some minutes, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip 'setuptools>=77'
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@rm -f $(VENV)/.installed-*; touch $@

# An environment that is kept outside the clone may point at another one, or at one that is gone.
install: $(STAMP)
	@$(BIN)/python -P -c '$(HERE)' '$(CURDIR)/' 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m omokage.system

demo: install
	@$(BIN)/omokage weights fetch > $(VENV)/weights.log
	@$(BIN)/omokage draw $(DEMO) --people 24 --pictures 8
	@$(BIN)/omokage ingest $(DEMO)/pictures $(DEMO)/dataset
	@$(BIN)/omokage sheet $(DEMO)/dataset $(DEMO)/sheet.html
	@$(BIN)/omokage find $(DEMO)/dataset
	@$(BIN)/omokage decide $(DEMO)/dataset --same-face --outliers 5 --relabel --merge-people --dry-run
	@$(BIN)/omokage report $(DEMO)/dataset $(DEMO)/card.html

test: test-fast
	$(BIN)/python -m pytest -m "ray and not long" --durations=10

test-long: install
	$(BIN)/python -m pytest -m long --durations=10

test-fast: install
	$(BIN)/python -m pytest -n 2 -m "not ray and not long" --durations=10

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install
	$(BIN)/python -m tests.bench.ingest
	$(BIN)/python -m tests.bench.find
	$(BIN)/python -m tests.bench.train
	$(BIN)/python -m tests.bench.partial
	$(BIN)/python -m tests.bench.evaluate
	$(BIN)/python -m tests.bench.curate
	$(BIN)/python -m tests.bench.review
	$(BIN)/python -m tests.bench.apply
