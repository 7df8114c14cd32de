# make demo: see real scans denoised. make test: run all tests. Both set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test lint bench clean

demo: .venv/ready
	$(BIN)/medgen demo -o medgen_demo

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e ".[benchmark]"
	$(BIN)/python -m tests.benchmarks.denoise --data $(DATA)

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[test]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info medgen_demo runs
