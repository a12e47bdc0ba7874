"""Time one training step by part: python -m tests.benchmarks.step; from the repository's root.

On random sentences as long as those of the default study, for its model's sizes: one process of one thread on each
core, as `snakemake --cores all` runs them, all at once. Prints milliseconds by part and the share of the matrix-product
ceiling that all cores reach together, real tokens alone: 6 FLOPs per weight of the layers and token, as is customary,
though the last layer leaves out what nothing reads.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import time
from collections import defaultdict
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import numpy as np
import torch
from tests.benchmarks.made import LENGTHS, SHARES, SIZES, WORDS, random_weights
from tests.benchmarks.rivals import ceiling, step_flops
from torch.nn import functional as F

from finevar.models.distilbert.encoder import classify, multiplied
from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.flat.packing import collate
from finevar.models.machine import choose_dtype, set_up
from finevar.models.randomness import generator
from finevar.training.optimiser import Moments, update

STEPS, WARM = 12, 3
PARTS = ("collate", "cast", "forward", "backward", "update")
Times = dict[str, float]


def main() -> None:
    """Time each batch size at each model size."""
    cores = len(os.sched_getaffinity(0))
    top = ceiling()
    print(f"{cores} cores, ceiling {top / 1e9:.0f} GFLOP/s in {choose_dtype('auto', 'cpu')}")
    print("| | batch | collate | cast | forward | backward | update | step, ms | tokens | of the ceiling |")
    print(f"|{10 * '---|'}")
    for name, architecture in SIZES.items():
        for size in (16, 32, 64):
            with get_context("spawn").Pool(cores) as pool:
                found = pool.starmap(time_steps, [(architecture, size, seed) for seed in range(cores)], chunksize=1)
            mean = {part: statistics.mean(times[part] for times in found) for part in found[0]}
            share = 100 * cores * step_flops(architecture) * mean["tokens"] / mean["step"] / top
            parts = " | ".join(f"{1000 * mean[part]:.1f}" for part in mean if part != "tokens")
            print(f"| {name} | {size} | {parts} | {mean['tokens']:.0f} | {share:.0f} % |", flush=True)


def time_steps(architecture: FlatDistilBert, size: int, seed: int) -> Times:
    """Return the median seconds of each part of a step, and its mean tokens, on one thread."""
    set_up(1)
    dtype = choose_dtype("auto", "cpu")
    draw = np.random.default_rng(seed)
    weights = random_weights(architecture)
    moments, masks = Moments.zero(weights), generator(seed, "dropout")
    times: dict[str, list[float]] = defaultdict(list)
    for step in range(WARM + STEPS):
        lengths = np.interp(draw.uniform(size=size), SHARES, LENGTHS).astype(int)
        sentences = [draw.integers(0, WORDS, length) for length in lengths]
        marks = [time.perf_counter()]
        batch, labels = collate(sentences, heads=architecture.heads), torch.from_numpy(draw.integers(0, 2, size))
        marks.append(time.perf_counter())
        ready = multiplied(weights, dtype)
        marks.append(time.perf_counter())
        loss = F.cross_entropy(classify(ready, architecture, batch, masks), labels)
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        update(weights, moments, learning_rate=1e-5, weight_decay=0.01, clip_norm=1.0)
        marks.append(time.perf_counter())
        if step >= WARM:
            for part, (begin, end) in zip(PARTS, itertools.pairwise(marks), strict=True):
                times[part].append(end - begin)
            times["step"].append(marks[-1] - marks[0])
            times["tokens"].append(float(lengths.sum()))
    typical = {part: statistics.median(values) for part, values in times.items()}
    return typical | {"tokens": statistics.mean(times["tokens"])}


if __name__ == "__main__":
    main()
