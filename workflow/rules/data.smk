# On the login node: compute nodes often have no way out, and the rest is too short to queue for.
localrules:
    fetch_model,
    fetch_data,
    check_data,


rule fetch_model:
    input:
        local=get_local_model,
    output:
        model=directory("results/models/{model}"),
    log:
        "results/logs/fetch_model/{model}.log",
    benchmark:
        "results/benchmarks/fetch_model/{model}.tsv"
    params:
        source=get_source,
        engine=ENGINES["model"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_model.py"


rule fetch_data:
    output:
        data=directory("results/sources/{source}"),
    log:
        "results/logs/fetch_data/{source}.log",
    benchmark:
        "results/benchmarks/fetch_data/{source}.tsv"
    params:
        source=get_source,
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_data.py"


rule prepare_dataset:
    input:
        source=get_dataset_source,
        file=get_local_files("file"),
        eval_file=get_local_files("eval_file"),
        label_file=get_local_files("label_file"),
        eval_label_file=get_local_files("eval_label_file"),
    output:
        parts=expand("results/data/{data}/{part}.parquet", part=paths.PARTS, allow_missing=True),
        facts="results/data/{data}/dataset.json",
    log:
        "results/logs/prepare_dataset/{data}.log",
    benchmark:
        "results/benchmarks/prepare_dataset/{data}.tsv"
    params:
        dataset=get_dataset,
        kind=lambda wildcards: source_of(wildcards)["kind"],
        engine=ENGINES["corpus"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/prepare_dataset.py"


rule encode_dataset:
    input:
        parts=get_parts,
        model="results/models/{model}",
    output:
        parts=expand("results/encoded/{data}--{model}/{part}.safetensors", part=paths.PARTS, allow_missing=True),
    log:
        "results/logs/encode_dataset/{data}--{model}.log",
    benchmark:
        "results/benchmarks/encode_dataset/{data}--{model}.tsv"
    params:
        engine=ENGINES["encoding"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/encode_dataset.py"


# What the model sees, before it is trained: `make data-check`.
rule check_data:
    input:
        datasets=get_dataset_facts(),
        encoded=[get_encoded(name, "train", model) for model in STUDY.model_ids for name in STUDY.dataset_ids],
        model=list(map(get_pretrained, STUDY.model_ids)),
    output:
        html=f"{FOLDER}/data.html",
        facts=f"{FOLDER}/data.json",
    log:
        f"results/logs/check_data/{NAME}.log",
    benchmark:
        f"results/benchmarks/check_data/{NAME}.tsv"
    params:
        study=NAME,
        model=", ".join(STUDY.model_ids),
        limits=get_limits(),
        shown=bool(SHOWS_SENTENCES),
        engine=ENGINES["data_check"],
    priority: 2
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/check_data.py"
