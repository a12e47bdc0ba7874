# The data sets that the exported model was trained on, with where each is from.
EXPORTED = STUDY.config["sweep"]["datasets"][0]
BEGUN_WITH = STUDY.config["baseline"] if continues_baseline(STUDY.config) else {}
DATA_SOURCES = {
    name: STUDY.config["sources"][STUDY.config["datasets"][name]["source"]]
    for name in dict.fromkeys([BEGUN_WITH.get("dataset", EXPORTED), EXPORTED])
}
FETCHED = {
    name: paths.place("source", source=STUDY.source_ids[STUDY.config["datasets"][name]["source"]])
    for name, source in DATA_SOURCES.items()
    if source["kind"] != "local"
}


# The model that leaves the study, made when asked for.
rule export_model:
    input:
        metrics=f"{FOLDER}/metrics.parquet",
        advice=[f"{FOLDER}/analysis/{name}.parquet" for name in ADVICE],
        pretrained=paths.place("model", model=STUDY.model_id),
        start=get_start(),
        train=get_encoded(EXPORTED, "train"),
        examples=get_prepared(EXPORTED, "eval.parquet"),
        encoded=get_encoded(EXPORTED, "eval"),
        facts=get_prepared(EXPORTED, "dataset.json"),
        fetched=list(FETCHED.values()),
    output:
        model=directory(f"{FOLDER}/model"),
    log:
        f"results/logs/export_model/{NAME}.log",
    benchmark:
        f"results/benchmarks/export_model/{NAME}.tsv"
    params:
        dataset=EXPORTED,
        factors=list(STUDY.config["sweep"]["factors"]),
        confidence=STUDY.config["analysis"]["confidence"],
        baseline=BEGUN_WITH,
        head=get_head(get_start()),
        sources={name: source if name in FETCHED else {"kind": "local"} for name, source in DATA_SOURCES.items()},
        runs=str(paths.RUNS / EXPORTED),
        engine=[ENGINES["training"], ENGINES["evaluation"]],
    threads: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/export_model.py"
