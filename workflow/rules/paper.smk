# Too short to queue for: on the login node.
localrules:
    write_paper,


# The paper kit, made when asked for: `snakemake write_paper --cores 1`.
rule write_paper:
    input:
        **{name: of_the_study(files) for name, files in rules.render_report.input.items()},
    output:
        folder=directory(f"results/{STUDY.config['study']}/paper"),
    log:
        f"results/logs/write_paper/{STUDY.config['study']}.log",
    benchmark:
        f"results/benchmarks/write_paper/{STUDY.config['study']}.tsv"
    params:
        config=RESULTS_CONFIG,
        factors=STUDY.config["sweep"]["factors"],
        datasets=get_dataset_names(),
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/write_paper.py"
