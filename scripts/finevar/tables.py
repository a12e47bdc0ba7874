"""The analysis tables, each in one place: its columns, the rule that writes it, and who it is for.

Of plain Python types, so that a dry run reads the names of files without Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from finevar.study.kinds import FOUND, KINDS, LISTED, TRAINED

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Table:
    """A table of a study, as results/<study>/analysis/<name>.parquet."""

    rule: str  # that writes it
    caption: str  # of workflow/report/tables, for the CSV that people get beside it; "" where they get none
    columns: Mapping[str, type]
    kinds: Sequence[str]  # of studies that have it
    on_page: bool  # the report reads it
    of_names: str = ""  # a column of text more, in studies with levels that are names alone

    @cached_property
    def schema(self) -> pa.Schema:
        """Return its columns as Arrow has them, all nullable."""
        import pyarrow as pa

        from finevar.columns import TYPES

        return pa.schema({name: TYPES[kind] for name, kind in self.columns.items()})

    @cached_property
    def schemas(self) -> tuple[pa.Schema, ...]:
        """Return the schemas that it can have, the one of numbers alone first."""
        import pyarrow as pa

        plain = self.schema
        return (plain, plain.append(pa.field(self.of_names, pa.string()))) if self.of_names else (plain,)


def table(
    rule: str, caption: str, /, *, only: str = "", on_page: bool = True, of_names: str = "", **columns: type
) -> Table:
    """Return a table's record; only: the one kind of studies that has it."""
    return Table(rule, caption, columns, (only,) if only else KINDS, on_page, of_names)


fitted, analysed = partial(table, "fit_regressions"), partial(table, "analyse_study")

ESTIMATE = {"estimate": float, "std_error": float}
INTERVAL = {"ci_low": float, "ci_high": float}
SIMULTANEOUS = {"simultaneous_low": float, "simultaneous_high": float}  # hold for all rows at once
LIMITS = {"least": float, "most": float}  # what a difference can be, where its estimate and its intervals are cut
TEST = {"p_value": float, "reason": str}  # reason: why there is no p, or no verdict
VERDICT = TEST | {"reason_code": str, "p_adjusted": float, "family": str, "verdict": str}
WHOM = {"population": str}  # whom intervals hold for: new seeds and new sentences, or these sentences
PREDICTED = {"predicted": float, "std_error": float, **INTERVAL, "scale": str, **WHOM}  # scale: linear, clipped, logit

