"""Sentences on the recommended setting: what to use, how it was chosen, what to check first, what to run next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finevar.metrics import SECONDS
from finevar.reasons import Caution, Excluded, Next
from finevar.study.goals import Goal
from finevar.tables import ADVICE, as_rows
from finevar.words.findings import regret_text
from finevar.words.formatting import counted, factor_label, joined, sentence_case, settings_list
from finevar.words.numbers import Row, duration, is_missing, level, number, p_equals, percent, significant

if TYPE_CHECKING:
    import pandas as pd

Levels = Mapping[str, Mapping[str, float]]
Labels = Mapping[str, str]

COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
TO_LEARN = (
    "Before comparing settings, look at data.html for what the model sees and at the labels, then raise the learning "
    "rate, epochs or train_examples."
)
NOT_YET = "No setting is recommended yet: a gate stops the analysis of the primary metric."
EXCLUDED_FOR = {  # by reasons.Excluded
    Excluded.DIVERGED: "runs diverged there",
    Excluded.COLLAPSED: "runs collapsed there",
    Excluded.UNLEARNT: "most of its runs learnt nothing",
    Excluded.WORSE_THAN_BASELINE: "significantly worse than the baseline",
    Excluded.OUTSIDE_BAND: "measured mean outside what the surface predicts",
    Excluded.BEHIND: "further from the best than the smallest effect of interest",
}
EMPTIED_BY = {
    Excluded.DIVERGED: "runs diverged at every setting that is as good as the best",
    Excluded.COLLAPSED: "runs collapsed at every setting that is as good as the best",
    Excluded.UNLEARNT: "at every setting that is as good as the best most runs learnt nothing",
    Excluded.WORSE_THAN_BASELINE: "every setting as good as the best is significantly worse than the baseline",
    Excluded.OUTSIDE_BAND: "at every setting as good as the best, the surfaces miss the measured means",
}


@dataclass(frozen=True)
class Advice:
    """What the tables of these names hold, and the names in words of what is in them."""

    ranking: Sequence[Row]
    recommendation: Sequence[Row]
    cautions: Sequence[Row]
    next_runs: Sequence[Row]
    levels: Levels  # by setting, of each factor
    labels: Labels  # metrics in words

    @classmethod
    def of(
        cls, tables: Mapping[str, pd.DataFrame], metrics: pd.DataFrame, factors: Sequence[str], labels: Labels
    ) -> Advice:
        """Read a study's tables; metrics: its runs."""
        levels = metrics.drop_duplicates("point_id").set_index("point_id")[list(factors)].to_dict("index")
        return cls(*(as_rows(tables[name]) for name in ADVICE), levels, labels)

    @property
    def best(self) -> Row | None:
        """Return the row of the recommended setting, or None."""
        return next((row for row in self.recommendation if row["role"] == "recommended"), None)

    @property
    def learnt_nothing(self) -> Row | None:
        """Return the caution that nearly all runs learnt nothing, or None."""
        return next((row for row in self.cautions if row["code"] == Caution.LEARNT_NOTHING), None)

    def count(self, role: str) -> int:
        """Return how many settings have a role."""
        return sum(row["role"] == role for row in self.recommendation)


# What to use ----------------------------------------------------------------------------------------------------------


def headline(advice: Advice) -> str:
    """Say which setting to use and what was measured there, or why none is recommended."""
    if advice.best is None:
        return none_sentence(advice)
    name, labels = advice.best["point_id"], advice.labels
    own = {row["response"]: row for row in advice.ranking if row["point_id"] == name}
    means = joined([f"{labels[metric]} {number(row['mean'])}" for metric, row in own.items() if metric in labels])
    seeds = counted(int(own[advice.best["primary"]]["seeds"]), "seed")
    return f"Use {settings_list(advice.levels[name])}: {means} (mean of {seeds})."


def title_sentence(advice: Advice) -> str:
    """Say in a page's title which setting to use, its first two metrics, and how many others are as good."""
    best = advice.best
    if best is None:
        return none_sentence(advice)
    means = {row["response"]: row["mean"] for row in advice.ranking if row["point_id"] == best["point_id"]}
    named = [
        best["primary"],
        *(name for name in (best["decided_by"], *means) if name != best["primary"] and name in means),
    ]
    figures = ", ".join(f"{advice.labels[name]} {number(means[name], 3)}" for name in dict.fromkeys(named[:2]))
    tied = advice.count("tied")
    count = COUNTS[tied] if tied < len(COUNTS) else f"{tied:,}"
    others = f"{count} other {'setting is' if tied == 1 else 'settings are'} as good."
    return f"Use {settings_list(advice.levels[best['point_id']])}: {figures}. {others}"


