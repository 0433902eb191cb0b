# make train   set up .venv and train the seeds' network on the embedded digits
# make test    set up .venv and run every check: style, types, sizes, tests, doctests, README code
# make test-slow   the cases that take minutes
# make fuzz        drawn calls, networks and graphs, 10,000 of each kind and new ones every time: an hour
# make audit       the pinned packages against the public list of vulnerabilities; asks the network
# make native-test      the native library's own tests, without the one that takes 4 GiB of memory
# make native-sanitize  the same under AddressSanitizer and UBSan: minutes
# make bench   the library against every rival installed; results in benchmarks/results
# make clean   remove .venv and caches

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread for each test process: two pools of threads on the same cores only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto

WITHOUT_NATIVE := $(addprefix tests/,autograd functional kernels nn contracts surgery)

# The project's own environment must have the native kernels; a user's may do without.
NATIVE := $(wildcard native/CMakeLists.txt native/include/* native/src/*)
export EVENKEEL_NATIVE ?= require

.PHONY: train test test-slow fuzz audit native-test native-sanitize lint bench setup clean

train: setup
	$(BIN)/evenkeel train

# Then what has native kernels once more without them: what a user without a compiler gets.
test: lint
	$(PYTEST) -m "not slow"
	EVENKEEL_NATIVE=off $(PYTEST) -m "not slow" $(WITHOUT_NATIVE)

test-slow: setup
	$(PYTEST) -m slow

EXAMPLES ?= 10000
fuzz: setup
	EVENKEEL_EXAMPLES=$(EXAMPLES) $(PYTEST) tests/hardening -k fuzz

# In an environment of its own: what audits is no part of what is audited.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install -q pip-audit
	build/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# Folders of their own: the package's build empties build/native, and may leave the path of a CMake
# there that is gone.
native-test:
	cmake -S native -B build/native-test
	cmake --build build/native-test --parallel
	ctest --test-dir build/native-test -LE large --output-on-failure

native-sanitize:
	cmake -S native -B build/native-sanitize -DEVENKEEL_SANITIZE=ON
	cmake --build build/native-sanitize --parallel
	ctest --test-dir build/native-sanitize --output-on-failure

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/check_sizes.py

bench: setup
	for suite in ops nets traffic; do $(BIN)/evenkeel bench $$suite --out benchmarks/results || exit; done

setup: $(VENV)/ready

# torch first and alone: its version is pinned, so that nothing else chooses another build.
$(VENV)/ready: pyproject.toml constraints.txt hatch_build.py $(NATIVE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "evenkeel needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || true): try make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
