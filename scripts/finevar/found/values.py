"""What a model card says of evaluations: the headline metrics, the table, and how the two go together."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult

from finevar.found.lines import (
    HEADING,
    cells,
    cut,
    facts_of,
    from_dictionary,
    is_rule,
    outside_code,
    plain_number,
    table_pairs,
    texts,
)
from finevar.metrics import ON_CARDS, RESPONSES

MOST_STEPS = 2**53
ANNOUNCING = ("validation metrics", "evaluation results", "results", "eval results", "evaluation")  # headings
OF_TRAINING = re.compile(r"\bepoch\b|\btrain", re.IGNORECASE)
AVERAGES = ("macro", "micro", "weighted", "binary")

Stated = dict[str, Any]  # what a card states, by column


@dataclass(frozen=True)
class Values:
    """Metrics that stand together in one place of a card."""

    found: Mapping[str, float]
    f1_average: str | None
    notes: tuple[str, ...]


# Metrics --------------------------------------------------------------------------------------------------------------


def read_evaluation(body: Sequence[str], results: Sequence[EvalResult], *, behind: int = 0) -> Stated:
    """Return the headline metrics, those of the last and of the best row of the table, and what training ran.

    behind: by how much the table counts epochs too low: Keras calls the first one 0, Trainer counts the epochs gone.
    The best row is that of lowest validation loss: Trainer's own choice, unless another was asked for.
    """
    lines = list(outside_code(body))
    pairs, rows = list(results_list(lines)), table_rows(lines)
    rows = [row | {"epoch": row["epoch"] + behind} if "epoch" in row else row for row in rows]
    listed, measured = named_values(pairs), metadata_values(results)
    headline, notes = agreed(listed, measured)
    stated: Stated = {name: headline.get(name) for name in ON_CARDS}
    last = rows[-1] if rows else {}
    best = min((row for row in rows if "loss" in row), key=lambda row: row["loss"], default={})
    for place, row in (("last", last), ("best", best)):
        stated |= {f"{place}_{name}": row.get(name) for name in ON_CARDS}
    stated["f1_average"] = listed.f1_average or measured.f1_average
    stated["headline"] = which_row(headline, last, best, rows)
    stated["evaluated"] = "text" if listed.found else "metadata" if measured.found else None
    return stated | training_end(rows, pairs) | {"notes": [*listed.notes, *measured.notes, *notes]}


def results_list(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the lines below the sentence, or the heading, that announces an evaluation.

    Without such lines, of a table there, but of evaluations during training or on what was trained on.
    """
    inside, heard = False, False
    for is_table, group in itertools.groupby(lines, key=lambda line: bool(cells(line))):
        if is_table:
            table = list(group)
            if inside and not heard and not any(map(OF_TRAINING.search, table)):
                heard = True
                yield from table_pairs(map(cells, table), lambda name: metric_of(name)[0] is not None)
            continue
        for line in group:
            heading = HEADING.match(line)
            if "achieves the following results" in line.lower() or (heading and heading[2].lower() in ANNOUNCING):
                if heard:  # a second list is of another evaluation
                    return
                inside = True
            elif heading:
                inside = False
            elif inside and (facts := facts_of(line)):
                heard = True
                yield from facts


def metadata_values(results: Sequence[EvalResult]) -> Values:
    """Return the metrics of the metadata, where they are of one data set."""
    if len({(*texts(result.dataset_type), *texts(result.dataset_config)) for result in results}) > 1:
        return Values({}, None, ("its metadata has results on several data sets",))
    names = ((texts(result.metric_name) or texts(result.metric_type), result.metric_value) for result in results)
    return named_values((name[0], value) for name, value in names if name)


def named_values(pairs: Iterable[tuple[str, Any]]) -> Values:
    """Return the metrics among pairs of a name and a value as it is written."""
    found: dict[tuple[str, str | None], list[float]] = {}
    notes: list[str] = []
    for written, value in pairs:
        name, average = metric_of(written)
        if name is None:
            continue
        number, note = metric_value(name, value)
        if note:
            notes.append(note)
        elif number not in (known := found.setdefault((name, average), [])):
            known.append(number)
    values = {}
    for (name, average), numbers in found.items():
        if len(numbers) > 1:
            notes.append(f"{name} is stated as {numbers[0]:g} and as {numbers[1]:g}")
        else:
            values[name, average] = numbers[0]
    f1, average, note = one_f1({average: value for (name, average), value in values.items() if name == "f1"})
    notes += [note] if note else []
    plain = {name: value for (name, _), value in values.items() if name != "f1"}
    return Values(plain | ({} if f1 is None else {"f1": f1}), average, tuple(notes))


def one_f1(stated: Mapping[str | None, float]) -> tuple[float | None, str | None, str | None]:
    """Return F1, how it is averaged, and a note where several stand side by side.

    stated: F1 by the average that its name says, None where it says none. Trainer's plain F1 names none.
    """
    if None in stated:
        same = [average for average, value in stated.items() if average and value == stated[None]]
        return stated[None], same[0] if len(same) == 1 else None, None
    if len(stated) > 1:
        return None, None, f"F1 is stated with {len(stated)} averages, none of which is the headline's"
    average = next(iter(stated), None)
    return stated.get(average), average, None


