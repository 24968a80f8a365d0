# The two commands are `make demo` and `make test`; both set up what they need by
# themselves, once, and work offline after that.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
STAMPS := $(VENV)/.stamps
# Ansible refuses to start without a UTF-8 locale.
export LC_ALL := C.UTF-8
export LANG := C.UTF-8
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-stop test test-all crash-campaign coverage lint bench lock locale docs clean dev

help:
	@echo "make demo      the main story, end to end, in ./$(DEMO)"
	@echo "make test      all tests but the exhaustive ones"
	@echo "make test-all  the exhaustive ones too"
	@echo "make crash-campaign  kill -9 and lost disks at every step of a promotion"
	@echo "make lint      style, types, imports, translations, generated pages"
	@echo "make bench     speed, as ratios"
	@echo "make docs      generate the reference;  make locale: update translations"
	@echo "make lock      renew the locked dependencies;  make clean"

$(STAMPS)/venv:
	@tools/make-venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: $(STAMPS)/venv requirements/demo.txt requirements/build.txt pyproject.toml
	@echo "installing otapgate and what it needs (once)"
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/demo.txt -r requirements/build.txt
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/demo requirements/dev.txt
	@echo "installing what the tests need (once)"
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation --no-index -e .
	@touch $@

# The example application's wheels, so that demo and tests run without a network later.
$(STAMPS)/wheels: $(STAMPS)/demo playbooks/tryton/requirements-7.6.txt playbooks/tryton/requirements-8.0.txt
	@$(BIN)/python -m otapgate.demo.wheels $(BIN)/python playbooks/tryton/requirements-7.6.txt playbooks/tryton/requirements-8.0.txt
	@touch $@

# What the examples that the tests deploy in the lab are made of: the calendar server's wheels,
# for the hosts' Python, and a package with a role.
RADICALE := playbooks/radicale/requirements-3.4.txt playbooks/radicale/requirements-3.5.txt
ROLES := playbooks/time/roles.txt
$(STAMPS)/applications: $(STAMPS)/demo $(RADICALE) $(ROLES)
	@$(BIN)/python -m otapgate.demo.wheels /usr/bin/python3 $(RADICALE)
	@$(BIN)/python -m otapgate.demo.wheels $(BIN)/python $(ROLES)
	@touch $@

# What the hosts of the lab have installed, and OpenSSH's imitation of a security key:
# unpacked and not installed here.
LAB_PACKAGES := openssh-server nftables iproute2 sudo python3 uidmap postgresql mariadb-server nginx-light chrony python3-apt
$(STAMPS)/lab: $(STAMPS)/demo Makefile
	@echo "fetching what the lab needs (once)"
	@tools/debian-packages $(LAB_PACKAGES) >/dev/null
	@tools/security-key >/dev/null
	@touch $@

dev: $(STAMPS)/dev

demo: $(STAMPS)/demo $(STAMPS)/wheels
	@$(BIN)/otapgate demo $(DEMO)

demo-stop: $(STAMPS)/demo
	@$(BIN)/otapgate demo $(DEMO) --stop

# As many tests at once as there are processors; PYTEST="-n0 tests/gate" runs some, one by
# one. A worker takes the tests that follow each other, which share what they build, and
# then from the end of another's.
SIDE_BY_SIDE := -n auto --dist worksteal

test: $(STAMPS)/dev $(STAMPS)/wheels $(STAMPS)/applications $(STAMPS)/lab
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not exhaustive" $(PYTEST)

test-all: $(STAMPS)/dev $(STAMPS)/wheels $(STAMPS)/applications $(STAMPS)/lab
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(PYTEST)

# CAMPAIGN="--scene promote --every 10" tries some. Disks are tried as root only.
crash-campaign: $(STAMPS)/dev
	@$(BIN)/python -m tests.campaign $(CAMPAIGN)

# Every branch of the gate and the ledger is run by a test.
coverage: $(STAMPS)/dev
	@$(BIN)/python -m pytest -q --cov=otapgate.gate --cov=otapgate.ledger --cov-branch --cov-report= tests/gate tests/ledger
	@$(BIN)/python -m coverage report --include='src/otapgate/gate/*' --fail-under=100 --skip-covered
	@$(BIN)/python -m coverage report --include='src/otapgate/ledger/*' --fail-under=100 --skip-covered

lint: $(STAMPS)/dev
	@$(BIN)/ruff check src tests tools
	@$(BIN)/ruff format --check -q src tests tools
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/catalogue.py check
	@$(BIN)/python tools/reference.py check

bench: $(STAMPS)/dev $(STAMPS)/wheels $(STAMPS)/lab
	@export XDG_STATE_HOME=$$(mktemp -d); for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

lock:
	@tools/lock

locale: $(STAMPS)/dev
	@$(BIN)/python tools/catalogue.py update

docs: $(STAMPS)/dev
	@$(BIN)/python tools/reference.py write

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache htmlcov .coverage
