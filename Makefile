# make install | demo | demo-full | test | lint | docs | bench
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST_ARGS ?=
# DEMO_STEPS=2 runs the whole demo in seconds: nothing is learnt, every command is exercised.
DEMO_STEPS ?=
DEMO       ?= demo
DEMO_CLIPS ?= 512
DEMO_SAMPLES ?= 100
export BIN DEMO_STEPS DEMO_CLIPS DEMO_SAMPLES

.PHONY: install browser demo demo-full test lint docs bench clean
.DEFAULT_GOAL := install

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,postgres,aws]" --group dev
	touch $@

browser: install
	$(BIN)/python tests/install_browser.py

demo: install
	studies/demo.sh $(DEMO) beach

demo-full: install
	studies/demo.sh $(DEMO)-full beach golf train baby

# Three at a time on two cores: browser tests wait as long as they work.
test: browser
	$(BIN)/python -m pytest -n 3 --dist worksteal $(PYTEST_ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/cog --check docs/cli.md

docs: install
	$(BIN)/cog -r docs/cli.md
	$(BIN)/python -c "import evaluation.exporting.columns as c; print(c.data_dictionary(), end='')" > docs/data-dictionary.md

bench: install
	$(BIN)/python benchmarks/run_all.py --out performance.md

clean:
	rm -rf $(VENV) demo demo-full build dist