def metric_of(written: str) -> tuple[str | None, str | None]:
    """Return the metric that a name stands for, and how F1 is averaged where the name says so."""
    words = re.sub(r"[\s_-]+", " ", written.strip().strip("*`").lower()).strip()
    for average in AVERAGES:
        rest = re.sub(rf"\b{average}\b( avg| average)?", "", words).strip()
        if rest != words and " ".join(rest.split()) in RESPONSES["f1"].card_names:
            return "f1", average
    return next((name for name in ON_CARDS if words in RESPONSES[name].card_names), None), None


def metric_value(name: str, value: Any) -> tuple[float | None, str | None]:
    """Return a metric's value, or a note on why what stands there is none."""
    if isinstance(value, bool):
        return None, f"{name} reads {value}"
    if isinstance(value, str) and value.strip().startswith("{"):
        value = from_dictionary(value)
    if isinstance(value, Mapping):
        same = [inner for key, inner in value.items() if isinstance(key, str) and metric_of(key)[0] == name]
        value = same[0] if len(same) == 1 else None
    number = plain_number(value) if isinstance(value, str) else None
    if isinstance(value, (int, float)) and abs(value) < 1e300:
        number = float(value)
    if number is None:
        read = cut(value) if isinstance(value, str) else f"a {type(value).__name__}"
        return None, f"{name} reads {read}, which is no single number"
    low, high = RESPONSES[name].bounds
    if not low <= number <= high:
        possible = "what it can be" if math.isinf(high) else f"{low:g} to {high:g}"
        return None, f"{name} reads {number:g}, which lies outside {possible}"
    return number, None


def agreed(listed: Values, measured: Values) -> tuple[dict[str, float], list[str]]:
    """Return the headline metrics: the text's, with the metadata's digits where the two agree.

    Where they differ, neither is taken. Trainer rounds to four places in the text.
    """
    if not listed.found:
        return dict(measured.found), []
    found, notes = {}, []
    for name, ours in listed.found.items():
        other = measured.found.get(name, ours)
        if math.isclose(ours, other, abs_tol=5.01e-5):
            found[name] = other
        else:
            notes.append(f"{name} is {ours:g} in the text and {other:g} in the metadata")
    return found, notes


# The table of evaluations ---------------------------------------------------------------------------------------------


def table_rows(lines: Sequence[str]) -> list[dict[str, float]]:
    """Return epoch, step and metrics of the rows of the table of evaluations during training."""
    for number, (line, below) in enumerate(itertools.pairwise(lines), 2):
        head = [name.lower() for name in cells(line)]
        if is_rule(cells(below)) and "epoch" in head and any(metric_of(name)[0] == "loss" for name in head):
            return list(read_rows(head, lines[number:]))
    return []


def read_rows(head: Sequence[str], lines: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield the rows of a table as far as it goes; a cell that is no number is left out."""
    for line in lines:
        row = cells(line)
        if len(row) != len(head):
            return
        found: dict[str, float] = {}
        for name, text in zip(head, row, strict=True):
            if name in ("epoch", "step"):
                value = plain_number(text)
                if value is not None and 0 <= value <= MOST_STEPS:
                    found[name] = value
            elif (metric := metric_of(name)[0]) and (value := metric_value(metric, text)[0]) is not None:
                found.setdefault(metric, value)
        yield found


def which_row(
    headline: Mapping[str, float], last: Stated, best: Stated, rows: Sequence[Mapping[str, float]]
) -> str | None:
    """Say which evaluation of the table the headline is: last, best, both in one, another one, or none of them."""
    if not headline or not rows:
        return None
    same = [name for name, row in (("last", last), ("best", best)) if same_row(headline, row)]
    return " and ".join(same) or ("another row" if any(same_row(headline, row) for row in rows) else "no row")


def training_end(rows: Sequence[Mapping[str, float]], pairs: Iterable[tuple[str, str]]) -> Stated:
    """Return the epochs and steps that training ran, and the epochs between its last two evaluations.

    By the table, whose only row comes an interval after the start; without one by the list of results (pairs), whose
    raw `eval_*` keys have an epoch and a step beside them.
    """
    read = {name: plain_number(value) for name, value in pairs if name in ("epoch", "step")}
    listed = {name: value for name, value in read.items() if value is not None and 0 < value <= MOST_STEPS}
    end = rows[-1] if rows and rows[-1] else listed
    step, epochs = end.get("step"), [row["epoch"] for row in rows if "epoch" in row]
    known = bool(epochs) and len(epochs) == len(rows)
    return {
        "epochs_run": end.get("epoch"),
        "steps_run": int(step) if step is not None and step == int(step) else None,
        "eval_interval": epochs[-1] - (epochs[-2] if len(epochs) > 1 else 0.0) if known else None,
    }


def same_row(headline: Mapping[str, float], row: Mapping[str, float]) -> bool:
    """Say whether all metrics that a row shares with the headline agree, and there is one."""
    shared = [name for name in ON_CARDS if name in headline and name in row]
    return bool(shared) and all(math.isclose(headline[name], row[name], abs_tol=5.01e-5) for name in shared)
