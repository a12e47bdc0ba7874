# Too short to queue for: on the login node.
localrules:
    fit_regressions,
    analyse_study,


rule fit_regressions:
    input:
        metrics="results/{study}/metrics.parquet",
        predictions=of_all_runs("predictions.parquet"),
        baselines=get_baseline_predictions(),
    output:
        **analysis_files(tables_of("fit_regressions", KIND)),
        csv=get_csv_files("fit_regressions"),
    log:
        "results/logs/fit_regressions/{study}.log",
    benchmark:
        "results/benchmarks/fit_regressions/{study}.tsv"
    params:
        **ANALYSED,
        engine=ENGINES["regression"],
    threads: 2
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/fit_regressions.py"


rule analyse_study:
    input:
        **get_found_inputs(),
        metrics="results/{study}/metrics.parquet",
        effects="results/{study}/analysis/effects.parquet",
        predictions=of_all_runs("predictions.parquet"),
        baselines=get_baseline_predictions(),
        facts=get_evaluated("dataset.json"),
        examples=get_evaluated("eval.parquet") if SHOWS_SENTENCES else [],
    output:
        **analysis_files(tables_of("analyse_study", KIND)),
        csv=get_csv_files("analyse_study"),
    log:
        "results/logs/analyse_study/{study}.log",
    benchmark:
        "results/benchmarks/analyse_study/{study}.tsv"
    params:
        **ANALYSED,
        sentences=SHOWS_SENTENCES,
        cards=STUDY.config.get("cards"),
        beside=STUDY.config.get("beside"),
        confirm_seeds=len(fresh_seeds(STUDY.config["sweep"])) if TRAINS else None,
        engine=[ENGINES["regression"], ENGINES["cards"]],
    threads: 4
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/analyse_study.py"
