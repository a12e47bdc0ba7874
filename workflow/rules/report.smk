rule plot_coefficients:
    input:
        coefficients="results/{study}/analysis/coefficients.parquet",
    output:
        svg=report(
            "results/{study}/figures/coefficients.svg",
            caption="../report/coefficients.rst",
            category="Figures",
        ),
        png="results/{study}/figures/coefficients.png",
        json="results/{study}/figures/coefficients.json",
    log:
        "results/logs/plot_coefficients/{study}.log",
    benchmark:
        "results/benchmarks/plot_coefficients/{study}.tsv"
    params:
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_coefficients.py"


rule plot_main_effects:
    input:
        profiles="results/{study}/analysis/profiles.parquet",
        metrics="results/{study}/metrics.parquet",
    output:
        svg=report(
            "results/{study}/figures/main_effects.svg",
            caption="../report/main_effects.rst",
            category="Figures",
        ),
        png="results/{study}/figures/main_effects.png",
        json="results/{study}/figures/main_effects.json",
    log:
        "results/logs/plot_main_effects/{study}.log",
    benchmark:
        "results/benchmarks/plot_main_effects/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_main_effects.py"


rule plot_interplay:
    input:
        interplay="results/{study}/analysis/interplay.parquet",
        coefficients="results/{study}/analysis/coefficients.parquet",
    output:
        svg=report(
            "results/{study}/figures/interplay.svg",
            caption="../report/interplay.rst",
            category="Figures",
        ),
        png="results/{study}/figures/interplay.png",
        json="results/{study}/figures/interplay.json",
    log:
        "results/logs/plot_interplay/{study}.log",
    benchmark:
        "results/benchmarks/plot_interplay/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_interplay.py"


rule plot_surface:
    input:
        surface="results/{study}/analysis/surface.parquet",
        metrics="results/{study}/metrics.parquet",
    output:
        svg=report(
            "results/{study}/figures/surface_{response}.svg",
            caption="../report/surface.rst",
            category="Figures",
            labels={"response": "{response}"},
        ),
        png="results/{study}/figures/surface_{response}.png",
        json="results/{study}/figures/surface_{response}.json",
    log:
        "results/logs/plot_surface/{study}/{response}.log",
    benchmark:
        "results/benchmarks/plot_surface/{study}/{response}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_surface.py"


rule plot_learning_curves:
    input:
        learning_curves="results/{study}/learning_curves.parquet",
    output:
        svg=report(
            "results/{study}/figures/learning_curves.svg",
            caption="../report/learning_curves.rst",
            category="Figures",
        ),
        png="results/{study}/figures/learning_curves.png",
        json="results/{study}/figures/learning_curves.json",
    log:
        "results/logs/plot_learning_curves/{study}.log",
    benchmark:
        "results/benchmarks/plot_learning_curves/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_learning_curves.py"


rule render_report:
    input:
        metrics="results/{study}/metrics.parquet",
        coefficients="results/{study}/analysis/coefficients.parquet",
        effects="results/{study}/analysis/effects.parquet",
        fits="results/{study}/analysis/fits.parquet",
        surface="results/{study}/analysis/surface.parquet",
        ladder="results/{study}/analysis/ladder.parquet",
        checks="results/{study}/analysis/checks.parquet",
        influence="results/{study}/analysis/influence.parquet",
        sensitivity="results/{study}/analysis/sensitivity.parquet",
        slopes="results/{study}/analysis/slopes.parquet",
        johnson_neyman="results/{study}/analysis/johnson_neyman.parquet",
        optima="results/{study}/analysis/optima.parquet",
        optimum_factors="results/{study}/analysis/optimum_factors.parquet",
        canonical="results/{study}/analysis/canonical.parquet",
        ridge="results/{study}/analysis/ridge.parquet",
        recommendations="results/{study}/analysis/recommendations.parquet",
        against_baseline="results/{study}/analysis/against_baseline.parquet",
        matched="results/{study}/analysis/matched.parquet",
        baselines=get_baseline_metrics(),
        datasets=get_dataset_facts(),
        figures=expand("results/{{study}}/figures/{figure}.json", figure=get_figures()),
    output:
        html=report("results/{study}/report.html", caption="../report/report.rst", category="Report"),
    log:
        "results/logs/render_report/{study}.log",
    benchmark:
        "results/benchmarks/render_report/{study}.tsv"
    params:
        config=STUDY.config,
        factors=STUDY.config["sweep"]["factors"],
        datasets=get_dataset_names(),
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/render_report.py"
