# Step 0 and every phase, measured alike; they yield to a phase that is ready to train, unless a gate waits for them.


rule evaluate_speech:
    input:
        lambda wildcards: stamps.needed_by(f"evaluate_speech@{wildcards.phase}"),
    output:
        touch(stamp_path("evaluate_speech@{phase}")),
    params:
        stage="evaluate_speech@{phase}",
    log:
        ".pipeline/logs/evaluate_speech@{phase}.log",
    benchmark:
        ".pipeline/benchmarks/evaluate_speech@{phase}.tsv"
    threads: max(1, CORES // 2)
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=1,
    shell:
        REPRODUCE


rule evaluate_speech_base:
    input:
        stamps.needed_by("evaluate_speech_base"),
    output:
        touch(stamp_path("evaluate_speech_base")),
    params:
        stage="evaluate_speech_base",
    log:
        ".pipeline/logs/evaluate_speech_base.log",
    benchmark:
        ".pipeline/benchmarks/evaluate_speech_base.tsv"
    threads: max(1, CORES // 2)
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=1,
    shell:
        REPRODUCE


rule gate_phase:
    input:
        lambda wildcards: stamps.needed_by(f"gate_phase@{wildcards.phase}"),
    output:
        touch(stamp_path("gate_phase@{phase}")),
    params:
        stage="gate_phase@{phase}",
    log:
        ".pipeline/logs/gate_phase@{phase}.log",
    benchmark:
        ".pipeline/benchmarks/gate_phase@{phase}.tsv"
    threads: 1
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    priority: 10
    shell:
        REPRODUCE
