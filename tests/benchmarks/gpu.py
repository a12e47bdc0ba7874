"""Time training steps on a GPU by the way they are taken: python -m tests.benchmarks.gpu; from the repository's root.

On random sentences as long as those of the default study, for the sizes of `step`: batches laid end to end, padded to a
few fixed shapes, and those shapes captured as CUDA graphs; then the last with several runs at once on the one card.
Prints real tokens a second. Without a GPU it says so and does nothing.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import torch
from tests.benchmarks.step import LENGTHS, SHARES, SIZES, WORDS, random_weights

from finevar.data.encoding import Encoded
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.machine import choose_dtype, set_up
from finevar.models.randomness import generator
from finevar.study.settings import TRAINING_DEFAULTS
from finevar.training.padded import PaddedSteps
from finevar.training.schedule import epoch_batches
from finevar.training.start import first_state
from finevar.training.steps import Course, FlatSteps

WAYS = ("end to end", "padded", "captured")
EXAMPLES, EPOCHS = 2048, 3  # the first epoch is not timed: it loads kernels and captures shapes
AT_ONCE = (1, 2, 4)
SETTINGS = TRAINING_DEFAULTS | {"weight_decay": 0.01}


def main() -> None:
    """Time each way at each size and batch size, then several runs at once."""
    if not torch.cuda.is_available():
        print("skipped: needs a CUDA device")
        return
    print(f"{torch.cuda.get_device_name()}, matrices in {choose_dtype('auto', 'cuda')}")
    print(f"| | batch | {' | '.join(f'{way}, tokens/s' for way in WAYS)} |")
    print(f"|{(2 + len(WAYS)) * '---|'}")
    for name, family in SIZES.items():
        for size in (16, 32, 64):
            found = [tokens_per_second(family, size, way, "cuda") for way in WAYS]
            print(f"| {name} | {size} | {' | '.join(f'{speed:,.0f}' for speed in found)} |", flush=True)
    print("\n| runs at once, batch 32, captured | tokens/s of all |\n|---|---|")
    for count in AT_ONCE:
        with get_context("spawn").Pool(count) as pool:
            jobs = [(SIZES["MiniLM, 22.7 M"], 32, "captured", "cuda")] * count
            print(f"| {count} | {sum(pool.starmap(tokens_per_second, jobs, chunksize=1)):,.0f} |", flush=True)


def tokens_per_second(
    family: FlatDistilBert, size: int, way: str, device: str, *, count: int = EXAMPLES, epochs: int = EPOCHS
) -> float:
    """Return the real tokens a second of training by a way, after its first epoch."""
    set_up(1)
    dtype = choose_dtype("auto", device)
    course = Course(family, random_examples(count), SETTINGS | {"batch_size": size}, seed=0, dtype=dtype)
    state = first_state(random_weights(family), course).to(device)
    steps = FlatSteps(course, state, 1) if way == "end to end" else PaddedSteps(course, state)
    steps.masks.set_state(generator(0, "dropout", device=device).get_state())
    if isinstance(steps, PaddedSteps):
        steps.captures = way == "captured" and device == "cuda"
    begun, tokens = 0.0, 0
    for epoch in range(epochs):
        if epoch == 1:
            begun, tokens = time.perf_counter(), 0
        for numbers in epoch_batches(count, size, 0, epoch):
            tokens += steps.take(numbers, 2e-5).tokens
    return tokens / (time.perf_counter() - begun)


def random_examples(count: int) -> Encoded:
    """Return random sentences as long as those of the default study."""
    draw = np.random.default_rng(0)
    sizes = np.interp(draw.uniform(size=count), SHARES, LENGTHS).astype(int)
    tokens = draw.integers(0, WORDS, sizes.sum()).astype(np.int32)
    return Encoded(tokens, np.concatenate([[0], np.cumsum(sizes)]), draw.integers(0, 2, count))


if __name__ == "__main__":
    main()
