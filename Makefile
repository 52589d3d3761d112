# Every target does its own set-up. Needs only git, make and Python >= 3.11.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Tests at a time; most of them wait for other processes, so a few more than cores are well used.
WORKERS ?= 3

.PHONY: help sandbox test check format lint types rooms deps bench kills torture fuzz lock clean

help:            ## what can be made
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## ?/  make \1\t/'

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another with make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

sandbox: $(READY)  ## Feishu in a box plus the notifier: open the printed address
	$(BIN)/notifier sandbox

test: $(READY)     ## the tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

format: $(READY)   ## put the code into its one layout
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: $(READY)     ## format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)    ## strict types
	$(BIN)/mypy

rooms: $(READY)    ## who may import whom
	$(BIN)/lint-imports

deps: $(READY)     ## every dependency is used, every import is declared
	$(BIN)/deptry notifier

check: lint types rooms deps test  ## all of the above; what CI runs

bench: $(READY)    ## figures, measured side by side in one run
	PYTHONPATH=tests $(BIN)/python tests/bench/burst.py
	PYTHONPATH=tests $(BIN)/python tests/bench/clicks.py
	PYTHONPATH=tests $(BIN)/python tests/bench/digest.py

kills: $(READY)    ## 200 kills between a click and the last card; half an hour
	NOTIFIER_TESTS_KILLS=200 $(BIN)/pytest tests/stories/test_withdrawal_kills.py

torture: $(READY)  ## the long tests and one table of what they counted; an hour and a quarter
	PYTHONPATH=tests $(BIN)/python tests/torture/run_all.py

fuzz: $(READY)     ## 100,000 wrong frames, events and callbacks, as many posts, and hostile cards; a quarter of an hour
	PYTHONPATH=tests $(BIN)/python tests/torture/fuzz.py

lock: $(READY)     ## pin the dependencies again, with hashes
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install --quiet uv
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -o requirements/run.txt pyproject.toml
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt --group dev -o requirements/dev.txt pyproject.toml

clean:             ## forget the virtual environment and caches
	rm -rf $(VENV) .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