def none_sentence(advice: Advice) -> str:
    """Say why no setting is recommended."""
    if row := advice.learnt_nothing:
        return (
            f"The models learnt nothing, so no setting is recommended: {int(row['count'])} of "
            f"{counted(int(row['runs']), 'run')} nearly always give the same answer, or guess."
        )
    why = next((EMPTIED_BY[row["detail"]] for row in advice.cautions if row["code"] == Caution.EMPTIED), None)
    return f"No setting is recommended: {why}." if why else NOT_YET


def choice_sentence(advice: Advice) -> str:
    """Say how many settings are as good in the primary metric, and what chose among them."""
    best, tied = advice.best, advice.count("tied")
    if best is None:
        return ""
    primary, smallest = advice.labels[best["primary"]], best["smallest_effect"]
    if not tied:
        return f"No other setting is as good in {primary}."
    within = "" if is_missing(smallest) else f"within {significant(smallest)} of the best and "
    decided = "training time" if best["decided_by"] == SECONDS else advice.labels[best["decided_by"]]
    verb = "is" if tied == 1 else "are"
    opening = f"{counted(tied, 'other setting')} {verb} as good in {primary} ({within}not significantly worse)"
    return f"{opening}; {decided} decided."


def sure_sentence(advice: Advice, confidence: float = 0.95) -> str:
    """Say how many other settings are as good, and by how much the recommended one may miss the best."""
    best = advice.best
    if best is None:
        return ""
    return f"{choice_sentence(advice)} {regret_sentence(best, advice.labels[best['primary']], confidence, 'it is ')}"


def regret_sentence(best: Row, primary: str, confidence: float, subject: str = "") -> str:
    """Say by how much the recommended setting may miss the best tried; best: its row of the recommendation."""
    expected = regret_text(best["expected_regret"])
    if is_missing(best["regret_bound"]):
        few = "as a setting has too few finished runs"
        return f"Expected regret in {primary} {expected}; its gap to the best tried has no bound, {few}."
    if not best["regret_bound"]:
        return f"No setting can be better in {primary} on these test sentences."
    bound = regret_text(best["regret_bound"])
    return (
        f"At {percent(confidence)} {subject}at most {bound} worse in {primary} than the best tried; "
        f"expected regret {expected}."
    )


def role_text(row: Row, labels: Labels) -> str:
    """Print what a setting is to the recommendation; row: of that table."""
    if row["role"] != "excluded" or is_missing(row["reason_code"]):
        return {"tied": "as good"}.get(row["role"], row["role"])
    where = "" if is_missing(row["reason_response"]) else f"{labels.get(row['reason_response'], '')} "
    return f"excluded: {where}{EXCLUDED_FOR[row['reason_code']]}"


# What to check --------------------------------------------------------------------------------------------------------


def caution_sentences(advice: Advice) -> list[str]:
    """Return a sentence for each caution; one of all metrics that the surfaces miss, and one of those that lack fit."""
    found = {code: [row for row in advice.cautions if row["code"] == code] for code in OF_METRICS}
    rest = [caution_sentence(row, advice) for row in advice.cautions if row["code"] not in OF_METRICS]
    return rest + [OF_METRICS[code](rows, advice.labels) for code, rows in found.items() if rows]


def missed_sentence(rows: Sequence[Row], labels: Labels) -> str:
    """Say of which metrics the surface predicts something else than was measured at the recommended setting."""
    parts = [f"{labels[row['response']]} {number(row['value'])} ({number(row['limit'])})" for row in rows]
    return f"The surfaces miss what was measured here (in brackets what they predict): {joined(parts)}."


def lack_sentence(rows: Sequence[Row], labels: Labels) -> str:
    """Say of which metrics the surface's form is found not to fit."""
    parts = [f"{labels[row['response']]} ({p_equals(row['p_value'])})" for row in rows]
    return f"The surface does not fit {joined(parts)}: rely on measured means, not on predictions between settings."


def caution_sentence(row: Row, advice: Advice) -> str:
    """Say one thing to check before relying on the recommended setting."""
    label = advice.labels.get(row["response"], "")
    if row["code"] in OF_RUNS:
        return OF_RUNS[row["code"]](row)
    match row["code"]:
        case Caution.EMPTIED:
            return f"One requirement was dropped, since no setting met it: {EMPTIED_BY[row['detail']]}."
        case Caution.EDGE:
            end = "highest" if row["detail"] == "high" else "lowest"
            return (
                f"{sentence_case(factor_label(row['factor']))} {level(row['level'])} is the {end} level tried: try "
                f"{level(row['next_level'])} ({cost_text(row)})."
            )
        case Caution.FEW_SEEDS:
            seeds = counted(int(row["count"]), "seed") + (" of a part" if row["detail"] == "part" else "")
            return f"{seeds}: {level(row['limit'])} or more show what another seed changes."
        case Caution.FEW_SENTENCES:
            return (
                f"{counted(int(row['count']), 'test sentence')} give {label} a standard error of "
                f"{significant(row['value'])}, more than the smallest effect of interest ({significant(row['limit'])})."
            )
        case Caution.WORST_IN:
            return f"Its {label}, {number(row['value'])}, is the worst of all {int(row['count'])} settings."
        case Caution.WORSE_THAN_BASELINE_IN:
            return f"Its {label}, {number(row['value'])}, is worse than the baseline's {number(row['limit'])}."
    where = settings_list(advice.levels[row["detail"]])
    return f"{int(row['count'])} of {counted(int(row['runs']), 'run')} failed at or next to it: {where}."


