rule train_baseline:
    input:
        start=by_model(get_pretrained),
        train=by_model(lambda model: get_encoded(STUDY.config["baseline"]["dataset"], "train", model)),
        facts=lambda _: get_prepared(STUDY.config["baseline"]["dataset"], "dataset.json"),
    output:
        model=directory("results/baselines/{baseline}/model"),
        training="results/baselines/{baseline}/training.parquet",
        summary="results/baselines/{baseline}/training.json",
    log:
        "results/logs/train_baseline/{baseline}.log",
    benchmark:
        "results/benchmarks/train_baseline/{baseline}.tsv"
    params:
        settings=get_trained_baseline()["settings"],
        seed=STUDY.config["baseline"]["seed"],
        head=STUDY.config.get("head"),
        engine=ENGINES["training"],
    threads: 2
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/train_baseline.py"


rule finetune_run:
    input:
        start=by_model(get_start),
        begin=get_begin,
        train=encoded_of("train"),
        evaluation=encoded_of("eval"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        model=transient(directory("results/runs/{dataset}/{run}/model")),
        state=shared_state("results/runs/{dataset}/{run}/state.safetensors"),
        training="results/runs/{dataset}/{run}/training.parquet",
        summary="results/runs/{dataset}/{run}/training.json",
    log:
        "results/logs/finetune_run/{dataset}/{run}.log",
    benchmark:
        "results/benchmarks/finetune_run/{dataset}/{run}.tsv"
    params:
        settings=lambda wildcards: of_training(get_run(wildcards).settings),
        seed=lambda wildcards: get_run(wildcards).drawn,
        head=by_model(lambda model: get_head(get_start(model))),
        engine=ENGINES["training"],
    threads: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
        # Resources, since an edit of one reruns nothing.
        keep_weights=int(STUDY.config["keep_weights"] == "all"),
        gpu_slots=-1 if STUDY.config["gpu"]["slots"] is None else STUDY.config["gpu"]["slots"],
        evaluate_each_epoch=int(STUDY.config["analysis"]["evaluate_each_epoch"]),
        # A baseline that is not trained here is refused for another head than the data's, so no run is trained for it.
        keep_head=int("dataset" not in STUDY.config["baseline"]),
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/finetune_run.py"
