# make setup   an environment in .venv, with every plugin and the tools to test it (a second time it is quick)
# make demo    animate the bundled avatar with the bundled clip, and with CLIP=yours.mp4 if given
# make test    the tests, with every annotation checked at run time
# make check   lint, types, import order, the documents, the tests, and part of them without run-time checks
# make docs    the documents as a site in out/site, with the reference of every package
# make nano    train the small model that comes with the package anew, in hours; OUT, PROCESSES, STEPS: see scripts/nano
# make clean   remove what the others made
#
# `make test check` runs the tests that both name once.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTERS := $(VENV)/.ready-test
CHECKERS := $(VENV)/.ready-check
MANIFESTS := scripts/setup pyproject.toml $(wildcard plugins/*/pyproject.toml)

WORKERS ?= logical
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist worksteal
# What runs when users run it, and what run-time checks keep from running (torch.compile): again without the checks.
PLAIN = --override-ini "addopts=--import-mode=importlib -ra --strict-markers" tests/assemblies tests/backbone \
	tests/conditioning tests/sampling tests/live tests/test_compile.py tests/test_cli.py tests/test_examples.py
DEMO := out/demo.mp4
OWN_DEMO := out/demo-own.mp4

.PHONY: setup demo nano test check lint types imports docs plain-test clean

setup: $(TESTERS)

$(READY): $(MANIFESTS)
	@sh scripts/setup
	@touch $@

$(TESTERS): $(MANIFESTS)
	@sh scripts/setup test
	@touch $(READY) $@

$(CHECKERS): $(MANIFESTS)
	@sh scripts/setup test,check,docs
	@touch $(READY) $(TESTERS) $@

demo: $(READY)
	@mkdir -p $(dir $(DEMO))
	$(BIN)/anifacediff animate examples/media/avatar.png examples/media/driving.mp4 -o $(DEMO) --compare
	@echo "The video is $(CURDIR)/$(DEMO): reference, driver, control map and result side by side."
ifdef CLIP
	$(BIN)/anifacediff animate examples/media/avatar.png "$(CLIP)" -o $(OWN_DEMO) --compare
	@echo "With your clip: $(CURDIR)/$(OWN_DEMO)."
endif

nano: $(READY)
	sh scripts/nano

test: $(TESTERS)
	$(PYTEST)

check: lint types imports docs test plain-test

lint: $(CHECKERS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(CHECKERS)
	$(BIN)/basedpyright

imports: $(CHECKERS)
	$(BIN)/lint-imports

docs: $(CHECKERS)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documents are in $(CURDIR)/out/site/index.html."

plain-test: $(TESTERS)
	$(PYTEST) $(PLAIN)

clean:
	rm -rf $(VENV) out build dist .pytest_cache .hypothesis .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
