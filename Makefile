# make detect  - install, and find the fruit in the sample picture
# make test    - install, and run the linter and all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install detect test lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

detect: install
	$(BIN)/python tools/detect.py data/sample/fruit.jpg --output out

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out .pytest_cache .ruff_cache
