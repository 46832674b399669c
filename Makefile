# What a user types. Needs Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
CORES ?= 8
OUT ?= speech.wav
HOURS ?= 30
MODEL ?= models:/amharic-indextts2/latest

ifneq ($(origin NAME),command line)
override NAME :=
endif

# What the user says reaches the commands by their environment, as it was typed: neither make nor a shell reads its signs.
SAID := PYTHON CORES TEXT PROMPT OUT HOURS FLAGS MODEL NAME
$(foreach name,$(SAID),$(eval override export $(name) := $$(value $(name))))

export SYSTEM_PATH := $(value PATH)
READY := .venv/.complete
TOOLS := .venv/.tools
MADE_IN := $(shell sed -n 's/^in //p' $(READY) 2> /dev/null)
export PATH := $(CURDIR)/.venv/bin:$(value PATH)
export MLFLOW_DISABLE_TELEMETRY := true
.PHONY: run setup test interop lint audit licences ui speak demo serve plan compare bench verify faults \
	slurm-check stages base preset graph clean
.DEFAULT_GOAL := run

ifneq ($(MADE_IN),)
ifneq ($(MADE_IN),$(realpath .venv))
$(error .venv was made as $(MADE_IN), which its commands name: rm -rf .venv, then make setup)
endif
endif

run: $(READY)  ## set up if needed, run what is stale, show the results
	@python -m stages check
	@snakemake --cores="$$CORES" all
	@python -m workflow.summary

setup: $(READY)  ## make .venv

$(READY): pyproject.toml constraints.txt workflow/setup.py
	@PATH="$$SYSTEM_PATH"; command -v "$$PYTHON" > /dev/null || \
	{ echo "setup: no $$PYTHON here; install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3"; exit 1; }
	@PATH="$$SYSTEM_PATH" "$$PYTHON" workflow/setup.py

$(TOOLS): $(READY)
	@python workflow/setup.py --extra dev
	@touch $@

test: $(TOOLS)  ## every test
	@python -m pytest

interop: $(TOOLS)  ## add upstream's package to .venv, then compare the model with it
	@python workflow/setup.py --interop
	@python -m pytest -m interop

slurm-check: $(TOOLS)  ## as root on Debian: a schedule through a Slurm of this machine, one training preempted
	@python workflow/setup.py --extra cluster
	@command -v slurmctld > /dev/null || { apt-get update -qq && apt-get install -y -qq slurm-wlm munge; }
	@python -m pytest -s -m slurm tests/slurm

lint: $(TOOLS)  ## ruff, mypy, import laws, deps of dvc.yaml, params
	@ruff check .
	@mypy
	@python -m pytest -q tests/contract

audit: $(READY)  ## known vulnerabilities of the pins, asked of osv.dev; says so where it cannot be asked
	@python -m workflow.audit

licences: $(TOOLS)  ## docs/licences.md from what the installed packages say
	@python -m workflow.licences

ui: $(READY)  ## MLflow's pages on http://127.0.0.1:5000
	@echo 'The runs: http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning'
	@mlflow ui --host 127.0.0.1 --port 5000 --workers 1 --backend-store-uri sqlite:///mlflow.db

speak: $(READY)  ## say TEXT='...' with the exported model; PROMPT=voice.wav and OUT=speech.wav may be named too
	@python -m stages.evaluate_speech.speak --model data/export --text="$$TEXT" --out="$$OUT" \
	$${PROMPT:+--prompt="$$PROMPT"}

demo: $(READY)  ## a page to type Amharic and listen, on http://127.0.0.1:7860
	@python -m demo

serve: $(READY)  ## MODEL=models:/amharic-indextts2/latest, of MLflow's registry, behind http://127.0.0.1:5001
	@MLFLOW_TRACKING_URI=sqlite:///mlflow.db mlflow models serve --model-uri="$$MODEL" \
	--env-manager local --host 127.0.0.1 --port 5001

plan: $(READY)  ## what training on HOURS=30 hours of speech will need; FLAGS='--gpu-memory 24 --price 2' for a GPU
	@printf '%s\n' "$$FLAGS" | xargs python -m stages.finetune.plan --hours="$$HOURS"

compare: $(READY)  ## LoRA, full and hybrid side by side at equal tokens: docs/strategies.md
	@snakemake --cores="$$CORES" compare

verify: $(READY)  ## read all of DVC's cache, take out what is damaged
	@python -m workflow.cache

faults: $(TOOLS)  ## kills, edits, damage: the table of docs/reliability.md; an hour
	@python -m pytest -m faults --full

bench: $(READY)  ## speed and memory of training, reading and text; writes benchmarks/results
	@python -m benchmarks

stages: $(READY)  ## seconds and memory of each stage's last run
	@python -m workflow.summary --stages

base: $(READY)  ## train the miniature base anew and compare it with the shipped one
	@python -m stages.build_base

preset: $(READY)  ## put presets/NAME.yaml, or an overlay file NAME, into params.yaml
	@python -m workflow.preset $${NAME:+"$$NAME"}

graph: $(READY)  ## the schedule's graph, for graphviz: make graph | dot -T svg
	@snakemake --dag

clean:  ## remove logs, stamps and tool caches; results, DVC's cache and the locks of what still runs stay
	@for folder in .pipeline .snakemake; do [ ! -d $$folder ] || \
	find $$folder -depth \( ! -type d ! -name '*.lock' -o -type d -empty \) -delete; done
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
