# The data sets that the exported model was trained on, with where each is from.
EXPORTED = STUDY.config["sweep"]["datasets"][0]
BEGUN_WITH = get_trained_baseline() if continues_baseline(STUDY.config) else {}
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
        pretrained=list(map(get_pretrained, STUDY.model_ids)),
        start=list(map(get_start, STUDY.model_ids)),
        train=[get_encoded(EXPORTED, "train", model) for model in STUDY.model_ids],
        examples=get_prepared(EXPORTED, "eval.parquet"),
        encoded=[get_encoded(EXPORTED, "eval", model) for model in STUDY.model_ids],
        facts=get_prepared(EXPORTED, "dataset.json"),
        fetched=list(FETCHED.values()),
    output:
        model=directory(f"{FOLDER}/model"),
    log:
        f"results/logs/export_model/{NAME}.log",
    benchmark:
        f"results/benchmarks/export_model/{NAME}.tsv"
    params:
        **get_models(),
        dataset=EXPORTED,
        factors=list(STUDY.config["sweep"]["factors"]),
        confidence=STUDY.config["analysis"]["confidence"],
        baseline=BEGUN_WITH,
        head=get_head(get_start(STUDY.config["model"])),
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
