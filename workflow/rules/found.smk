# A study of found models: model cards replace trainings, up to the metrics that all analyses begin with.
# On the login node: compute nodes often have no way out, and the rest is too short to queue for.
localrules:
    fetch_cards,
    aggregate_cards,


rule fetch_cards:
    output:
        cards=directory("results/sources/{source}"),
    log:
        "results/logs/fetch_cards/{source}.log",
    benchmark:
        "results/benchmarks/fetch_cards/{source}.tsv"
    params:
        models=STUDY.config["cards"].get("hub", []),
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_cards.py"


rule aggregate_cards:
    input:
        files=get_card_files(),
    output:
        read="results/{study}/model_cards.parquet",
        metrics=captioned("results/{study}/metrics.parquet", "table", "found_metrics"),
        cards="results/{study}/cards.parquet",
        baseline="results/{study}/baseline.parquet",
        curves="results/{study}/learning_curves.parquet",
        cards_csv=captioned("results/{study}/cards.csv", "table", "found_gates"),
        gates=list(analysis_files(tables_of("aggregate_cards", KIND)).values()) + get_csv_files("aggregate_cards"),
    log:
        "results/logs/aggregate_cards/{study}.log",
    benchmark:
        "results/benchmarks/aggregate_cards/{study}.tsv"
    params:
        cards=STUDY.config["cards"],
        content=digest(cards_identity(STUDY.config["cards"])),
        factors=STUDY.config["sweep"]["factors"],
        analysis=ANALYSED["analysis"],
        baseline=STUDY.config["baseline"],
        engine=ENGINES["cards"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_cards.py"
