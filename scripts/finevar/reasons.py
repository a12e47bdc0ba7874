"""Why something has no result: a code, which programs compare, beside the sentence, which people read.

Each code's comment says what it stands for. Tables hold codes as text (columns `reason_code`, `gate_code`,
`set_aside_code`), so a code keeps its text for as long as results with it are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Reason:
    """A code and its sentence, as which it prints."""

    code: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


# What became of a run, as the column `status` has it.
OK, MISSING = "ok", "missing"
UNRECORDED = "trained before evaluations after each epoch were asked for"
DIVERGED, COLLAPSED = FAILED = ("diverged", "collapsed")  # results of their settings that no metric counts


class Collapse(StrEnum):
    """Why a run that finished has collapsed."""

    ONE_CLASS = "one_class"  # nearly all of its predictions are one class
    NO_BETTER = "no_better"  # its accuracy is no better than that of always the largest class


class Head(StrEnum):
    """Where the head that a training began with is from."""

    KEPT = "kept"  # the checkpoint's, its classes in the data's order
    REORDERED = "reordered"  # the checkpoint's, its rows put in the data's order
    NEW = "new"  # drawn, as the checkpoint had none, or one of another number of classes
    REPLACED = "replaced"  # drawn, as the names of the checkpoint's classes are not the data's


def reason_columns(reason: Reason | None) -> dict[str, str | None]:
    """Return a reason's sentence and code as columns of a table, null without one."""
    return {"reason": reason and reason.sentence, "reason_code": reason and reason.code}


class Stop(StrEnum):
    """What stops a response's tables before any p-value."""

    CARDS = "cards"  # a gate that all model cards stand before, see found_gates
    NO_VALUE = "no_value"  # no model card states the response
    EMPTY_CELLS = "empty_cells"  # points of the design without a run that finished or failed
    REPEATED_RUNS = "repeated_runs"
    MIXED_DTYPES = "mixed_dtypes"
    CONSTANT = "constant"  # every run has the same value
    ZERO_NOISE = "zero_noise"  # all seeds of each setting have the same value
    FEW_LEVELS = "few_levels"  # of a factor, for its highest power
    ALIASED = "aliased"  # terms that are combinations of those before them
    NO_RESIDUAL = "no_residual"  # as many parameters as runs
    LEVERAGE = "leverage"  # one run alone decides a parameter
    FEW_CLUSTERS = "few_clusters"  # of runs whose errors are correlated, for the parameters
    CLUSTER_LEVERAGE = "cluster_leverage"  # one of them alone decides a parameter
    NO_BASELINE = "no_baseline"  # the baseline has no value of the response
    OWN_BASELINES = "own_baselines"  # each model has its own, so that one fit has no relative reading


class Undecided(StrEnum):
    """What leaves an effect or a claim undecided, or without a verdict, besides what stopped its response."""

    DATASETS_DIFFER = "datasets_differ"  # the effect is not the same on all data sets, which have verdicts of their own
    ONE_SEED = "one_seed"  # the estimate rests on one seed alone
    NO_BOUND = "no_bound"  # no smallest effect of interest is known
    FEW_SEEDS = "few_seeds"  # too few to show that an effect is negligible
    MORE_SEEDS = "more_seeds"  # would narrow the interval most
    MORE_SENTENCES = "more_sentences"  # would narrow the interval most
    SUSPECTS = "suspects"  # the verdict is another one without the suspect runs
    NO_CLAIM = "no_claim"  # "not found significant" claims neither an effect nor its absence

    FIXED_FACTOR = "fixed_factor"  # the study does not vary it
    NO_TERM = "no_term"  # the study's model lacks it
    OTHER_LEVELS = "other_levels"  # the claim is about the same levels, and they slide, or the reverse
    NO_FIT = "no_fit"  # the study does not analyse the metric
    MULTIPLE_CLAIMS = "multiple_claims"  # shown alone, but not once all claims are counted
    NO_NOISE = "no_noise"  # one seed gives nothing to measure an effect against
    POWER = "power"  # too few seeds for an effect of interest
    CHANCE = "chance"  # enough seeds, and still neither is shown
    NO_RESULTS = "no_results"  # the study that trained has none yet
    UNTESTED = "untested"  # the study that trained does not test the claim


class Aside(StrEnum):
    """What keeps a model card from being compared."""

    UNUSABLE = "unusable"  # it states too little
    NO_FACTOR = "no_factor"  # it lacks a factor of the study
    NO_METRIC = "no_metric"  # of the evaluation that is compared
    DUPLICATE = "duplicate"  # the same metrics as another card
    TASK = "task"
    BASE_MODEL = "base_model"
    METHOD = "method"  # of training, such as an adapter's
    STOPPED_EARLY = "stopped_early"
    RANGE = "range"  # a factor beyond the levels that are compared
    NO_DATASET = "no_dataset"
    RARE_DATASET = "rare_dataset"  # too few cards on its data set


class Unseen(StrEnum):
    """What a model cannot have learnt from a data set, as it does not see it, or what its score cannot show."""

    UNKNOWN = "unknown"  # many tokens are unknown to the tokeniser
    CUT = "cut"  # many sentences lose their end
    IN_BOTH = "in_both"  # many evaluation sentences look like training sentences to the model
    UNLABELLED = "unlabelled"  # a class has the name that programs write for no label
    WRITTEN_TWICE = "written_twice"  # classes may be one, in two spellings


class Unused(StrEnum):
    """What keeps a row of a file of runs from being a run of the study."""

    BASELINE = "baseline"  # it is the baseline
    NO_FACTOR = "no_factor"  # a factor is empty, or no number
    NO_DATASET = "no_dataset"
    NO_SEED = "no_seed"
    IMPOSSIBLE = "impossible"  # a metric outside what it can be
    RANGE = "range"  # a factor beyond the levels that are compared
    PRUNED = "pruned"  # stopped early, by its metrics
    DUPLICATE = "duplicate"  # the same run, listed twice
    UNFINISHED = "unfinished"  # no run of its setting finished


class Excluded(StrEnum):
    """What keeps a tried setting from being recommended, whatever its metrics."""

    DIVERGED = "diverged"  # a run of it did
    COLLAPSED = "collapsed"  # a run of it has
    WORSE_THAN_BASELINE = "worse_than_baseline"  # significantly, in a metric
    OUTSIDE_BAND = "outside_band"  # a metric's measured mean is not what the surface predicts there
    UNLEARNT = "unlearnt"  # most runs of it show nothing learnt
    BEHIND = "behind"  # the best by more than the smallest effect of interest, though not significantly


class Primary(StrEnum):
    """Why a metric is the primary one."""

    CHOSEN = "chosen"  # analysis.primary names it
    DEFAULT = "default"
    RARE_CLASS = "rare_class"  # accuracy hardly shows a class that few sentences are of


class Caution(StrEnum):
    """What to check before relying on the recommended setting."""

    LEARNT_NOTHING = "learnt_nothing"  # nearly all runs show nothing learnt, and no setting is recommended
    ONE_CLASS = "one_class"  # runs answer one class only
    GUESSING = "guessing"  # runs whose answers do not follow the labels
    EMPTIED = "emptied"  # every candidate was excluded for one reason, which was then left out, or nothing is left
    EDGE = "edge"  # at an end of a factor's levels
    MISSED = "missed"  # the surface misses the runs there
    LACK_OF_FIT = "lack_of_fit"
    FEW_SEEDS = "few_seeds"
    FEW_SENTENCES = "few_sentences"
    WORST_IN = "worst_in"  # of all settings tried, in another metric
    WORSE_THAN_BASELINE_IN = "worse_than_baseline_in"  # measured, in a metric
    FAILED_NEAR = "failed_near"  # runs failed at a setting next to it
    BELOW_CHANCE = "below_chance"  # answers that are wrong more often than answers at random
    HEAD_REPLACED = "head_replaced"  # the checkpoint's head has classes of other names
    SEEDS_ADDED = "seeds_added"  # after a look at the results, by a two-stage rule that the goal's interval allows for
    SEEDS_ADDED_FREELY = "seeds_added_freely"  # after a look at the results, and no interval allows for it
    SETTINGS_ADDED = "settings_added"  # after a look at the results, chosen without them


class Untraded(StrEnum):
    """What keeps a metric, or settings in it, from being traded off."""

    SECONDS = "seconds"  # of training that are not known, or do not compare
    NO_VALUE = "no_value"  # of it on a data set, for some settings or all


class Next(StrEnum):
    """What to run next."""

    EXTEND = "extend"  # a factor's levels beyond the end that is best
    SEEDS = "seeds"
    SENTENCES = "sentences"
    AUGMENT = "augment"  # the study, until the interval of an undecided effect is narrow enough
    CONFIRM = "confirm"  # the recommended setting, its rivals and the baseline's with new seeds
    STOP = "stop"
