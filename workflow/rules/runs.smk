# A study of runs from elsewhere: a file's rows replace trainings, up to the metrics that all analyses begin with.
# Too short to queue for: on the login node.
localrules:
    aggregate_runs,


rule aggregate_runs:
    input:
        file=known_by_content(STUDY.config["runs"]["file"]),
    output:
        metrics=captioned("results/{study}/metrics.parquet", "table", "listed_metrics"),
        baseline="results/{study}/baseline.parquet",
        curves="results/{study}/learning_curves.parquet",
        listing=list(analysis_files(tables_of("aggregate_runs", KIND)).values()) + get_csv_files("aggregate_runs"),
    log:
        "results/logs/aggregate_runs/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_runs/{study}.tsv"
    params:
        config={key: STUDY.config[key] for key in ("runs", "baseline", "sweep")},
        content=digest(runs_identity(STUDY.config)),
        engine=ENGINES["runs"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_runs.py"
