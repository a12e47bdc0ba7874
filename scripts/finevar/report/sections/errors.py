"""The report's section on errors: which classes are confused, and which sentences are hard, by setting and baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import pandas as pd

from finevar.analyses.errors import ALL, BROKEN, CONTESTED, EVEN, MOST_CLASSES, WRONG_IN_ALL
from finevar.analyses.recommended import recommended_point
from finevar.report.cells import cell, columns, crossed, listed, whole
from finevar.report.parts import Cell, Group, Labels, Row, Section, Table, Tables, chosen, group
from finevar.study.kinds import TRAINED
from finevar.words.formatting import counted, joined, settings_text
from finevar.words.numbers import PLUS_MINUS, is_missing, number, percent, whole_percent

PART, PLACE, TITLE = "errors", 10, "Errors"
STUDIES = (TRAINED,)
MOST_NAMED = 3  # data sets that have a part of their own
BASELINE = "baseline"
BY_POINT = ("confusion", "classes", "sentence_counts", "sentences")
NONE_FINISHED = "No run has finished with predictions, so no error can be shown."
SORTS = {
    WRONG_IN_ALL: "Wrong in all {runs} runs, so the label may be wrong",
    CONTESTED: f"Contested: right in {percent(EVEN[0])} to {percent(EVEN[1])} of {{runs}} runs",
    BROKEN: "Broken by fine-tuning: right by the baseline, wrong in most of the setting's {runs} runs",
}


def section(tables: Tables, labels: Labels, factors: Sequence[str], confidence: float) -> Section:
    """Return what the recommended setting gets wrong beside the baseline, by class and by sentence.

    tables: metrics, recommendation, confusion, classes, sentence_counts and sentences.
    """
    counts = tables["sentence_counts"]
    if counts.empty:
        return {"finding": NONE_FINISHED, "groups": []}
    point = point_of(tables)
    errors = errors_at(tables, point)
    levels = chosen(tables["metrics"], point_id=point).iloc[0][list(factors)]
    datasets = errors["sentence_counts"]["dataset"].unique()[:MOST_NAMED]
    groups = [dataset_group(errors, str(name), titled=len(datasets) > 1) for name in datasets]
    return {"finding": finding_sentence(errors, str(datasets[0]), settings_text(levels)), "groups": groups}


def point_of(tables: Tables) -> str:
    """Return the setting that the section is about: the recommended one, or the first where none is."""
    finished = tables["sentence_counts"]["point_id"]
    return recommended_point(tables) or str(finished[finished != ALL].iloc[0])


def errors_at(tables: Tables, point: str) -> dict[str, pd.DataFrame]:
    """Return the rows of the tables BY_POINT on a setting, on its baseline and on all settings together."""
    metrics = tables["metrics"]
    own = chosen(metrics, point_id=point)["baseline_id"].iloc[0] if "baseline_id" in metrics else BASELINE
    found = {name: tables[name][tables[name]["point_id"].isin([point, own, ALL])] for name in BY_POINT}
    datasets = chosen(found["sentence_counts"], point_id=point)["dataset"]
    return {name: rows[rows["dataset"].isin(datasets)].reset_index(drop=True) for name, rows in found.items()}


def finding_sentence(errors: Mapping[str, pd.DataFrame], dataset: str, levels: str) -> str:
    """Say how many sentences a run of the setting has wrong, the baseline too, and how many no run has right."""
    classes = chosen(errors["classes"], dataset=dataset)
    wrong = {
        role: float((rows["support"] * (1 - rows["recall"].fillna(0))).sum()) for role, rows in classes.groupby("role")
    }
    everything = chosen(errors["sentence_counts"], dataset=dataset, point_id=ALL).iloc[0]
    never = int(everything["wrong_in_all"])
    where = f" on {dataset}" if errors["sentence_counts"]["dataset"].nunique() > 1 else ""
    return (
        f"With {levels}, a run has on average {wrong['run']:.0f} of {everything['sentences']:,} test sentences "
        f"wrong{where}; the baseline has {wrong[BASELINE]:.0f}. {never} {'is' if never == 1 else 'are'} wrong in "
        f"all {counted(int(everything['runs']), 'run')} of the study{': check their labels first' if never else ''}."
    )


def dataset_group(errors: Mapping[str, pd.DataFrame], dataset: str, *, titled: bool) -> Group:
    """Return confusion matrices side by side, the classes, and the lists of sentences on one data set."""
    own = {name: chosen(rows, dataset=dataset) for name, rows in errors.items()}
    many = own["classes"]["label"].nunique() > MOST_CLASSES
    grids, folded = [classes_table(own["classes"])], [*sentences_tables(own)]
    return group(
        f"On {dataset}" if titled else "",
        sentences(own),
        beside=[confusions_table(own["confusion"])] if many else [*matrices(own)],
        folded=[*grids, *folded],
    )


def sentences(own: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield what is confused most often, and what fine-tuning broke and mended."""
    wrong = own["confusion"].query("role == 'run' and label != predicted")
    if len(wrong):
        row = wrong.loc[wrong["count"].idxmax()]
        yield (
            f"The most frequent error: {row['label_name']} taken for {row['predicted_name']}, "
            f"{number(row['count'], 1)} sentences a run ({whole_percent(row['share'])} of {row['label_name']})."
        )
    silent = own["classes"].query("role == 'run' and support > 0 and precision.isna()")
    if len(silent):
        names = joined([f"{row.label_name} ({counted(row.support, 'sentence')})" for row in silent.itertuples()])
        yield f"Never answered by a run of the setting: {names}. F1 of such a class counts as 0."
    at = own["sentence_counts"].query("point_id != @ALL").iloc[0]
    yield (
        f"Fine-tuning broke {counted(int(at['broken']), 'sentence')} (right by the baseline, wrong in most of the "
        f"setting's {counted(int(at['runs']), 'run')}) and mended {at['mended']:,}, the other way round."
    )


# Classes --------------------------------------------------------------------------------------------------------------


def matrices(own: Mapping[str, pd.DataFrame]) -> Iterator[Table]:
    """Yield the confusion matrix of the setting, mean over its runs, and the baseline's; shaded by share of a row."""
    names = dict(own["classes"][["label", "label_name"]].drop_duplicates().itertuples(index=False))
    across = {label: f"As {name}#" for label, name in names.items()}
    down = {label: [name] for label, name in names.items()}
    by = ("label", "predicted")
    for role, title in (("run", "Recommended setting, mean run"), (BASELINE, "Baseline")):
        rows = chosen(own["confusion"], role=role)
        yield crossed(title, rows, by, ["Class"], down, across, {"": confused_cell})


def confused_cell(row: Row) -> Cell:
    """Return a cell with how many sentences of a class are predicted to be of another, and their share."""
    return cell(
        number(row["count"], 0 if row["runs"] == 1 else 1), note=whole_percent(row["share"]), shade=row["share"]
    )


def confusions_table(confusion: pd.DataFrame) -> Table:
    """Return the setting's most frequent confusions, of too many classes for a matrix, beside the baseline's."""
    by = ["label", "predicted"]
    frozen = confusion[confusion["role"] == BASELINE].set_index(by)["count"].rename("frozen")
    rows = confusion[confusion["role"] == "run"].join(frozen, on=by)
    shown = columns(str, label_name="Class", predicted_name="Taken for")
    shown += columns(partial(number, decimals=1), count="Sentences a run#", frozen="Baseline#")
    return listed("The most frequent confusions; a dash: not among the baseline's.", rows, shown)


def classes_table(classes: pd.DataFrame) -> Table:
    """Return precision, recall and F1 of each class, mean and standard deviation over runs, above the baseline's."""
    frozen = chosen(classes, role=BASELINE).set_index("label")

    def score(row: Row, name: str) -> Cell:
        spread = "" if is_missing(row[f"{name}_sd"]) else f" {PLUS_MINUS} {number(row[f'{name}_sd'], 3)}"
        return cell(f"{number(row[name], 3)}{spread}", note=f"baseline {number(frozen[name][row['label']], 3)}")

    shown = [("Class", lambda row: cell(row["label_name"], note=counted(row["support"], "sentence")))]
    titles = {"precision": "Precision#", "recall": "Recall#", "f1": "F1#"}
    shown += [(title, partial(score, name=name)) for name, title in titles.items()]
    caption = f"By class, mean {PLUS_MINUS} SD of the recommended setting's runs."
    if classes["reason"].notna().any():
        caption += " A run that answers a class for no sentence has no precision there, and counts in no mean of it."
    return listed(caption, chosen(classes, role="run"), shown)


# Sentences ------------------------------------------------------------------------------------------------------------


def sentences_tables(own: Mapping[str, pd.DataFrame]) -> Iterator[Table]:
    """Yield a table for each kind of hard sentence that has any to show."""
    counts = own["sentence_counts"]
    for kind, title in SORTS.items():
        rows = own["sentences"][own["sentences"]["kind"] == kind]
        if rows.empty:
            continue
        at = counts[(counts["point_id"] == ALL) == (kind != BROKEN)].iloc[0]
        some = f"first {len(rows):,} of " if len(rows) < at[kind] else ""
        caption = f"{title.format(runs=whole(at['runs']))} ({some}{counted(int(at[kind]), 'sentence')})"
        shown = [("Sentence", sentence_cell), *columns(partial(number, decimals=2), probability="Mean probability#")]
        shown += columns(whole_percent, share_wrong="Runs wrong#")
        yield listed(caption, rows, shown)


def sentence_cell(row: Row) -> Cell:
    """Return a cell with a sentence and, below it, its class and the wrong one."""
    return cell(row["text"], note=f"{row['label_name']}, taken for {row['predicted_name']}")
