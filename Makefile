# make help lists the targets. Each makes the environment in .venv first; only git, make and Python >= 3.11 are needed.

# Optional variables.
PROFILE ?=      # quick (default), laptop or paper
ONLY ?=         # a pattern: only the notebooks it matches
JOBS ?=         # worker processes (default: the number of cores)
SCHEDULER ?=    # address of a Dask scheduler to run on
DATASETS ?=     # data sets to fetch (default: those of the laptop profile)
UPGRADE ?=      # 1: make lock takes newer versions
TORCH_INDEX ?=  # where torch comes from, e.g. https://download.pytorch.org/whl/cpu for a build without CUDA
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
ifneq ($(wildcard ../shared/data),)
export AUGURY_DATA_MIRROR ?= $(abspath ../shared/data)
endif
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH

BIN := .venv/bin
LOCK := requirements/requirements.lock
SOURCES := requirements/requirements.in requirements/dev.in requirements/peers.in
STAND_IN := requirements/opencv-python
# The lock only constrains: given as requirements it would force the CUDA libraries on a torch that has no use for them.
# Every pin's hash is checked; pip would otherwise also ask for a hash of this checkout.
PACKAGES = --constraint $(LOCK) ./$(STAND_IN)
TEMPORARY := $(CURDIR)/build/notebooks
flag = $(if $(strip $($(1))),--$(2) "$(strip $($(1)))")

.DEFAULT_GOAL := help
.PHONY: help env figures test data lab report bench lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' Makefile | expand -t 10
	@sed -n 's/^\([A-Z_]*\) ?= *# /\1=\t/p' Makefile | expand -t 14

env: .venv/.made  ## make the environment in .venv

# uv installs what pip would, ten times faster; torch comes by pip alone, which also finds the builds that pip's own configuration offers.
.venv/.made: $(LOCK) $(SOURCES) $(STAND_IN)/pyproject.toml pyproject.toml
	@$(or $(PYTHON),false) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
		|| { echo "augury needs Python >= 3.11; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=26.2" uv
	$(BIN)/python -m pip install --quiet --no-deps $(if $(strip $(TORCH_INDEX)),--index-url $(TORCH_INDEX)) $$(grep -E '^(torch|torchvision)==' requirements/requirements.in)
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(PACKAGES) --editable ".[dev]" \
		|| $(BIN)/python -m pip install --quiet --no-require-hashes $(PACKAGES) --editable ".[dev]"
	@touch $@

# By uv alone, which alone can override what a peer declares.
.venv/.peers: .venv/.made
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(PACKAGES) --editable ".[dev,peers]"
	@touch $@

figures: env  ## run the notebooks: figures, tables, verdicts [PROFILE= ONLY= JOBS= SCHEDULER=]
	$(BIN)/augury run $(call flag,PROFILE,profile) $(call flag,ONLY,only) $(call flag,JOBS,jobs) $(call flag,SCHEDULER,scheduler)

test: env  ## the quality gate: format, lint, types, floors, unit tests, notebooks
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile tests
	rm -rf $(TEMPORARY)
	AUGURY_CACHE=$(TEMPORARY)/cache AUGURY_FIGURES=$(TEMPORARY)/figures AUGURY_JOBS=1 \
		$(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks

data: env  ## fetch the data sets [DATASETS="mnist cifar-10"]
	$(BIN)/augury data $(DATASETS)

lab: env  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

report: env  ## write figures/REPORT.md from the recorded results
	$(BIN)/augury report

bench: .venv/.peers  ## ours beside its peers, with the ratios
	$(BIN)/pytest -q -s tests/bench

lock: env  ## resolve the direct dependencies again [UPGRADE=1]
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate $(if $(strip $(UPGRADE)),--upgrade) \
		--no-emit-package opencv-python --custom-compile-command "make lock" $(SOURCES) --output-file $(LOCK)

clean:  ## remove the environment and what was built; data and computed cells stay
	rm -rf .venv build figures/quick .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
