# Everything a newcomer needs: `make run` and `make test`. Both set themselves up.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 1
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test check prove bench certify soak demo clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## start the site on http://127.0.0.1:8000 and print a link that signs you in
	$(BIN)/kindling up

test: $(VENV)/.installed-dev ## run every test; one that needs Docker or a browser says why it is skipped
	$(BIN)/python -m pytest -n 4

check: $(VENV)/.installed-dev ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

prove: $(VENV)/.installed-dev ## try on a real cluster what has changed in the labs since its proof, and keep the new one
	$(BIN)/kindling prove $(LAB) --jobs $(JOBS)

bench: $(VENV)/.installed-dev ## speed and memory, as ratios in one run
	$(BIN)/python -m bench

certify: $(VENV)/.installed-dev ## how often the graders are wrong: hundreds of changes of every lab, then docs/graders.md
	$(BIN)/kindling certify --write
	$(BIN)/python -m labs.certify > docs/graders.md

soak: $(VENV)/.installed-dev ## a class of a hundred with hostile members, kill -9 and 2,000 labs: twenty minutes
	$(BIN)/python -m soak $(PARTS)

demo: $(VENV)/.installed ## a class of five goes through all four labs; then the report
	$(BIN)/python -m labs.demo

clean: ## remove the environment and caches (never what learners did)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.installed: pyproject.toml scripts/bootstrap.py
	$(PYTHON) scripts/bootstrap.py $(VENV)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml scripts/bootstrap.py
	$(PYTHON) scripts/bootstrap.py $(VENV) dev
	@touch $@ $(VENV)/.installed