# Columns in as few lines as hold them.
# fmt: off
TABLES = {
    "coefficients": fitted("regressions",
        response=str, framework=str, population=str, units=str, term=str, group=str, unit=str, **ESTIMATE, df=float,
        t_value=float, **INTERVAL, **VERDICT),
    "covariances": fitted("",  # of what predictions are read from, see statistics.stored
        response=str, scale=str, term=str, other=str, estimate=float,  # of the term
        seed=float, sentence=float, both=float, seed_df=float, sentence_df=float, confidence=float),
    "effects": fitted("regressions", of_names="largest_change",
        response=str, dataset=str,  # "" is all together
        population=str, factor=str, from_level=float, to_level=float,
        change=float, std_error=float, **INTERVAL,  # over the range, the other factors mid-range
        per_unit=float, per_unit_ci_low=float, per_unit_ci_high=float, unit=str,
        simple_effects=int, largest=float, largest_low=float, largest_high=float,  # the most significant of them
        largest_from=float, largest_to=float, largest_at=str,
        simple_low=float, simple_high=float,  # ends of all their intervals, which hold at once
        seed_share=float,  # of the widest interval's variance that is the seeds'
        smallest_effect=float, **LIMITS, p_datasets=float, datasets_differ=bool, p_seeds=float, supposes_slopes=bool,
        **VERDICT),
    "fits": fitted("regressions",
        response=str, framework=str, runs=int, points=int, seeds=int, datasets=int, parameters=int, df_residual=float,
        r2=float, r2_adjusted=float, r2_predicted=float, residual_sd=float, pure_error_sd=float, pure_error_df=float,
        test_set_se=float, smallest_effect=float, covariance=str, covariance_reason=str, clusters=int,
        baseline_value=float, largest_identity_deviation=float, diverged=int, collapsed=int, missing=int, gate=str,
        gate_code=str),  # reasons.Stop
    "profiles": fitted("", on_page=False, response=str, factor=str, value=float, **PREDICTED),
    "surface": fitted("",
        response=str, factor_x=str, value_x=float, factor_y=str, value_y=float, held=str, **PREDICTED),
    "ladder": fitted("regressions",
        response=str, rung=str, parameters=int, df=float, sum_sq=float, f_value=float, df_residual=float, **TEST,
        f_robust=float, p_robust=float, r2=float, r2_adjusted=float, r2_predicted=float, press=float, aicc=float,
        chosen=bool),
    "checks": analysed("checks",
        response=str, check=str, statistic=float, df_numerator=float, df_denominator=float, sum_sq=float,
        sum_sq_error=float, **TEST, run_id=str),
    "influence": analysed("checks",
        response=str, run_id=str, fitted=float, residual=float, leverage=float, studentised=float, cook=float,
        robust=float, suspect=bool),
    "sensitivity": analysed("checks",
        response=str, term=str, specification=str, **ESTIMATE, **TEST, p_low=float, p_high=float, refits=int,
        agrees=bool),
    "slopes": analysed("optimum",
        response=str, factor=str, place=str, moderator=str, moderator_level=float, units=str, unit=str, **ESTIMATE,
        **INTERVAL, **WHOM, **TEST, p_adjusted=float, family=str),
    "interplay": analysed("", on_page=False,
        response=str, factor=str, moderator=str, moderator_value=float, unit=str, **ESTIMATE, **INTERVAL, **WHOM,
        sign=str),
    "johnson_neyman": analysed("optimum",
        response=str, factor=str, moderator=str, value_low=float, value_high=float, **WHOM, sign=str),
    "optima": analysed("optimum", of_names="at",
        response=str, kind=str, inside=bool, stationary_predicted=float, std_error=float, **INTERVAL, scale=str,
        **WHOM, region_share=float, region_closed=bool, reason=str),
    "optimum_factors": analysed("optimum", of_names="at",
        response=str, factor=str, stationary_coded=float, stationary=float, region_low=float, region_high=float,
        best=float, rival_low=float, rival_high=float),
    "canonical": analysed("optimum", of_names="at",
        response=str, axis=int, eigenvalue=float, factor=str, weight=float),
    "ridge": analysed("optimum", of_names="at",
        response=str, radius=float, factor=str, coded=float, value=float, **PREDICTED),
    "predicted_best": analysed("optimum",
        response=str, point_id=str, observed=float,
        by_means=bool,  # predicted by the settings' own means, as the surface misses them
        **PREDICTED, candidates=int, rivals=int,
        expected_regret=float, regret_bound=float, smallest_effect=float),
    "ranking": analysed("recommendation",
        point_id=str, response=str, mean=float,  # measured, over seeds and then data sets
        sd=float, seeds=int, runs=int, rank=int, **PREDICTED,
        band_low=float, band_high=float,  # of all settings' predictions at once
        outside=bool,  # the mean is outside the band
        difference=float, **SIMULTANEOUS, **LIMITS,  # from the best mean of a setting without failed runs
        worse=bool),  # significantly worse than that one
    "recommendation": analysed("recommendation",
        point_id=str, role=str,  # recommended, tied, worse or excluded
        reason_code=str, reason_response=str,  # reasons.Excluded, also of what was overlooked, and of which metric
        primary=str, primary_code=str,  # reasons.Primary
        decided_by=str,  # the metric that chose among the candidates, or seconds
        rank=int, seconds=float,  # of training a run, on average
        expected_regret=float, regret_bound=float, smallest_effect=float),  # of the recommended, in the primary metric
    "cautions": analysed("recommendation",
        code=str,  # reasons.Caution
        response=str, factor=str, level=float, next_level=float,
        value=float, limit=float,  # what was found, and what it is measured against
        count=int, runs=int, seconds=float, p_value=float, detail=str),
    "next_runs": analysed("recommendation",
        code=str,  # reasons.Next
        response=str, factor=str, level=float,
        half_width=float,  # that the interval of the factor's effect is to have
        point_ids=str,  # of settings, with spaces between; baseline: its own, where the study has not tried them
        seeds=int, sentences=int, runs=int, seconds=float),
    "gain_shares": analysed("gains",
        response=str, point_id=str,  # the recommended setting, against the baseline's own settings on the surface
        factor=str,  # "" is all together, of which the others are Shapley shares
        from_level=float, to_level=float, **ESTIMATE, **INTERVAL, **SIMULTANEOUS, **LIMITS, **WHOM,
        measured=float, missed=bool,  # of all together: the means' difference, and whether the surface misses means
        reason=str),
    "setting_pairs": analysed("setting_pairs",
        response=str, point_id=str, other=str,  # which is subtracted
        **ESTIMATE, **INTERVAL, **SIMULTANEOUS, **LIMITS, **WHOM),
    "pair_sentences": analysed("setting_pairs",
        point_id=str, other=str, sentences=int,  # of all data sets
        gained=int, lost=int),  # right in most runs of the one and wrong in most of the other, and the reverse
    "confirmation": table("analyse_confirmation", "confirmation", on_page=False,  # only where `make confirm` was called
        point_id=str, role=str,  # recommended, rival or baseline
        response=str, part=str, sentences=int,  # eval or held_back
        fresh_seeds=str, runs=int, failed=int,  # that finished, and that diverged or collapsed
        mean=float, **INTERVAL, **WHOM,
        selected=float,  # the mean of the study's own runs, by which the setting was chosen
        shrinkage=float,  # mean less selected
        difference=float, difference_low=float, difference_high=float,  # of the recommended setting from this one
        **LIMITS,
        chosen_from=str),  # study.confirmation.chosen_from
    "against_baseline": analysed("baselines",
        response=str, baseline=str, point_id=str, population=str, **ESTIMATE, **INTERVAL, **SIMULTANEOUS, **LIMITS,
        reason=str),
    "matched": analysed("baselines",
        response=str, analysis=str, residual_sd=float, **ESTIMATE, df=float, **INTERVAL, **TEST),
    "calibration": analysed("predictions",
        role=str, run_id=str, dataset=str, point_id=str, seed=int, loss=float, refinement=float,
        calibration_loss=float, temperature=float, accuracy=float, ece=float, brier=float, reason=str),
    "calibration_effects": analysed("predictions",
        response=str, factor=str, change=float, std_error=float, **INTERVAL, **WHOM, **TEST),
    "reliability": analysed("predictions",
        group=str, dataset=str, point_id=str, bin=int, confidence_mean=float, correct_share=float, **INTERVAL,
        count=int, models=int),
    "paired": analysed("predictions",
        run_id=str, dataset=str, point_id=str, seed=int, sentences=int, gained=int, lost=int, p_value=float,
        p_adjusted=float, family=str),
    "paired_points": analysed("predictions",
        dataset=str, point_id=str, response=str, sentences=int, seeds=int, estimate=float, **INTERVAL, **SIMULTANEOUS,
        **LIMITS,
        probability=float, probability_low=float, probability_high=float, reason=str),
    "confusion": analysed("predictions",
        role=str, dataset=str, point_id=str, runs=int, label=int, predicted=int,  # no row for a pair that never occurs
        label_name=str, predicted_name=str, count=float,  # sentences, mean over runs
        share=float),  # of the true class
    "classes": analysed("predictions",
        role=str, dataset=str, point_id=str, runs=int, label=int, label_name=str, support=int, precision=float,
        precision_sd=float, recall=float, recall_sd=float, f1=float, f1_sd=float, reason=str),
    "sentence_counts": analysed("predictions",
        dataset=str, point_id=str,  # "" is all settings together
        runs=int, sentences=int, wrong_in_all=int, contested=int, broken=int, mended=int),
    "sentences": analysed("",
        dataset=str, kind=str, point_id=str, example_id=str, text=str, label=int, predicted=int,  # wrongly, by most
        label_name=str, predicted_name=str, probability=float,  # of the predicted class, mean over runs
        share_wrong=float),  # of the runs
    "run_confusion": analysed("",
        dataset=str, run_id=str, label=int, predicted=int, count=int),  # no row for a pair that never occurs
    "run_sentences": analysed("",
        dataset=str, run_id=str, example_id=str, text=str, label=int, predicted=int,
        probability=float),  # of the predicted class
    "found_gates": table("aggregate_cards", "found_gates", only=FOUND,
        gate=str, verdict=str,  # passed, noted, excluded, or stopped
        cards=int,  # looked at
        flagged=int, finding=str, consequence=str,
        terms=str),  # of the gate on aliasing: those of complete cards, by name, with spaces between
    "listing": table("aggregate_runs", "listing", only=LISTED,
        line=int, run_id=str, dataset=str,
        use=str,  # used, diverged, missing or excluded
        reason=str, reason_code=str),  # reasons.Unused
    "pooling": analysed("pooling", only=FOUND,
        response=str, factor=str, pool=str,  # which cards
        specification=str, errors=str, cards=int, datasets=int, clusters=int, **ESTIMATE, df=float, **INTERVAL,
        **TEST),
    "beside": analysed("beside", only=FOUND,
        name=str, response=str, term=str, framework=str, source=str, finding=str, sign=str, p_published=float,
        study=str, kind=str,  # found or designed
        **ESTIMATE, **INTERVAL, p_value=float, p_adjusted=float, from_level=float, to_level=float, verdict=str,
        reason=str, reason_code=str),
    "claims": analysed("claims",
        name=str, response=str, framework=str, term=str, statement=str, source=str, finding=str, sign=str,
        p_published=float, **ESTIMATE, **INTERVAL, **LIMITS, **TEST,
        reason_code=str,  # reasons.Undecided or reasons.Stop
        p_adjusted=float, unit=str, from_level=float,
        to_level=float, smallest_effect=float, minimum_detectable=float, verdict=str),
    "tuning_curves": analysed("tradeoffs",
        response=str, dataset=str, draws=int, expected=float, **INTERVAL, expected_again=float, settings=int,
        runs=int, method=str, reason=str),
    "robustness": analysed("checks",
        response=str, factor=str, conclusion=str, coding=str, degree=str, covariance=str, scale=str, reported=bool,
        estimate=float, **TEST, agrees=bool),
    "failures": analysed("variability",
        dataset=str, factor=str, level=float, runs=int, diverged=int, collapsed=int, missing=int, share=float,
        **INTERVAL, trend=float,  # log odds of failing a coded unit
        **TEST, p_adjusted=float),
    "pareto": analysed("tradeoffs",
        dataset=str,  # "" is the mean over data sets
        point_id=str, response=str, mean=float,  # over seeds; of seconds the geometric mean
        std_error=float, runs=int, reason=str, reason_code=str),  # reasons.Untraded
    "pareto_points": analysed("tradeoffs",
        dataset=str, point_id=str, efficient=bool, **TEST, p_adjusted=float, dominated_by=str, verdict=str),
    "disagreements": analysed("tradeoffs",
        response_a=str, response_b=str, place=str, point_id=str, cosine=float, **INTERVAL, **WHOM, verdict=str,
        reason=str, cells=int, share_agree=float, share_disagree=float, share_open=float, factors=str),
    "prices": analysed("tradeoffs",
        best_for=str, response=str, point_id=str, own_best=str, price=float, std_error=float, **INTERVAL, **LIMITS,
        **WHOM, smallest_effect=float, verdict=str, reason=str),
    "desirability": analysed("tradeoffs",
        point_id=str, response=str,  # "" is all of them together
        weight=float, value=float, desirability=float, **INTERVAL, **WHOM, best_share=float),
    "variability": analysed("variability",
        response=str, component=str, kind=str, method=str, variance=float, sd=float, sd_low=float, sd_high=float,
        share=float, **INTERVAL, test_set_share=float, df=float, reason=str),
    "seed_parts": analysed("variability",
        response=str, source=str,  # a part of the seed, several of them together, or test_set
        variance=float, sd=float, share=float, **INTERVAL, df=float, settings=int, left_out=int, reason=str),
    "importance": analysed("variability",
        response=str, factor=str, first_order=float, total=float, shapley=float, shapley_ci_low=float,
        shapley_ci_high=float, method=str, reason=str),
}
# fmt: on
ADVICE = tuple(name for name, table in TABLES.items() if table.caption == "recommendation")


def tables_of(rule: str, kind: str) -> dict[str, Table]:
    """Return the tables that a rule writes, by name, in a study of a kind."""
    return {name: table for name, table in TABLES.items() if table.rule == rule and kind in table.kinds}


def page_tables(kind: str) -> list[str]:
    """Return the names of the tables that the report of a study of a kind reads."""
    return [name for name, table in TABLES.items() if table.on_page and kind in table.kinds]


def kind_of_runs(runs: pd.DataFrame) -> str:
    """Return the kind of study that runs are of."""
    return FOUND if "owner" in runs else LISTED if "line" in runs else TRAINED


def are_found(runs: pd.DataFrame) -> bool:
    """Return whether runs were found, as model cards, and not trained here."""
    return kind_of_runs(runs) == FOUND


def baseline_keys(runs: pd.DataFrame) -> list[str]:
    """Return the columns that say which baseline a run is compared with: that on its data set, and of its own model."""
    return ["dataset", *(name for name in ["baseline_id"] if name in runs)]


def as_rows(table: pd.DataFrame) -> Rows:
    """Return a table's rows, missing values as None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
