# What one types here. Each target installs what it needs first, which costs nothing the second time.
PYTHON := .venv/bin/python
SHELL_FILES := $(wildcard tools/*.sh utils/*.sh benchmarks/*.sh egs/*/*.sh egs/*/local/*.sh tests/engines/*.sh) .ci/run
DEMO_ARGS ?=
TEST_ARGS ?=

.PHONY: help install demo test test-fast lint format clean
help:
	@echo "make demo       from nothing to two answers on real speech: does retraining below a frozen softmax help an English"
	@echo "                voice, and how many of its layers help a French one? (a quarter of an hour)"
	@echo "make test       every test that can run here;  make test-fast leaves out those above 20 seconds"
	@echo "make lint       ruff, mypy and shellcheck;     make format rewrites the Python files"
	@echo "make clean      remove caches and build folders (.venv, data and experiments stay)"

install:
	@tools/install.sh

demo: install
	egs/prompts/demo.sh $(DEMO_ARGS)

test: install
	$(PYTHON) -m pytest -q -n auto $(TEST_ARGS)

test-fast: install
	$(PYTHON) -m pytest -q -n auto -m "not slow" $(TEST_ARGS)

lint: install
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_FILES); else echo "shellcheck is not here: skipped"; fi

format: install
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +
