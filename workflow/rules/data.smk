# On the login node: compute nodes often have no way out, and the rest is too short to queue for.
localrules:
    fetch_model,
    fetch_data,


rule fetch_model:
    input:
        local=get_local_model,
    output:
        model=directory("<model>"),
    log:
        "<logs>/fetch_model/{model}.log",
    benchmark:
        "<benchmarks>/fetch_model/{model}.tsv"
    params:
        source=get_source,
        engine=ENGINES["model"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_model.py"


rule fetch_data:
    output:
        data=directory("<source>"),
    log:
        "<logs>/fetch_data/{source}.log",
    benchmark:
        "<benchmarks>/fetch_data/{source}.tsv"
    params:
        source=get_source,
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/fetch_data.py"


rule prepare_dataset:
    input:
        source=get_dataset_source,
        file=get_local_file("file"),
        eval_file=get_local_file("eval_file"),
    output:
        train="<data>/train.parquet",
        evaluation="<data>/eval.parquet",
        facts="<data>/dataset.json",
    log:
        "<logs>/prepare_dataset/{data}.log",
    benchmark:
        "<benchmarks>/prepare_dataset/{data}.tsv"
    params:
        dataset=get_dataset,
        kind=get_dataset_kind,
        engine=ENGINES["corpus"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/prepare_dataset.py"


rule encode_dataset:
    input:
        train="<data>/train.parquet",
        evaluation="<data>/eval.parquet",
        model="<model>",
    output:
        train="<encoded>/train.safetensors",
        evaluation="<encoded>/eval.safetensors",
    log:
        "<logs>/encode_dataset/{data}--{model}.log",
    benchmark:
        "<benchmarks>/encode_dataset/{data}--{model}.tsv"
    params:
        engine=ENGINES["encoding"],
    conda:
        "../../envs/finetune.yaml"
    script:
        "../../scripts/encode_dataset.py"
