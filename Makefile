.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
LINKS := .venv/links
INSTALLED := .venv/.installed-demo
INSTALLED_TEST := .venv/.installed-test
INSTALLED_DOCS := .venv/.installed-docs
# A worker a core; four need 6 GB, and more gain little. Who is done takes from the others.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	@[ -f $(INSTALLED_TEST) ] && [ $(INSTALLED_TEST) -nt setup.cfg ] || $(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(INSTALLED_TEST): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	@touch $@ $(INSTALLED)

demo: $(INSTALLED)  ## measure, tabulate and draw on the embedded miniature
	$(BIN)/camx demo

# One import name: what is installed as camx.cli lies in cli/. The type checker and editors see the package by links.
$(LINKS)/camx: | $(BIN)/python
	@mkdir -p $@
	@ln -sfn $(CURDIR)/camx/__init__.py $(CURDIR)/camx/__main__.py $@
	@for folder in cli camcore evaluators configs; do ln -sfn $(CURDIR)/$$folder $@/$$folder; done

check: $(INSTALLED_TEST) $(LINKS)/camx  ## linter and type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(LINKS) && ../bin/mypy --config-file ../../pyproject.toml

test: check  ## linter, type check and all tests
	$(PYTEST)

fast: check  ## linter, type check and the fast tests
	$(PYTEST) -m 'not slow'

torture: $(INSTALLED_TEST)  ## kill, starve and damage camx for a quarter of an hour; nothing may be lost
	OMP_NUM_THREADS=1 $(BIN)/python scripts/torture.py

$(INSTALLED_DOCS): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@ $(INSTALLED)

site: $(INSTALLED_DOCS)  ## the documentation as a site, in site/; a broken link fails
	$(BIN)/python -m mkdocs build --quiet --strict

.PHONY: help demo check test fast torture site
