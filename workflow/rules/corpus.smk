# Texts to training examples.


rule prepare_corpus:
    input:
        stamps.needed_by("prepare_corpus"),
    output:
        touch(stamp_path("prepare_corpus")),
    params:
        stage="prepare_corpus",
    log:
        ".pipeline/logs/prepare_corpus.log",
    benchmark:
        ".pipeline/benchmarks/prepare_corpus.tsv"
    threads: CORES
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE


rule train_vocabulary:
    input:
        stamps.needed_by("train_vocabulary"),
    output:
        touch(stamp_path("train_vocabulary")),
    params:
        stage="train_vocabulary",
    log:
        ".pipeline/logs/train_vocabulary.log",
    benchmark:
        ".pipeline/benchmarks/train_vocabulary.tsv"
    threads: CORES
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE


rule extract_features:
    input:
        stamps.needed_by("extract_features"),
    output:
        touch(stamp_path("extract_features")),
    params:
        stage="extract_features",
    log:
        ".pipeline/logs/extract_features.log",
    benchmark:
        ".pipeline/benchmarks/extract_features.tsv"
    threads: CORES
    resources:
        cpu_slots=lambda wildcards, threads: threads,
        gpu=1,
    shell:
        REPRODUCE
