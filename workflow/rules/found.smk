# A study of found models: model cards in the place of trainings, up to the metrics that all analyses begin with.
# On the login node: compute nodes often have no way out, and the rest is too short to queue for.
localrules:
    fetch_cards,
    read_cards,
    aggregate_cards,


rule fetch_cards:
    output:
        cards=directory("<source>"),
    log:
        "<logs>/fetch_cards/{source}.log",
    benchmark:
        "<benchmarks>/fetch_cards/{source}.tsv"
    params:
        models=STUDY.config["cards"].get("hub", []),
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_cards.py"


rule read_cards:
    input:
        files=get_card_files(),
    output:
        cards="<study>/model_cards.parquet",
    log:
        "<logs>/read_cards/{study}.log",
    benchmark:
        "<benchmarks>/read_cards/{study}.tsv"
    params:
        cards=STUDY.config["cards"],
        content=digest(cards_identity(STUDY.config["cards"])),
        engine=ENGINES["cards"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/read_cards.py"


rule aggregate_cards:
    input:
        cards="<study>/model_cards.parquet",
    output:
        metrics=report(
            "<study>/metrics.parquet",
            caption="../report/found_metrics.rst",
            category="Tables",
            labels={"table": "metrics"},
        ),
        cards="<study>/cards.parquet",
        baseline="<study>/baseline.parquet",
        curves="<study>/learning_curves.parquet",
        cards_csv=report(
            "<study>/cards.csv",
            caption="../report/tables/found_gates.rst",
            category="Tables",
            labels={"table": "cards"},
        ),
        gates=list(get_tables("aggregate_cards").values()) + get_csv_files("aggregate_cards"),
    log:
        "<logs>/aggregate_cards/{study}.log",
    benchmark:
        "<benchmarks>/aggregate_cards/{study}.tsv"
    params:
        cards=STUDY.config["cards"],
        factors=STUDY.config["sweep"]["factors"],
        analysis=STUDY.config["analysis"],
        baseline=STUDY.config["baseline"],
        engine=ENGINES["cards"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/aggregate_cards.py"
