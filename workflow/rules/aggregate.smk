# Too short to queue for: on the login node.
localrules:
    write_design,
    aggregate_metrics,
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


# Of a study under way, the runs that are done are no inputs: Snakemake would first make those that are not.
rule aggregate_metrics:
    input:
        design=f"{FOLDER}/design.csv",
        metrics=of_all_runs("metrics.parquet"),
        trainings=of_all_runs("training.parquet"),
        baselines=get_baseline_metrics(),
        facts=get_evaluated("dataset.json"),
    output:
        **get_epochs("results/{study}"),
        metrics=captioned("results/{study}/metrics.parquet", "table", "metrics"),
        curves="results/{study}/learning_curves.parquet",
    log:
        "results/logs/aggregate_metrics/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_metrics/{study}.tsv"
    params:
        **(get_models() and get_models() | {"levels": own_baseline_levels(STUDY.config)}),
        metrics=of_finished_runs("metrics.parquet"),
        trainings=of_finished_runs("training.parquet"),
        endings=get_endings,
        baseline=ANALYSED["baseline"],
        positive=get_positives(),
        engine=[ENGINES["aggregation"], ENGINES["metrics"]],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_metrics.py"


# A report of the runs done so far that says what is missing; trains nothing.
rule interim:
    input:
        paths.report_file(paths.interim(NAME)),