def unlearnt_sentence(row: Row) -> str:
    """Say how many runs answer one class only, or guess, and what accuracy the commonest class alone has."""
    what = "nearly always give the same answer" if row["code"] == Caution.ONE_CLASS else "answer as if they guessed"
    always = f"always answering {row['detail']} has an accuracy of {number(row['value'], 3)}"
    return f"{int(row['count'])} of {counted(int(row['runs']), 'run')} {what}; {always}."


def class_sentence(row: Row) -> str:
    """Say where classes are taken for one another."""
    of_runs = f"{int(row['count'])} of {counted(int(row['runs']), 'run')}"
    whose = "the baseline" if row["detail"] == "baseline" else of_runs
    if row["code"] == Caution.HEAD_REPLACED:
        return (
            f"The classes of the model's own head have other names than the data's: {whose} began with a new head; "
            "the config's `head` can say which class is which."
        )
    return (
        f"{sentence_case(whose)}: wrong more often than answers at random (accuracy {number(row['value'])}, chance "
        f"{number(row['limit'])}); classes may be in another order than the data's."
    )


def added_sentence(row: Row) -> str:
    """Say what was added after a look at the results, and which intervals allow for it."""
    noun = "setting" if row["code"] == Caution.SETTINGS_ADDED else "seed"
    goal = "" if is_missing(row["detail"]) else f" for {row['detail']}"
    added = f"{counted(int(row['count']), noun)} added after a look at the results{goal}"
    if noun == "setting":
        return f"{added}, chosen by their levels alone: intervals hold as they are."
    if row["code"] == Caution.SEEDS_ADDED:
        return f"{added}: the interval of that effect allows for it, others may be a little too narrow."
    return f"{added}: no interval allows for it, and all may be a little too narrow."


OF_METRICS: dict[str, Callable[[Sequence[Row], Labels], str]] = {  # what one sentence says of all metrics
    Caution.MISSED: missed_sentence,
    Caution.LACK_OF_FIT: lack_sentence,
}
OF_RUNS: dict[str, Callable[[Row], str]] = {  # what is said of the study's runs, whatever is recommended
    Caution.LEARNT_NOTHING: lambda row: TO_LEARN,
    Caution.ONE_CLASS: unlearnt_sentence,
    Caution.GUESSING: unlearnt_sentence,
    Caution.BELOW_CHANCE: class_sentence,
    Caution.HEAD_REPLACED: class_sentence,
    **dict.fromkeys((Caution.SEEDS_ADDED, Caution.SEEDS_ADDED_FREELY, Caution.SETTINGS_ADDED), added_sentence),
}


# What to run next -----------------------------------------------------------------------------------------------------


def next_sentences(advice: Advice) -> list[str]:
    """Return a sentence for each thing to run next."""
    return [next_sentence(row, advice.labels[row["response"]]) for row in advice.next_runs]


def next_sentence(row: Row, label: str) -> str:
    """Say what to run next, what it costs and what it would settle; label: the primary metric in words."""
    cost, count = cost_text(row), len(str(row["point_ids"] or "").split())
    match row["code"]:
        case Next.EXTEND:
            moved = f"{factor_label(row['factor'])} {level(row['level'])}"
            return f"Extend the range to {moved} ({cost}): shows whether the best is beyond the levels tried."
        case Next.SEEDS:
            more = counted(int(row["seeds"]), "more seed")
            return f"{more} at the {count} best settings ({cost}): about what shows which is better in {label}."
        case Next.SENTENCES:
            asked = f"Evaluate on {int(row['sentences']):,} sentences"
            return f"{asked} ({cost}): about what shows which of {count} settings is better in {label}."
        case Next.AUGMENT:
            more, goal = (
                counted(int(row["seeds"]), "more seed"),
                Goal(row["factor"], row["response"], row["half_width"]),
            )
            what = f"Settle what {factor_label(row['factor'])} does to {label}"
            return f'{what}: {more} at every setting ({cost}), by `make augment GOAL="{goal}"`.'
        case Next.CONFIRM:
            fresh = counted(int(row["seeds"]), "new seed")
            return f"Confirm {count} settings with {fresh} ({cost}): free of the winner's curse."
    return f"Or stop: no setting tried is better in {label} by more than the smallest effect of interest."


def cost_text(row: Row) -> str:
    """Print runs and time."""
    runs = counted(int(row["runs"]), "run")
    return runs if is_missing(row["seconds"]) else f"{runs}, {duration(row['seconds'])} of training"
