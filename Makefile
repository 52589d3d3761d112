# Every target installs what it needs. Requires git, make and Python >= 3.11.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# The same with the packages that the service needs, and no others.
RUN_READY := $(VENV)/.run-ready
RELEASE := .cache/release
RELEASE_READY := $(RELEASE)/.ready
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OFFLINE = { echo "The packages could not be installed; the reason is above. The first run needs the network, once: later runs do not." >&2; exit 1; }
# Port of the sandbox's page, such as make sandbox PORT=9000. 0 for any free port.
PORT   ?=
# Parallel test processes. Most tests wait for other processes, so this may exceed the number of cores.
WORKERS ?= 4

.PHONY: help sandbox test check format lint types rooms rules calls pictures deps bench kills torture fuzz release audit lock vchart clean

help:            ## list the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## ?/  make \1\t/'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Choose another one with make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)

$(READY): requirements/dev.txt pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes -r requirements/dev.txt || $(OFFLINE)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(READY) $(RUN_READY)

# The build packages are removed again: what runs has the run-time packages alone.
$(RUN_READY): requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing the packages into $(VENV) (once, about a minute) ..."
	@$(PIP) --require-hashes -r requirements/run.txt || $(OFFLINE)
	@$(PIP) --require-hashes --target $(VENV)/build -r requirements/build.txt || $(OFFLINE)
	@PYTHONPATH=$(VENV)/build $(PIP) --no-deps --no-build-isolation --editable .
	@rm -rf $(VENV)/build
	@touch $(RUN_READY)

sandbox: $(RUN_READY)  ## start the sandbox and the notifier; PORT=9000 chooses the port
	@$(BIN)/notifier sandbox $(if $(PORT),--port $(PORT))

test: $(READY)     ## run the tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(WORKERS) --dist worksteal

format: $(READY)   ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: $(READY)     ## check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)    ## check types
	$(BIN)/mypy

rooms: $(READY)    ## check the import rules
	$(BIN)/lint-imports

rules: $(READY)  ## write docs/card-rules.md from the table of card rules
	$(BIN)/python -m notifier.cards.rules.page docs/card-rules.md

calls: $(READY)  ## write the list of calls in docs/sandbox.md from the code
	$(BIN)/python -m notifier.sandbox.control.calls_page docs/sandbox.md

pictures: $(READY) ## draw the cards of docs/templates.md and the sandbox of the READMEs with Chromium
	$(BIN)/python tests/support/card_pictures.py
	PYTHONPATH=tests $(BIN)/python tests/support/sandbox_pictures.py

deps: $(READY)     ## check that each dependency is used and each import declared
	$(BIN)/deptry notifier

check: lint types rooms deps test  ## all checks above; CI runs this

bench: $(READY)    ## measure each figure against its pair (15 minutes at most); KEEP=1 keeps the run for comparison
	PYTHONPATH=tests $(BIN)/python tests/bench/all.py $(if $(KEEP),--keep)

kills: $(READY)    ## 200 kills between a click and the last card (30 minutes)
	NOTIFIER_TESTS_KILLS=200 $(BIN)/pytest tests/stories/test_withdrawal_kills.py

torture: $(READY)  ## all long tests and a table of counters (90 minutes)
	PYTHONPATH=tests $(BIN)/python tests/torture/run_all.py

fuzz: $(READY)     ## 100,000 wrong frames and requests, and hostile cards (15 minutes)
	PYTHONPATH=tests $(BIN)/python tests/torture/fuzz.py

# The packages of a release have an environment of their own, so that the checks install no more than they need.
$(RELEASE_READY): requirements/release.txt
	@$(PYTHON) -m venv --clear $(RELEASE)
	@$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/release.txt || $(OFFLINE)
	@touch $(RELEASE_READY)

release: $(RELEASE_READY)  ## build and check sdist, wheel and SBOM in dist/
	@PYTHONPATH=tests $(RELEASE)/bin/python tests/release/main.py

audit: $(RELEASE_READY)  ## look for known vulnerabilities of the run-time packages; needs the network
	@PYTHONPATH=tests $(RELEASE)/bin/python tests/release/audit.py

lock: $(READY)     ## update the pinned dependencies, with hashes
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install --quiet uv
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -o requirements/run.txt pyproject.toml
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/run.txt --group dev -o requirements/dev.txt pyproject.toml
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/dev.txt --group build -o requirements/build.txt
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements/dev.txt --group release -o requirements/release.txt
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade -o tests/outside/requirements.txt tests/outside/requirements.in

vchart:            ## write the chart library of the pages again, at the pinned version; needs npm and its registry
	@PYTHONPATH=tests $(PYTHON) tests/release/vchart.py

clean:             ## delete the virtual environment and caches
	rm -rf $(VENV) .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
