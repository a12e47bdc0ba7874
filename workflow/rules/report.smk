# Too short to queue for: on the login node.
localrules:
    bundle_vega,
    draw_figures,
    render_report,


# Needs nothing of a study, so it is there before the first run is done.
rule bundle_vega:
    output:
        program=paths.PROGRAM,
    log:
        "results/logs/bundle_vega.log",
    benchmark:
        "results/benchmarks/bundle_vega.tsv"
    params:
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/bundle_vega.py"


rule draw_figures:
    input:
        **get_drawn_files(),
    output:
        svg=[captioned(path, "figure", kind_of(name)) for name, path in get_figures("svg").items()],
        json=list(get_figures("json").values()),
    log:
        "results/logs/draw_figures/{study}.log",
    benchmark:
        "results/benchmarks/draw_figures/{study}.tsv"
    params:
        factors=ANALYSED["factors"],
        baseline=ANALYSED["baseline"],
        engine=ENGINES["report"],
    threads: 4
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/draw_figures.py"


rule render_report:
    input:
        **analysis_files(page_tables(KIND)),
        **get_epochs("results/{study}"),
        metrics="results/{study}/metrics.parquet",
        baselines=get_baseline_metrics(),
        datasets=get_dataset_facts(),
        seen=f"{FOLDER}/data.json" if TRAINS else [],
        figures=list(get_figures("json").values()),
        drawings=list(get_figures("svg").values()),
        program=paths.PROGRAM,
        confirmation=get_confirmation,
    output:
        html=report(
            "results/{study}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"file": "the study's report"},
        ),
    log:
        "results/logs/render_report/{study}.log",
    benchmark:
        "results/benchmarks/render_report/{study}.tsv"
    params:
        config=RESULTS_CONFIG,
        factors=ANALYSED["factors"],
        datasets=list(STUDY.dataset_ids),
        confirmation=get_present_confirmation,
        engine=ENGINES["report"],
    threads: 4
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/render_report.py"
