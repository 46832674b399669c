# The hybrid schedule on one screen. WHAT a stage runs, reads and writes is in dvc.yaml; the rules say HOW and WHERE.
#
#   prepare_corpus -> train_vocabulary -> extract_features -> finetune@<phase>, each from the one it starts from
#   -> evaluate_speech of the base and of every phase -> report;  export_model of the last phase
#   gate_phase@<phase>, where params set limits: its result is handed on, or the one before it, or the schedule stops
#
#   snakemake --cores 8 all        run what is stale         snakemake -n all              say what would run
#   snakemake compare              strategies side by side, from compare/dvc.yaml: docs/strategies.md
#   snakemake --dag | dot -T svg   draw the graph            snakemake --report run.html   describe the last run
import os
import sys

sys.path.insert(0, workflow.basedir)
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]

from stages.core.errors import UserError, printable
from stages.core.params.strict import read_params
from stages.undisturbed import COMPARISON
from workflow.cores import has_gpu, training_gpus, usable_cores
from workflow.locks import JOBS_LOCK
from workflow.stamps import FIXED_TIME, Stamps, asked_pipelines, stamp_path

try:
    stamps = Stamps(workflow.is_main_process, asked_pipelines(sys.argv[1:]))
except UserError as error:
    raise WorkflowError(printable(error)) from None

# Rules that run side by side share the machine's own cores, whatever --cores says; Snakemake exports each rule's
# threads as OMP_NUM_THREADS, MKL_NUM_THREADS and OPENBLAS_NUM_THREADS. A cluster's scheduler does its own counting.
CORES = usable_cores()
TRAINING_GPUS = training_gpus(read_params())
if workflow.resource_settings.nodes is None:
    workflow.register_resource("cpu_slots", CORES)

# A signal that asks a training to save and stop must not take away the pipe that it still speaks into.
TEE = "(trap '' INT TERM; exec tee {log})"
# Snakemake fails a job whose stamp is older than those it needs, as where two machines' clocks differ: DVC alone decides.
AGE = f'for stamp in {{input:q}}; do touch -d @{FIXED_TIME} "$stamp"; done'
# DVC looks whether the stage is stale, takes it from the run cache if it can, and runs it if it must; again where a
# kill of another DVC cut its list of locks short. Who holds the lock is waited for by the next Snakemake.
ASK = f"dvc --wait-for-lock repro {stamps.pull_option} -s {{params.stage:q}}"
REPRODUCE = f"exec 9<>{JOBS_LOCK}; flock -s 9; ( {ASK} || ( python -m workflow.locks && {ASK} ) ) 2>&1 | {TEE} && {AGE}"


include: "workflow/rules/corpus.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/delivery.smk"
include: "workflow/rules/comparison.smk"


rule all:
    default_target: True
    input:
        stamps.all(),


rule compare:
    input:
        stamps.all(COMPARISON),
