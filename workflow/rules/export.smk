# The model that leaves the study, made when asked for.
rule export_model:
    input:
        metrics=f"results/{STUDY.config['study']}/metrics.parquet",
        recommendations=f"results/{STUDY.config['study']}/analysis/recommendations.parquet",
        start=get_start(),
        train=get_encoded(STUDY.config["sweep"]["datasets"][0], "train"),
        examples=get_prepared(STUDY.config["sweep"]["datasets"][0], "eval.parquet"),
        encoded=get_encoded(STUDY.config["sweep"]["datasets"][0], "eval"),
        facts=get_prepared(STUDY.config["sweep"]["datasets"][0], "dataset.json"),
    output:
        model=directory(f"results/{STUDY.config['study']}/model"),
    log:
        f"results/logs/export_model/{STUDY.config['study']}.log",
    benchmark:
        f"results/benchmarks/export_model/{STUDY.config['study']}.tsv"
    params:
        response=STUDY.config["analysis"]["responses"][0],
        dataset=STUDY.config["sweep"]["datasets"][0],
        factors=list(STUDY.config["sweep"]["factors"]),
        confidence=STUDY.config["analysis"]["confidence"],
        runs=f"results/runs/{STUDY.config['sweep']['datasets'][0]}",
        engine=[ENGINES["training"], ENGINES["evaluation"]],
    threads: 1
    resources:
        gpu=STUDY.config["gpus_per_run"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/export_model.py"
