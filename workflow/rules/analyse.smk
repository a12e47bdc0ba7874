rule write_design:
    input:
        table=get_design_table(),
    output:
        design=report("results/{study}/design.csv", caption="../report/design.rst", category="Tables"),
    log:
        "results/logs/write_design/{study}.log",
    benchmark:
        "results/benchmarks/write_design/{study}.tsv"
    params:
        config={key: part for key, part in STUDY.config.items() if key not in ("analysis", "keep_weights")},
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
        metrics=report(
            "results/{study}/metrics.parquet",
            caption="../report/metrics.rst",
            category="Tables",
        ),
        curves="results/{study}/learning_curves.parquet",
    log:
        "results/logs/aggregate_metrics/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_metrics/{study}.tsv"
    params:
        baseline=baseline_levels(STUDY.config),
        engine=ENGINES["aggregation"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_metrics.py"


rule fit_regressions:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        coefficients="results/{study}/analysis/coefficients.parquet",
        effects="results/{study}/analysis/effects.parquet",
        fits="results/{study}/analysis/fits.parquet",
        profiles="results/{study}/analysis/profiles.parquet",
        surface="results/{study}/analysis/surface.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["coefficients", "effects", "fits"],
            ),
            caption="../report/regressions.rst",
            category="Tables",
        ),
    log:
        "results/logs/fit_regressions/{study}.log",
    benchmark:
        "results/benchmarks/fit_regressions/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/fit_regressions.py"
