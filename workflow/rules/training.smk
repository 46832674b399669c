# One rule for every phase of the schedule: what a phase starts from is in params.yaml, and DVC knows it.


rule finetune:
    input:
        lambda wildcards: stamps.needed_by(f"finetune@{wildcards.phase}"),
    output:
        touch(stamp_path("finetune@{phase}")),
    params:
        stage="finetune@{phase}",
    log:
        ".pipeline/logs/finetune@{phase}.log",
    benchmark:
        ".pipeline/benchmarks/finetune@{phase}.tsv"
    threads: CORES
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=TRAINING_GPUS,
    priority: 10
    shell:
        REPRODUCE
