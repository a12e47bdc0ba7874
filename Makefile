# Set up finevar and run it; `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
CONFIG ?= config/config.yaml
CORES ?= all
PROFILE ?= workflow/profiles/local
ARGS ?=
TO ?= csv
GOAL ?=
BY ?=
# These go to the shell as variables, never as text: they may hold blanks, quotes and whatever a shell acts upon.
override CONFIG := $(value CONFIG)
override TO := $(value TO)
override GOAL := $(value GOAL)
override BY := $(value BY)
export CONFIG TO GOAL BY

ifneq (1,$(words [$(CURDIR)]))
$(error Snakemake cannot start jobs from a folder with a space in its path: move $(CURDIR))
endif

# Images of containers often set it, and each process, of which a study starts hundreds, then compiles what it imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
STAMP := $(VENV)/.complete
# Jobs take the first python in PATH, so that is the environment's. Tools are called as its modules rather than by their
# launchers, which hold an absolute path and break when the clone moves.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
RUN := $(IN_VENV) python -m
LAUNCH := PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.launch
OPTIONS = --cores $(CORES) --profile $(PROFILE) --configfile "$$CONFIG"
STUDY := $(VENV)/bin/python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["study"])' "$$CONFIG"

.PHONY: help env new study confirm augment status dry-run data-check design-card interim paper model export provenance doctor test calibrate bench faults lint

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20
	@printf '\n  variables: CONFIG=%s CORES=%s PYTHON=%s ARGS="more options"\n' "$$CONFIG" '$(CORES)' '$(PYTHON)'

study: $(STAMP) ## run the study of CONFIG, or what is left of it; print the answer and where the report is
	@$(LAUNCH) $(OPTIONS) $(ARGS)

confirm: $(STAMP) ## train the recommended setting, its rivals and the baseline's own with new seeds; the report leads with it
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- all
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.confirm --configfile "$$CONFIG"
	@$(LAUNCH) $(OPTIONS) $(ARGS)

augment: $(STAMP) ## add runs that settle a question: make augment GOAL="batch_size:loss 0.01" (without: the report's) BY=seeds or BY=points
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.augment --configfile "$$CONFIG" --goal "$$GOAL" --by "$$BY"

dry-run: $(STAMP) ## print what `make study` would run: runs, jobs, minutes, gigabytes; ARGS=--logger-finevar-full lists every job
	@$(LAUNCH) $(OPTIONS) --dry-run $(ARGS)

new: $(STAMP) ## write a study of your own file: make new ARGS="--data FILE --text COLUMN --label COLUMN" (of pairs --text ONE,OTHER), or it asks
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.new $(ARGS)

status: $(STAMP) ## print how far the study is, how long it will take, and the best settings so far
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.status --configfile "$$CONFIG" $(ARGS)

data-check: $(STAMP) ## before the runs, in seconds: what the model sees of the data, and what it cannot read
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- check_data
	@echo "Data page: results/$$($(STUDY))/data.html"

design-card: $(STAMP) ## before the runs: what the design can find, and its time, disk and memory
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- design_card
	@echo "Design card: results/$$($(STUDY))/design_card.html"

interim: $(STAMP) ## write a report of the runs that are done so far
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- interim
	@echo "Interim report: results/$$($(STUDY))/interim/report.html"

paper: $(STAMP) ## write the paper kit of a finished study: LaTeX, PDF figures, BibTeX
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- write_paper
	@echo "Paper kit: results/$$($(STUDY))/paper/"

model: $(STAMP) ## train the recommended model once more, to keep it with its model card
	@$(LAUNCH) $(OPTIONS) $(ARGS) -- export_model
	@echo "Model: results/$$($(STUDY))/model/"

export: $(STAMP) ## write a study's runs for other programs: TO=csv, with a data dictionary, or TO=mlflow
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.export_runs --configfile "$$CONFIG" --to "$$TO"

provenance: $(STAMP) ## write Snakemake's own report of a finished study: provenance, run times, all results in one page
	@$(RUN) snakemake $(OPTIONS) --quiet all --report "results/$$($(STUDY))/snakemake-report.html" $(ARGS)
	@echo "Snakemake's report: results/$$($(STUDY))/snakemake-report.html"

# Three processes on two cores: those with a cluster of their own mostly wait.
test: $(STAMP) ## run the tests that need no network
	@$(RUN) pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

calibrate: $(STAMP) ## simulate studies of known truth: how often the analysis is wrong (hours); ARGS="verdicts --studies 100" picks
	@$(RUN) tests.calibration $(ARGS)

bench: $(STAMP) ## time a step, the study beside its rivals, 10,000 runs; ARGS="step scale" picks (a quarter of an hour)
	@$(RUN) tests.benchmarks $(ARGS)

doctor: $(STAMP) ## look at this machine and its SLURM, and print the profile lines to use; ARGS=--submit tries each partition
	@PYTHONPATH="$(CURDIR)/scripts" $(RUN) finevar.commands.doctor $(ARGS)

faults: $(STAMP) ## kill, damage and edit small studies, then compare (an hour); ARGS="--only edits --short" picks
	@$(RUN) tests.faults $(ARGS)

lint: $(STAMP) ## check style, format and rules
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@PYTHONPATH="$(CURDIR)/scripts" $(IN_VENV) python -c 'import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())'
	@$(RUN) snakefmt --check Snakefile workflow/rules
	@$(RUN) snakemake --lint
	@$(RUN) snakemake --lint --configfile config/studies/found_models.yaml
	@$(RUN) snakemake --lint --configfile config/studies/own_runs.yaml

env: $(STAMP) ## set up .venv from requirements.lock; the other targets do so by themselves

# The stamp is written last, so that an installation cut short is taken up again and a finished one is left alone.
$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "finevar needs Python 3.11 or newer, but PYTHON=$(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(VENV)/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "$(PYTHON) -m venv failed. On Debian and Ubuntu its parts are packaged apart:" >&2; \
	  echo "  apt-get install python3-venv        (as root), then call make again" >&2; exit 1; }
	@echo "Installing what requirements.lock names into $(VENV), once; it takes a minute or more."
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements.lock
	@touch $@
