"""How often a setting without any effect gets a p below 0.05, by how found models are pooled, in simulated cards.

Data sets differ in their metric, and owners of easier ones like large batches; owners differ among themselves by as
much as repetitions do, and a few have many cards. No setting moves the metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd

from finevar.found.choice import Question
from finevar.found.pooling import pooling_rows
from finevar.study.coding import Coding

OWNERS, CARDS, DATASETS = 30, 120, 5
SPREADS = {"data sets": 0.03, "owners": 0.005, "repetitions": 0.005}  # standard deviations
FACTORS = {
    "learning_rate": Coding((1e-5, 1e-4), "log10"),
    "batch_size": Coding((8, 64), "log2"),
    "epochs": Coding((1, 4), "identity"),
}
QUESTION = Question(FACTORS, ("accuracy",), "first_order", "text-classification", (), 5, 0.9)
ALPHA = 0.05


def cards(generator: np.random.Generator, *, habits: bool) -> pd.DataFrame:
    """Return cards without effects; habits: owners have settings of their own, which go with their data set."""
    share = 1 / np.arange(1, OWNERS + 1)
    owner = np.concatenate([np.arange(OWNERS), generator.choice(OWNERS, CARDS - OWNERS, p=share / share.sum())])
    data = generator.integers(DATASETS, size=OWNERS)[owner]
    ease = np.sort(generator.normal(scale=SPREADS["data sets"], size=DATASETS))
    liked = (
        np.clip(data + generator.integers(-1, 2, size=OWNERS)[owner], 0, 3)
        if habits
        else generator.integers(4, size=CARDS)
    )
    own = generator.normal(scale=SPREADS["owners"], size=OWNERS)[owner]
    accuracy = 0.85 + ease[data] + own + generator.normal(scale=SPREADS["repetitions"], size=CARDS)
    return pd.DataFrame(
        {
            "card_id": [f"card{number}" for number in range(CARDS)],
            "owner": [f"owner{number}" for number in owner],
            "base_model": "base",
            "method": None,
            "task": "text-classification",
            "data": [f"set{number}" for number in data],
            "learning_rate": generator.choice([1e-5, 2e-5, 5e-5, 1e-4], size=CARDS),
            "batch_size": np.array([8, 16, 32, 64])[liked],
            "epochs_asked": generator.choice([1.0, 2.0, 3.0, 4.0], size=CARDS),
            "accuracy": accuracy,
        }
    ).assign(
        loss=np.nan, f1=np.nan, f1_average=None, headline=None, epochs_run=np.nan, eval_interval=np.nan, reason=None
    )


def rates(studies: int, seed: int) -> Iterator[tuple[str, float]]:
    """Yield what is counted, and in how many per cent of studies batch size gets a p below 0.05."""
    for truth, habits in (("settings at random", False), ("settings by habit", True)):
        found: Counter[str] = Counter()
        for number in range(studies):
            generator = np.random.default_rng([seed, habits, number])
            for row in pooling_rows(cards(generator, habits=habits), QUESTION, 0.95):
                if row["pool"] == "compared" and row["factor"] == "batch_size":
                    what = f"{row['specification']}, {row['errors']}"
                    found[what] += row.get("p_value", 1.0) < ALPHA
        for what, count in found.items():
            yield f"{truth}: {what}", 100 * count / studies
