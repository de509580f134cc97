# Everything that is done here by hand, as a target. `make` alone lists them.
# Needs GNU make and Python 3.11 or newer; the rest goes into .venv from the package registry that pip uses.

PYTHON ?= python3
VENV ?= .venv
# TORCH=cpu or TORCH=gpu; without it, gpu where an NVIDIA driver is present.
TORCH ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
# Debian's packages for the tests that carry the marker `system`.
SYSTEM_PACKAGES := libcairo2 fonts-noto-cjk chromium
# npm fetches axe-core for them; a newer one than Debian's will do.
SYSTEM_PACKAGES += $(if $(shell command -v npm 2>/dev/null),,npm)

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
RUN := $(BIN)/python
INSTALLED := $(VENV)/installed-$(TORCH)
CONSTRAINTS := $(if $(filter gpu,$(TORCH)),,--constraint constraints-cpu.txt)
CHECKED := src tests demo benchmarks main.py repair_optimized.py

# Idle OpenMP threads that spin take the processor from those that work.
export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-system test-fast lint format gpu-check sweep startup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(INSTALLED) ## make the environment in .venv (TORCH=cpu or gpu)

demo: $(INSTALLED) ## mark a few free photographs, repair them, show before and after
	@$(RUN) demo/make_demo.py

test: lint ## lint, then the whole test suite with coverage
	@$(RUN) -m pytest --cov=cleanplate --cov-report=term:skip-covered

test-fast: $(INSTALLED) ## the test suite alone, without lint and coverage
	@$(RUN) -m pytest -q

test-system: $(INSTALLED) system-packages ## the tests that need Debian packages, which it installs
	@$(RUN) -m pytest -m system

lint: $(INSTALLED) ## style, format, types, layers
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## put the source into the one format
	@$(BIN)/ruff check --fix $(CHECKED)
	@$(BIN)/ruff format $(CHECKED)

gpu-check: $(INSTALLED) ## the tests that need an NVIDIA card; prints a table
	@$(RUN) -m pytest -q -m gpu tests/gpu

sweep: $(INSTALLED) ## fail every single allocation of a run on the virtual accelerator (minutes)
	@$(RUN) -m pytest -m sweep -o faulthandler_timeout=0

startup: $(INSTALLED) ## how long `cleanplate --help` takes
	@$(RUN) benchmarks/startup.py

clean: ## remove the environment, caches and the demo's pictures
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache \
		.coverage .coverage.* coverage.xml demo/input demo/output demo/before-after.jpg
	find src tests demo benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints-cpu.txt
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
		'cleanplate needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=python3.12' % v[:2])"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --editable '.[dev]' $(CONSTRAINTS)
	@touch $@

.PHONY: system-packages
system-packages: $(INSTALLED)
	@missing=; for name in $(SYSTEM_PACKAGES); do dpkg -s $$name >/dev/null 2>&1 || missing="$$missing $$name"; done; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "install what Debian calls$$missing" >&2; exit 1; }; \
	as=; [ "$$(id -u)" = 0 ] || as="sudo -n"; \
	$$as true 2>/dev/null || { echo "as root: apt-get install$$missing" >&2; exit 1; }; \
	$$as apt-get -qq update && \
	$$as env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$missing >/dev/null
	@$(RUN) -m pip install --quiet --editable '.[dev,train]' $(CONSTRAINTS)
