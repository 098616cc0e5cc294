# What people and CI run. Needs git, make, python3-venv; everything else is put into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# More than there are cores, for many tests wait for something.
WORKERS ?= 4
ARGS ?=
# What shares a browser or a server goes to one worker; else the next test goes to who has done with one.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Tests and the demo start hundreds of interpreters: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help bench-intake demo test suite test-pg parts fmt lint types contracts bench-watch soak score-demo score-recorders score-requests score-forecast bench-retention bench-verify bench-files torture lock audit clean-room dockerfile wheel clean bench-view

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.demo  ## a whole district on this machine, no camera needed
	$(BIN)/cradlewatch demo $(ARGS)

test: parts lint types contracts suite  ## everything that CI runs

suite: $(VENV)/.dev  ## the tests alone (ARGS="-k retention")
	$(PYTEST) $(or $(ARGS),-m "not alone")
	$(if $(ARGS),,$(BIN)/python -m pytest -m alone tests/agents/demo)

test-pg: $(VENV)/.dev  ## the tests on PostgreSQL alone
	$(PYTEST) -m postgres $(ARGS)

parts: $(VENV)/.dev  ## the programs that tests drive: says what is missing; installs it when run as root
	@$(BIN)/python tests/support/parts.py

fmt: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

lint: $(VENV)/.dev  ## style, spelling, unused dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry .
	$(BIN)/codespell
	$(BIN)/yamllint --strict .

types: $(VENV)/.dev  ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## the walls of the house
	PYTHONPATH=tests $(BIN)/lint-imports --no-logo

bench-view: $(VENV)/.dev  ## how often the picture diagnosis is wrong, against others (hours; ARGS="--short", "--keep DIR")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.view --list score $(ARGS)

bench-watch: $(VENV)/.dev  ## what watching costs beside FFmpeg, and how soon a lost camera is known (25 minutes; ARGS="--runs 5", "--only sub know")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.watch $(ARGS)

soak: $(VENV)/.dev  ## an hour of cameras that die, freeze, blacken and return, and the journal held against it (ARGS="--minutes 20")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.soak $(ARGS)

score-demo: $(VENV)/.dev  ## the demo ten times over, each time as planted (25 minutes; ARGS="--runs 3")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.demo $(ARGS)

score-recorders: $(VENV)/.dev  ## seeded recorders of every make, read and judged beside an auditor (ARGS="--recorders 30")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.recorders $(ARGS)

score-requests: $(VENV)/.dev  ## how often a healthy recorder of each make is asked, for each channel and hour (ARGS="--channels 1")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.requests $(ARGS)

score-forecast: $(VENV)/.dev  ## recorders whose future is known: the forecast's error in days, and false alarms (ARGS="--recorders 50")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.forecast $(ARGS)

bench-retention: $(VENV)/.dev  ## judging ninety days of 64 cameras beside one plain pass of numpy
	PYTHONPATH=tests $(BIN)/python -m benchmarks.retention $(ARGS)

bench-verify: $(VENV)/.dev  ## `collector verify` over a district with one process and with several, in turns (ARGS="--institutions 4 --runs 1")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.verify $(ARGS)

bench-files: $(VENV)/.dev  ## a tree of 829,440 recorded files scanned beside a bare walk, and killed in its first scan (ARGS="--cameras 8 --days 30 --layout one")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.files $(ARGS)

bench-intake: $(VENV)/.dev  ## reports put into the outbox and taken in by the collector, beside the bare disk and database (ARGS="--only B11 --reports 3000")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.intake $(ARGS)

torture: $(VENV)/.dev  ## kills, failing disks, damaged files, clock trouble, failing lines, orders, forgeries (two hours; ARGS="--only F6 --runs 100")
	PYTHONPATH=tests $(BIN)/python -m benchmarks.torture $(ARGS)

lock:  ## newest versions into requirements/*.txt, with hashes (needs uv)
	tests/house/lock.sh

audit: $(VENV)/.audit  ## dist/cradlewatch.cdx.json (all that is locked), and its known weaknesses (needs the network)
	PYTHONPATH=tests $(BIN)/python -m house.audit

clean-room:  ## demo and tests in a fresh Debian with a plain user (root, debootstrap, long)
	PYTHONPATH=tests $(PYTHON) -m house.clean_room $(ARGS)

dockerfile:  ## try the Dockerfile without Docker, in fresh file systems (root, debootstrap, long)
	PYTHONPATH=tests $(PYTHON) -m house.try_dockerfile $(ARGS)

wheel: $(VENV)/.demo  ## dist/cradlewatch-*.whl
	$(BIN)/python -m pip --disable-pip-version-check --quiet wheel --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## remove what the tools made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

# --- set-up: again only when a lock or pyproject.toml changes ---------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Cradlewatch needs Python 3.11 or newer; this is %d.%d. Name another: make PYTHON=/path/to/python3" % v[:2])'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: python3-venv is needed (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }

$(VENV)/.demo: requirements/all.txt requirements/build.txt pyproject.toml | $(BIN)/python
	test -e $(VENV)/.dev || $(PIP) --require-hashes -r requirements/all.txt -r requirements/build.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.demo

$(VENV)/.audit: requirements/audit.txt | $(BIN)/python
	$(PIP) --require-hashes -r requirements/audit.txt
	@touch $@
