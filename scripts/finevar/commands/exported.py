"""Compare what transformers computes from an exported folder with what was evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from finevar.data.encoding import Encoded
from finevar.data.pairs import texts_in
from finevar.errors import InputError
from finevar.evaluation.evaluation import evaluate_model
from finevar.models.tokenization import load_tokenizer
from finevar.study.consistency import cut

CHECKED = 500  # evaluation sentences, the first ones
TOLERANCE = 1e-4  # of float32 logits, relative to the largest where that is above 1: sums are in another order


@dataclass(frozen=True)
class Agreement:
    """How transformers' float32 logits compare with those that were evaluated, which may be bfloat16's."""

    version: str  # of transformers
    sentences: int
    gap: float  # the largest difference of a logit
    same: int  # sentences given the same class


def check_exported(
    folder: Path,
    texts: Sequence[str],
    examples: Encoded,
    evaluated: np.ndarray,
    classes: Sequence[str],
    max_length: int,
) -> Agreement:
    """Read a folder with transformers and compare it with an evaluation, on its first sentences.

    texts, examples, evaluated: the evaluation's sentences, their token ids and the logits [sentences, classes] that it
    gave. Raises InputError where transformers reads other token ids or class names, or where its logits differ, beyond
    the order of sums, from ours of the same folder in the same arithmetic, float32.
    """
    import transformers

    texts = list(texts[:CHECKED])
    examples = examples.head(len(texts))
    check_tokens(folder, texts, examples, max_length)
    theirs = pipeline_logits(folder, texts, classes, max_length)
    exact, measured = evaluate_model(folder, examples, classes, torch.float32, max_length=max_length, device="cpu")
    if exact is None:
        raise disagreement(folder, found=f"{measured['reason']} in float32", allowed="finite logits, as were evaluated")
    gap = float(np.abs(theirs - exact).max())
    if not gap <= TOLERANCE * max(1.0, float(np.abs(exact).max())):
        raise disagreement(
            folder,
            found=f"logits that differ by {gap:.1e} from those evaluated, in float32 on {len(texts):,} sentences",
            allowed=f"at most {TOLERANCE:g} of the largest logit",
        )
    evaluated = evaluated[: len(texts)]
    return Agreement(
        version=transformers.__version__,
        sentences=len(texts),
        gap=float(np.abs(theirs - evaluated).max()),
        same=int((theirs.argmax(1) == evaluated.argmax(1)).sum()),
    )


def check_tokens(folder: Path, texts: Sequence[str], examples: Encoded, max_length: int) -> None:
    """Raise InputError where a folder's tokenizer, read by transformers, gives other ids than were evaluated."""
    found = load_tokenizer(folder)(list(map(texts_in, texts)), truncation=True, max_length=max_length)["input_ids"]
    used = [examples.sentence(number, max_length).tolist() for number in range(len(texts))]
    if odd := [text for text, left, right in zip(texts, found, used, strict=True) if left != right]:
        raise disagreement(
            folder,
            found=f"other token ids than were evaluated, of {len(odd):,} of {len(texts):,} sentences, such as "
            f"{cut(repr(odd[0]), 60)}",
            allowed="the same",
        )


def pipeline_logits(folder: Path, texts: Sequence[str], classes: Sequence[str], max_length: int) -> np.ndarray:
    """Return the logits [sentences, classes] of a pipeline made as the model card says."""
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    classify = pipeline(
        "text-classification", model=str(folder), device="cpu", truncation=True, max_length=max_length, top_k=None
    )
    together = 32 if classify.tokenizer.pad_token else 1
    found = classify(list(map(pipeline_input, texts)), function_to_apply="none", batch_size=together)
    rows = [{one["label"]: one["score"] for one in row} for row in found]
    if names := {tuple(sorted(row)) for row in rows} - {tuple(sorted(classes))}:
        raise disagreement(folder, found=f"classes {', '.join(names.pop())}", allowed=", ".join(classes))
    return np.array([[row[name] for name in classes] for row in rows])


def pipeline_input(example: str) -> str | dict[str, str]:
    """Return an example as a pipeline takes it."""
    texts = texts_in(example)
    return texts if isinstance(texts, str) else dict(zip(("text", "text_pair"), texts, strict=True))


def disagreement(folder: Path, *, found: str, allowed: str) -> InputError:
    """Return the error of a folder that is not, to transformers, the model that was evaluated."""
    return InputError(
        f"{folder}, read by transformers",
        found=found,
        allowed=allowed,
        remedy="Delete the starting model's folder under results/models, so that it is converted again, and start "
        "Snakemake again. If that does not help, report it: the model is not exported.",
    )
