# The runs that results/<study>/confirm.csv lists, of some settings with fresh seeds, are trained as all others are.
# Too short to queue for: on the login node.
localrules:
    analyse_confirmation,


# Where sentences were held back for it, a run of the confirmation is evaluated on them and on no others.
rule confirm_run:
    input:
        model="results/runs/{dataset}/{run}/model",
        summary="results/runs/{dataset}/{run}/training.json",
        examples=lambda wildcards: get_prepared(wildcards.dataset, "held_back.parquet"),
        encoded=encoded_of("held_back"),
        facts=lambda wildcards: get_prepared(wildcards.dataset, "dataset.json"),
    output:
        predictions="results/confirmations/{dataset}/{run}/predictions.parquet",
        metrics="results/confirmations/{dataset}/{run}/metrics.parquet",
    log:
        "results/logs/confirm_run/{dataset}/{run}.log",
    benchmark:
        "results/benchmarks/confirm_run/{dataset}/{run}.tsv"
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
        "../../scripts/confirm_run.py"


rule analyse_confirmation:
    input:
        plan=paths.confirmation_file(NAME),
        metrics=get_confirmed("metrics.parquet"),
        predictions=get_confirmed("predictions.parquet"),
        ranking=paths.table_file(NAME, "ranking"),
        baselines=get_baseline_metrics(),
        facts=get_evaluated("dataset.json"),
    output:
        confirmation=paths.table_file(NAME, "confirmation"),
        csv=captioned(paths.table_file(NAME, "confirmation").with_suffix(".csv"), "table", "confirmation"),
    log:
        f"results/logs/analyse_confirmation/{NAME}.log",
    benchmark:
        f"results/benchmarks/analyse_confirmation/{NAME}.tsv"
    params:
        **get_models(),
        factors=list(STUDY.config["sweep"]["factors"]),
        responses=STUDY.config["analysis"]["responses"],
        confidence=STUDY.config["analysis"]["confidence"],
        positive=get_positives(),
        engine=[ENGINES["metrics"], ENGINES["regression"]],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/analyse_confirmation.py"
