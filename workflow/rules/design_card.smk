# Too short to queue for: on the login node.
localrules:
    design_card,


# Runs that go on at once: one a core, as far as GPUs allow, and one where each is a job of a cluster.
CONCURRENT = workflow.resource_settings.cores or 1
if STUDY.config["gpus_per_run"] and "gpu" in workflow.global_resources:
    CONCURRENT = max(1, min(CONCURRENT, workflow.global_resources["gpu"].value // STUDY.config["gpus_per_run"]))


# All cores at once, as in the study: what a step takes depends on what runs beside it.
rule time_pilot:
    input:
        start=list(map(get_start, STUDY.model_ids)),
        train=get_all_encoded("train"),
        evaluation=get_all_encoded("eval"),
        examples=[get_prepared(name, "eval.parquet") for name in STUDY.config["sweep"]["datasets"]],
        facts=[get_prepared(name, "dataset.json") for name in STUDY.config["sweep"]["datasets"]],
    output:
        pilot=f"{FOLDER}/pilot.json",
    log:
        f"results/logs/time_pilot/{NAME}.log",
    benchmark:
        f"results/benchmarks/time_pilot/{NAME}.tsv"
    params:
        **get_models(),
        datasets=STUDY.config["sweep"]["datasets"],
        training=STUDY.config["training"],
        factors=STUDY.config["sweep"]["factors"],
        concurrent=CONCURRENT,
        engine=[ENGINES["design_card"], ENGINES["training"], ENGINES["evaluation"]],
    threads: CONCURRENT
    resources:
        gpu=STUDY.config["gpus_per_run"] * CONCURRENT,
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/time_pilot.py"


# What a study costs and what it can find, before any of its runs: `make design-card`.
rule design_card:
    input:
        pilot=rules.time_pilot.output.pilot,
        data=rules.check_data.output.facts,
        facts=get_evaluated("dataset.json"),
    output:
        html=f"{FOLDER}/design_card.html",
    log:
        f"results/logs/design_card/{NAME}.log",
    benchmark:
        f"results/benchmarks/design_card/{NAME}.tsv"
    params:
        **get_models(),
        config=STUDY.config,
        design=get_design,
        finished=lambda _: get_finished_files("metrics.parquet"),
        baselines=lambda _: [str(path) for path in get_baseline_metrics() if path.exists()],
        engine=[ENGINES["design_card"], ENGINES["metrics"]],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/design_card.py"
