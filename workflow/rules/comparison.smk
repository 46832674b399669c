# Strategies side by side at equal tokens: runs in one thread each, as many at once as there are cores. A GPU is given
# to one run at a time.
RUN_THREADS = CORES if has_gpu() else 1
REPRODUCE_AND_KEEP = REPRODUCE + " && python -m workflow.keep {params.stage:q}"


rule compare_strategies_plan:
    input:
        stamps.needed_by("compare_strategies_plan"),
    output:
        touch(stamp_path("compare_strategies_plan")),
    params:
        stage=stamps.address("compare_strategies_plan"),
    log:
        ".pipeline/logs/compare_strategies_plan.log",
    benchmark:
        ".pipeline/benchmarks/compare_strategies_plan.tsv"
    threads: 1
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE_AND_KEEP


rule compare_strategies:
    input:
        lambda wildcards: stamps.needed_by(f"compare_strategies@{wildcards.run}"),
    output:
        touch(stamp_path("compare_strategies@{run}")),
    params:
        stage=lambda wildcards: stamps.address(f"compare_strategies@{wildcards.run}"),
    log:
        ".pipeline/logs/compare_strategies@{run}.log",
    benchmark:
        ".pipeline/benchmarks/compare_strategies@{run}.tsv"
    threads: RUN_THREADS
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=TRAINING_GPUS,
    shell:
        REPRODUCE_AND_KEEP


rule compare_strategies_rates:
    input:
        lambda wildcards: stamps.needed_by(f"compare_strategies_rates@{wildcards.run}"),
    output:
        touch(stamp_path("compare_strategies_rates@{run}")),
    params:
        stage=lambda wildcards: stamps.address(f"compare_strategies_rates@{wildcards.run}"),
    log:
        ".pipeline/logs/compare_strategies_rates@{run}.log",
    benchmark:
        ".pipeline/benchmarks/compare_strategies_rates@{run}.tsv"
    threads: RUN_THREADS
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=TRAINING_GPUS,
    shell:
        REPRODUCE_AND_KEEP


rule compare_strategies_table:
    input:
        stamps.needed_by("compare_strategies_table"),
    output:
        touch(stamp_path("compare_strategies_table")),
    params:
        stage=stamps.address("compare_strategies_table"),
    log:
        ".pipeline/logs/compare_strategies_table.log",
    benchmark:
        ".pipeline/benchmarks/compare_strategies_table.tsv"
    threads: 1
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE_AND_KEEP
