# What leaves the project: the model in its released layout, and the page that shows how it came about.


rule export_model:
    input:
        stamps.needed_by("export_model"),
    output:
        touch(stamp_path("export_model")),
    params:
        stage="export_model",
    log:
        ".pipeline/logs/export_model.log",
    benchmark:
        ".pipeline/benchmarks/export_model.tsv"
    threads: 1
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE


rule report:
    input:
        stamps.needed_by("report"),
    output:
        touch(stamp_path("report")),
    params:
        stage="report",
    log:
        ".pipeline/logs/report.log",
    benchmark:
        ".pipeline/benchmarks/report.tsv"
    threads: 1
    resources:
        cpu_slots=lambda wildcards, threads: threads,
    shell:
        REPRODUCE
