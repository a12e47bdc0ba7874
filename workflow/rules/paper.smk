# Too short to queue for: on the login node.
localrules:
    write_paper,


# The paper kit, made when asked for: `make paper`.
rule write_paper:
    input:
        **{
            name: of_the_study(files)
            for name, files in rules.render_report.input.items()
            if name not in ("program", "confirmation")
        },
        confirmation=str(paths.table_file(NAME, "confirmation")) if CONFIRMED else [],
    output:
        folder=directory(f"{FOLDER}/paper"),
    log:
        f"results/logs/write_paper/{NAME}.log",
    benchmark:
        f"results/benchmarks/write_paper/{NAME}.tsv"
    params:
        config=RESULTS_CONFIG,
        factors=ANALYSED["factors"],
        datasets=list(STUDY.dataset_ids),
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/write_paper.py"
