# Too short to queue for: on the login node.
localrules:
    write_design,
    aggregate_metrics,
    aggregate_finished,
    interim,


rule write_design:
    output:
        design=captioned("results/{study}/design.csv", "table", "design"),
    log:
        "results/logs/write_design/{study}.log",
    benchmark:
        "results/benchmarks/write_design/{study}.tsv"
    params:
        design=get_design,
    conda:
        "../../envs/workflow.yaml"
    script:
        "../../scripts/write_design.py"


rule aggregate_metrics:
    input:
        design="results/{study}/design.csv",
        metrics=get_run_files("metrics.parquet"),
        trainings=get_run_files("training.parquet"),
        baselines=get_baseline_metrics(),
    output:
        **get_epochs("results/{study}"),
        metrics=captioned("results/{study}/metrics.parquet", "table", "metrics"),
        curves="results/{study}/learning_curves.parquet",
    log:
        "results/logs/aggregate_metrics/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_metrics/{study}.tsv"
    params:
        baseline=ANALYSED["baseline"],
        engine=[ENGINES["aggregation"], ENGINES["metrics"]],
    wildcard_constraints:
        study=any_of([NAME]),
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_metrics.py"


# The runs that are done, known by their files alone: as inputs, Snakemake would first make those that are not.
rule aggregate_finished:
    input:
        design="results/{study}/design.csv",
        baselines=get_baseline_metrics(),
    output:
        **get_epochs("results/{study}/interim"),
        metrics="results/{study}/interim/metrics.parquet",
        curves="results/{study}/interim/learning_curves.parquet",
    log:
        "results/logs/aggregate_finished/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_finished/{study}.tsv"
    params:
        metrics=lambda _: get_finished_files("metrics.parquet"),
        trainings=lambda _: get_finished_files("training.parquet"),
        endings=lambda _: get_endings(),
        baseline=ANALYSED["baseline"],
        engine=[ENGINES["aggregation"], ENGINES["metrics"]],
    wildcard_constraints:
        study=any_of([NAME]),
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_finished.py"


# A report of the runs done so far that says what is missing; trains nothing.
rule interim:
    input:
        paths.report_file(paths.interim(NAME)),
