# make demo: see real scans denoised. make test: run all tests. Both set up .venv by themselves.
# make tools: Debian's dciodvfy, Chromium and Orthanc, without which the tests against them are skipped (in CI: fail).
# make slicer: 3D Slicer's own C++ in .slicer-venv (1 GB, about a minute), for the tests of the Slicer modules.
# make suggest: the sentence encoder of medgen[suggest] in .venv (320 MB, half a minute), for the tests of suggestions.
PYTHON ?= python3
BIN := .venv/bin
AS_ROOT := $(shell test "$$(id -u)" = 0 || echo sudo)
# One more than there are cores: tests wait for processes that they start.
WORKERS := $(shell n=$$(nproc 2>/dev/null) && expr $$n + 1 || echo auto)
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test tools slicer suggest lint bench clean

demo: .venv/ready
	$(BIN)/medgen demo -o medgen_demo

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=25

tools:
	@if ! command -v apt-get >/dev/null; then echo "no apt-get here: dicom3tools, chromium, orthanc and Mesa are not installed"; \
	elif ! command -v dciodvfy >/dev/null || ! command -v chromium >/dev/null || ! test -x /usr/sbin/Orthanc \
	|| ! /sbin/ldconfig -p | grep -q libEGL_mesa; then $(AS_ROOT) sh -eu tests/install_tools.sh; fi

slicer: .slicer-venv/ready

suggest: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e ".[suggest]"

lint: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e ".[dev]"
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/pip install -q -c constraints.txt -e ".[benchmark]"
	$(BIN)/python -m tests.benchmarks.denoise --data $(DATA)

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e ".[test,dicom]"
	touch $@

.slicer-venv/ready: tests/slicer/requirements.txt
	test -x .slicer-venv/bin/python || $(PYTHON) -m venv .slicer-venv
	.slicer-venv/bin/pip install -q -r tests/slicer/requirements.txt
	touch $@

clean:
	rm -rf .venv .slicer-venv build dist *.egg-info medgen_demo runs
