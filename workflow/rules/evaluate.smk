rule evaluate_baseline:
    input:
        model=by_model(get_baseline_model),
        summary=get_baseline_summary,
        examples=lambda wildcards: get_prepared(wildcards.dataset, "eval.parquet"),
        encoded=encoded_of("eval"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        predictions="results/baselines/{baseline}/{dataset}/predictions.parquet",
        metrics="results/baselines/{baseline}/{dataset}/metrics.parquet",
    log:
        "results/logs/evaluate_baseline/{baseline}/{dataset}.log",
    benchmark:
        "results/benchmarks/evaluate_baseline/{baseline}/{dataset}.tsv"
    params:
        record=get_baseline_record,
        head=by_model(lambda model: get_head(get_baseline_model(model))),
        engine=ENGINES["evaluation"],
    threads: 1
    # With the first runs, rather than alone after the last.
    priority: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/evaluate_baseline.py"


rule evaluate_run:
    input:
        model="results/runs/{dataset}/{run}/model",
        summary="results/runs/{dataset}/{run}/training.json",
        examples=lambda wildcards: get_prepared(wildcards.dataset, "eval.parquet"),
        encoded=encoded_of("eval"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        predictions="results/runs/{dataset}/{run}/predictions.parquet",
        metrics="results/runs/{dataset}/{run}/metrics.parquet",
    log:
        "results/logs/evaluate_run/{dataset}/{run}.log",
    benchmark:
        "results/benchmarks/evaluate_run/{dataset}/{run}.tsv"
    params:
        record=get_run_record,
        engine=ENGINES["evaluation"],
    threads: 1
    # Before any further training, so that few runs' weights wait on disk.
    priority: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
        # A resource, since an edit of one reruns nothing.
        keep_weights=int(STUDY.config["keep_weights"] == "all"),
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/evaluate_run.py"
