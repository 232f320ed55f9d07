# Everything runs in its own environment, .venv, which the first target to need it builds.
#     make PYTHON=python3.12 test      another interpreter
#     make VENV=/some/folder demo      another place
#     make TORCH=default demo          the build of PyTorch that pip chooses, on Linux the one with CUDA;
#          TORCH=cpu                   the small one without CUDA, taken by itself where no NVIDIA driver is found;
#          TORCH='torch==2.13.0'       any other, as pip understands it

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
TORCH ?= auto
WORKERS ?= 2
BIN := $(VENV)/bin
INSTALL := $(BIN)/python tools/install.py --torch '$(TORCH)'

# Waiting threads spin for a moment and then sleep: spinning on, they would steal the cores from working ones.
# Nothing here needs the network once installed.
export OMP_WAIT_POLICY ?= passive
export GOMP_SPINCOUNT ?= 10000
export HF_HUB_OFFLINE ?= 1
# Another environment that happens to be active stays out of ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# The tests that carry a mark, of which `make test` runs none; pytest says 5 when there are none
define marked
@$(BIN)/python -m pytest tests -rs -m $(1) || { test $$? -eq 5 && echo 'No test carries the mark "$(1)".'; }
endef

.PHONY: help demo test check browser torture gpu lab docs execute readme dist clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## train a small model on painted scenes and show its translations
	@$(BIN)/latent_style demo

test: ## check the notebooks and the package (with CI=true in a newly built environment)
ifeq ($(CI),true)
	@rm -rf $(VENV)
endif
	@$(MAKE) check

# As many processes as WORKERS, each with one thread: two that have two each would only get in each other's way
check: $(VENV)/.dev
	@echo '== notebooks and modules agree, lines are short, imports lead downwards'
	@$(BIN)/python tools/check.py
	@echo '== the notebooks, run from top to bottom'
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/nbdev_test --n_workers $(WORKERS) --timing | tee $(VENV)/nbdev_test.log
	@grep -q '^Success\.' $(VENV)/nbdev_test.log || { echo 'nbdev_test did not end with "Success."' >&2; exit 1; }
	@echo '== the package as a whole'
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest tests -n $(WORKERS) --dist loadfile

browser: $(VENV)/.dev ## open the site and run the lessons in a real browser (needs Chromium or Chrome)
	$(call marked,browser)

torture: export TRIAL_TABLE = nbs/assets/torture.txt
torture: $(VENV)/.dev ## the long and hostile tests: killed processes, full disks, very many files
	@rm -f $(TRIAL_TABLE)
	$(call marked,torture)

gpu: $(VENV)/.dev ## the tests that need a GPU, and a table of what a training step takes there
	$(call marked,gpu)
	@$(BIN)/python bench/step_speed.py --device gpu

# Run All Cells shows what long runs have stored, and starts none
lab: $(VENV)/.dev ## open the notebooks in JupyterLab
	@mkdir -p $(VENV)/etc/ipython
	@echo "c.InteractiveShellApp.extensions = ['latent_style.kept']" > $(VENV)/etc/ipython/ipython_kernel_config.py
	@$(BIN)/jupyter lab nbs

docs: $(VENV)/.dev ## build the documentation site in _docs/ and say where it is (with Quarto if that is installed)
	@$(BIN)/python tools/docs.py

execute: $(VENV)/.dev ## run the notebooks again and store their outputs (NB='nbs/00_data.ipynb' for one)
	@$(BIN)/python tools/execute.py $(NB)
	@$(BIN)/python tools/readme.py

readme: $(VENV)/.dev ## render nbs/index.ipynb to README.md
	@$(BIN)/python tools/readme.py

dist: $(VENV)/.dev ## build wheel and source distribution in dist/
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist

clean: ## remove the environment and everything that was built; runs/ and data/ stay
	rm -rf $(VENV) _docs _proc build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name .ipynb_checkpoints -prune -exec rm -rf {} +

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)' here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3,11))' || \
	  { echo "latent_style needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) comes without its venv module. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@echo "Building $(VENV) with $$($(PYTHON) -V 2>&1), once"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: settings.ini setup.py pyproject.toml | $(VENV)/.python
	@$(INSTALL)
	@touch $@

$(VENV)/.dev: settings.ini setup.py pyproject.toml | $(VENV)/.python
	@$(INSTALL) dev
	@touch $@ $(VENV)/.installed
