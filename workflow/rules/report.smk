# Too short to queue for: on the login node.
localrules:
    plot_effects,
    plot_coefficients,
    plot_main_effects,
    plot_interplay,
    plot_surface,
    plot_learning_curves,
    plot_variability,
    plot_tradeoffs,
    plot_calibration,
    plot_tuning_curves,
    render_report,


rule plot_effects:
    input:
        effects="results/{study}/analysis/effects.parquet",
    output:
        svg=report(
            "results/{study}/figures/effects.svg",
            caption="../report/effects.rst",
            category="Figures",
            labels={"figure": "effects"},
        ),
        png="results/{study}/figures/effects.png",
        json="results/{study}/figures/effects.json",
    log:
        "results/logs/plot_effects/{study}.log",
    benchmark:
        "results/benchmarks/plot_effects/{study}.tsv"
    params:
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_effects.py"


rule plot_coefficients:
    input:
        coefficients="results/{study}/analysis/coefficients.parquet",
    output:
        svg=report(
            "results/{study}/figures/coefficients.svg",
            caption="../report/coefficients.rst",
            category="Figures",
            labels={"figure": "coefficients"},
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
            labels={"figure": "main effects"},
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
            labels={"figure": "interplay"},
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
            labels={"figure": "surface", "response": "{response}"},
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
            labels={"figure": "learning curves"},
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


rule plot_variability:
    input:
        variability="results/{study}/analysis/variability.parquet",
    output:
        svg=report(
            "results/{study}/figures/variability.svg",
            caption="../report/variability_figure.rst",
            category="Figures",
            labels={"figure": "variability"},
        ),
        png="results/{study}/figures/variability.png",
        json="results/{study}/figures/variability.json",
    log:
        "results/logs/plot_variability/{study}.log",
    benchmark:
        "results/benchmarks/plot_variability/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_variability.py"


rule plot_tradeoffs:
    input:
        pareto="results/{study}/analysis/pareto.parquet",
        pareto_points="results/{study}/analysis/pareto_points.parquet",
        metrics="results/{study}/metrics.parquet",
    output:
        svg=report(
            "results/{study}/figures/tradeoffs.svg",
            caption="../report/tradeoffs_figure.rst",
            category="Figures",
            labels={"figure": "tradeoffs"},
        ),
        png="results/{study}/figures/tradeoffs.png",
        json="results/{study}/figures/tradeoffs.json",
    log:
        "results/logs/plot_tradeoffs/{study}.log",
    benchmark:
        "results/benchmarks/plot_tradeoffs/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_tradeoffs.py"


rule plot_calibration:
    input:
        calibration_effects="results/{study}/analysis/calibration_effects.parquet",
        reliability="results/{study}/analysis/reliability.parquet",
    output:
        svg=report(
            "results/{study}/figures/calibration.svg",
            caption="../report/calibration_figure.rst",
            category="Figures",
            labels={"figure": "calibration"},
        ),
        png="results/{study}/figures/calibration.png",
        json="results/{study}/figures/calibration.json",
    log:
        "results/logs/plot_calibration/{study}.log",
    benchmark:
        "results/benchmarks/plot_calibration/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_calibration.py"


rule plot_tuning_curves:
    input:
        tuning_curves="results/{study}/analysis/tuning_curves.parquet",
        fits="results/{study}/analysis/fits.parquet",
    output:
        svg=report(
            "results/{study}/figures/tuning_curves.svg",
            caption="../report/tuning_curves_figure.rst",
            category="Figures",
            labels={"figure": "tuning curves"},
        ),
        png="results/{study}/figures/tuning_curves.png",
        json="results/{study}/figures/tuning_curves.json",
    log:
        "results/logs/plot_tuning_curves/{study}.log",
    benchmark:
        "results/benchmarks/plot_tuning_curves/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/plot_tuning_curves.py"


rule render_report:
    input:
        **get_found_tables(),
        metrics="results/{study}/metrics.parquet",
        coefficients="results/{study}/analysis/coefficients.parquet",
        covariances="results/{study}/analysis/covariances.parquet",
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
        robustness="results/{study}/analysis/robustness.parquet",
        calibration="results/{study}/analysis/calibration.parquet",
        calibration_effects="results/{study}/analysis/calibration_effects.parquet",
        reliability="results/{study}/analysis/reliability.parquet",
        paired="results/{study}/analysis/paired.parquet",
        paired_points="results/{study}/analysis/paired_points.parquet",
        variability="results/{study}/analysis/variability.parquet",
        importance="results/{study}/analysis/importance.parquet",
        failures="results/{study}/analysis/failures.parquet",
        pareto="results/{study}/analysis/pareto.parquet",
        pareto_points="results/{study}/analysis/pareto_points.parquet",
        disagreements="results/{study}/analysis/disagreements.parquet",
        prices="results/{study}/analysis/prices.parquet",
        desirability="results/{study}/analysis/desirability.parquet",
        tuning_curves="results/{study}/analysis/tuning_curves.parquet",
        claims="results/{study}/analysis/claims.parquet",
        baselines=get_baseline_metrics(),
        datasets=get_dataset_facts(),
        figures=expand("results/{{study}}/figures/{figure}.json", figure=get_figures()),
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
        factors=STUDY.config["sweep"]["factors"],
        datasets=get_dataset_names(),
        engine=ENGINES["report"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/render_report.py"
