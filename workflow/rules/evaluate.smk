rule evaluate_baseline:
    input:
        model=get_start(),
        summary=get_baseline_summary,
        examples=lambda wildcards: get_prepared(wildcards.dataset, "eval.parquet"),
        encoded=lambda wildcards: get_encoded(wildcards.dataset, "eval"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        predictions="<baseline>/{dataset}/predictions.parquet",
        metrics="<baseline>/{dataset}/metrics.parquet",
    log:
        "<logs>/evaluate_baseline/{baseline}/{dataset}.log",
    benchmark:
        "<benchmarks>/evaluate_baseline/{baseline}/{dataset}.tsv"
    params:
        record=get_baseline_record,
        engine=ENGINES["evaluation"],
    threads: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/evaluate_baseline.py"


rule evaluate_run:
    input:
        model="<run>/model",
        summary="<run>/training.json",
        examples=lambda wildcards: get_prepared(wildcards.dataset, "eval.parquet"),
        encoded=lambda wildcards: get_encoded(wildcards.dataset, "eval"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        predictions="<run>/predictions.parquet",
        metrics="<run>/metrics.parquet",
    log:
        "<logs>/evaluate_run/{dataset}/{run}.log",
    benchmark:
        "<benchmarks>/evaluate_run/{dataset}/{run}.tsv"
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
