# The model that leaves the study, made when asked for.
rule export_model:
    input:
        metrics=f"{FOLDER}/metrics.parquet",
        advice=[f"{FOLDER}/analysis/{name}.parquet" for name in ADVICE],
        start=get_start(),
        train=get_encoded(STUDY.config["sweep"]["datasets"][0], "train"),
        examples=get_prepared(STUDY.config["sweep"]["datasets"][0], "eval.parquet"),
        encoded=get_encoded(STUDY.config["sweep"]["datasets"][0], "eval"),
        facts=get_prepared(STUDY.config["sweep"]["datasets"][0], "dataset.json"),
    output:
        model=directory(f"{FOLDER}/model"),
    log:
        f"results/logs/export_model/{NAME}.log",
    benchmark:
        f"results/benchmarks/export_model/{NAME}.tsv"
    params:
        dataset=STUDY.config["sweep"]["datasets"][0],
        factors=list(STUDY.config["sweep"]["factors"]),
        confidence=STUDY.config["analysis"]["confidence"],
        runs=str(paths.RUNS / STUDY.config["sweep"]["datasets"][0]),
        engine=[ENGINES["training"], ENGINES["evaluation"]],
    threads: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/export_model.py"
