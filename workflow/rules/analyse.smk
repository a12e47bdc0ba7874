# Too short to queue for: on the login node.
localrules:
    fit_regressions,
    check_regressions,
    analyse_surface,
    compare_baselines,
    compare_predictions,
    analyse_variability,
    analyse_tradeoffs,
    judge_claims,


rule fit_regressions:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        coefficients="results/{study}/analysis/coefficients.parquet",
        covariances="results/{study}/analysis/covariances.parquet",
        effects="results/{study}/analysis/effects.parquet",
        fits="results/{study}/analysis/fits.parquet",
        ladder="results/{study}/analysis/ladder.parquet",
        profiles="results/{study}/analysis/profiles.parquet",
        surface="results/{study}/analysis/surface.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["coefficients", "effects", "fits", "ladder"],
            ),
            caption="../report/regressions.rst",
            category="Tables",
            labels={"table": "fits"},
        ),
    log:
        "results/logs/fit_regressions/{study}.log",
    benchmark:
        "results/benchmarks/fit_regressions/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/fit_regressions.py"


rule check_regressions:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        checks="results/{study}/analysis/checks.parquet",
        influence="results/{study}/analysis/influence.parquet",
        sensitivity="results/{study}/analysis/sensitivity.parquet",
        robustness="results/{study}/analysis/robustness.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["checks", "influence", "sensitivity", "robustness"],
            ),
            caption="../report/checks.rst",
            category="Tables",
            labels={"table": "checks"},
        ),
    log:
        "results/logs/check_regressions/{study}.log",
    benchmark:
        "results/benchmarks/check_regressions/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/check_regressions.py"


rule analyse_surface:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        slopes="results/{study}/analysis/slopes.parquet",
        interplay="results/{study}/analysis/interplay.parquet",
        johnson_neyman="results/{study}/analysis/johnson_neyman.parquet",
        optima="results/{study}/analysis/optima.parquet",
        optimum_factors="results/{study}/analysis/optimum_factors.parquet",
        canonical="results/{study}/analysis/canonical.parquet",
        ridge="results/{study}/analysis/ridge.parquet",
        recommendations="results/{study}/analysis/recommendations.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=[
                    "slopes",
                    "johnson_neyman",
                    "optima",
                    "optimum_factors",
                    "canonical",
                    "ridge",
                    "recommendations",
                ],
            ),
            caption="../report/analyse_surface.rst",
            category="Tables",
            labels={"table": "slopes and optimum"},
        ),
    log:
        "results/logs/analyse_surface/{study}.log",
    benchmark:
        "results/benchmarks/analyse_surface/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/analyse_surface.py"


rule compare_baselines:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        against_baseline="results/{study}/analysis/against_baseline.parquet",
        matched="results/{study}/analysis/matched.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["against_baseline", "matched"],
            ),
            caption="../report/baselines.rst",
            category="Tables",
            labels={"table": "baselines"},
        ),
    log:
        "results/logs/compare_baselines/{study}.log",
    benchmark:
        "results/benchmarks/compare_baselines/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/compare_baselines.py"


rule compare_predictions:
    input:
        metrics="results/{study}/metrics.parquet",
        predictions=get_predictions,
        baselines=get_baseline_predictions(),
    output:
        calibration="results/{study}/analysis/calibration.parquet",
        calibration_effects="results/{study}/analysis/calibration_effects.parquet",
        reliability="results/{study}/analysis/reliability.parquet",
        paired="results/{study}/analysis/paired.parquet",
        paired_points="results/{study}/analysis/paired_points.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["calibration", "calibration_effects", "reliability", "paired", "paired_points"],
            ),
            caption="../report/predictions.rst",
            category="Tables",
            labels={"table": "predictions"},
        ),
    log:
        "results/logs/compare_predictions/{study}.log",
    benchmark:
        "results/benchmarks/compare_predictions/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/compare_predictions.py"


rule analyse_variability:
    input:
        metrics="results/{study}/metrics.parquet",
        predictions=get_predictions,
    output:
        variability="results/{study}/analysis/variability.parquet",
        importance="results/{study}/analysis/importance.parquet",
        failures="results/{study}/analysis/failures.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["variability", "importance", "failures"],
            ),
            caption="../report/variability.rst",
            category="Tables",
            labels={"table": "variability"},
        ),
    log:
        "results/logs/analyse_variability/{study}.log",
    benchmark:
        "results/benchmarks/analyse_variability/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/analyse_variability.py"


rule analyse_tradeoffs:
    input:
        metrics="results/{study}/metrics.parquet",
    output:
        pareto="results/{study}/analysis/pareto.parquet",
        pareto_points="results/{study}/analysis/pareto_points.parquet",
        disagreements="results/{study}/analysis/disagreements.parquet",
        prices="results/{study}/analysis/prices.parquet",
        desirability="results/{study}/analysis/desirability.parquet",
        tuning_curves="results/{study}/analysis/tuning_curves.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["pareto", "pareto_points", "disagreements", "prices", "desirability", "tuning_curves"],
            ),
            caption="../report/tradeoffs.rst",
            category="Tables",
            labels={"table": "trade-offs"},
        ),
    log:
        "results/logs/analyse_tradeoffs/{study}.log",
    benchmark:
        "results/benchmarks/analyse_tradeoffs/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        baseline=baseline_levels(STUDY.config),
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/analyse_tradeoffs.py"


rule judge_claims:
    input:
        coefficients="results/{study}/analysis/coefficients.parquet",
        fits="results/{study}/analysis/fits.parquet",
    output:
        claims="results/{study}/analysis/claims.parquet",
        csv=report(
            expand(
                "results/{{study}}/analysis/{table}.csv",
                table=["claims"],
            ),
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "claims"},
        ),
    log:
        "results/logs/judge_claims/{study}.log",
    benchmark:
        "results/benchmarks/judge_claims/{study}.tsv"
    params:
        factors=STUDY.config["sweep"]["factors"],
        analysis=STUDY.config["analysis"],
        engine=ENGINES["regression"],
    conda:
        "../../envs/analyse.yaml"
    script:
        "../../scripts/judge_claims.py"
