# make detect    - install, and find the fruit in the sample picture
# make test      - install, and run the linter, the type checker and all tests
# make coverage  - all tests, which take half as long again, and the lines that they run
# make test-all  - the fast tests on every Python from 3.10 to 3.13 that is installed
# make package   - build wheel and sdist, install them into an empty environment, use them once
# make gpu-check - all tests and figures that need a GPU, without installing anything; needs the data sets
# TORCH_INDEX=URL takes torch and torchvision from another package index, such as that of the CPU builds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes of the tests; each needs about 2.5 GB of memory.
PROCESSES ?= 2
# The public face is checked strictly.
FACE := sppdet/__init__.py sppdet/detector.py sppdet/detections sppdet/inputs sppdet/settings.py sppdet/boxes.py \
	sppdet/images.py sppdet/model_file.py sppdet/errors.py sppdet/heads sppdet/features sppdet/training sppdet/trunks \
	sppdet/proposals/__init__.py sppdet/evaluation/evaluate.py

.PHONY: install detect test coverage test-all package gpu-check types lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
ifdef TORCH_INDEX
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --index-url $(TORCH_INDEX) torch torchvision
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

detect: install
	$(BIN)/python tools/detect.py data/sample/fruit.jpg --output out

test: install types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

coverage: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile \
		--cov --cov-report=term:skip-covered --cov-fail-under=92

types: install
	$(BIN)/mypy
	$(BIN)/mypy --strict --follow-imports=silent $(FACE)

test-all:
	bash tests/packaging/every_python.sh

package: install
	bash tests/packaging/build_and_use.sh $(BIN)/python

gpu-check:
	mkdir -p out
	$(PYTHON) benchmarks/gpu_check.py --output out/gpu.json

lint: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) out dist .coverage .mypy_cache .pytest_cache .ruff_cache
