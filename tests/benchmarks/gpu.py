"""Time training on a GPU: python -m tests.benchmarks.gpu [PART ...]; from the repository's root.

Each part is a process of its own with a time limit, so that one that hangs costs the others nothing; together they take
less than eight minutes. `--toy` runs them at toy sizes on the processor, to see that they run; without it and without a
GPU nothing is done. Needs PyTorch, numpy, pyarrow, jsonschema, safetensors, tokenizers, tqdm and PyYAML.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import torch
from tests.benchmarks.made import SIZES, random_examples, random_weights

from finevar.models.distilbert.family import FlatDistilBert
from finevar.models.machine import choose_dtype, set_up
from finevar.study.settings import TRAINING_DEFAULTS
from finevar.training import slot_steps
from finevar.training.loop import epoch_turns
from finevar.training.padded import PaddedSteps
from finevar.training.schedule import in_groups
from finevar.training.slot_shapes import default_slots, run_of
from finevar.training.slot_steps import Sentences, SlotSteps, shape_of, slot_of_a_gpu
from finevar.training.slots import Slots
from finevar.training.start import first_state
from finevar.training.state import State
from finevar.training.steps import Course, FlatSteps

WAYS = ("end to end", "padded", "captured")
SETTINGS = TRAINING_DEFAULTS | {"weight_decay": 0.01}


@dataclass(frozen=True)
class Scale:
    """How much is timed, and where."""

    device: str
    families: dict[str, FlatDistilBert]
    examples: int  # of a training that is timed by its steps
    batch_sizes: tuple[int, ...]
    slots: tuple[int, ...]
    steps: int  # of slots
    runs: tuple[int, int, int]  # of a study: runs, at once, examples each


CARD = Scale("cuda", SIZES, 2048, (16, 32, 64), (1, 4, 16, 32), 60, (54, 16, 256))
TINY = {"tiny": FlatDistilBert(3000, 128, 16, 16, 2, 2, "gelu", 0.1, 0.1, 0.2)}
TOY = Scale("cpu", TINY, 16, (8,), (1, 2), 2, (3, 2, 16))


def main() -> None:
    """Run the parts that are named, or all."""
    parser = argparse.ArgumentParser(description="; ".join(f"{name}: {part.__doc__}" for name, part in PARTS.items()))
    parser.add_argument("parts", nargs="*", metavar="part", help="which to run; all by default")
    parser.add_argument("--toy", action="store_true", help="at toy sizes, on the processor")
    parser.add_argument("--here", action="store_true", help="in this process, without a limit")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    # To ask for the device is to begin with it, which would bar the forks of a part from it.
    if not (chosen.toy or chosen.here or torch.cuda.is_available()):
        print("skipped: needs a CUDA device")
        return
    for name in chosen.parts or PARTS:
        if chosen.here:
            PARTS[name](TOY if chosen.toy else CARD)
        else:
            print(f"\n== {name}", flush=True)
            apart(name, ["--toy"] * chosen.toy)


def apart(name: str, options: list[str]) -> None:
    """Run a part in a process of its own, at most so long."""
    command = [sys.executable, "-m", "tests.benchmarks.gpu", name, "--here", *options]
    try:
        subprocess.run(command, cwd=Path(__file__).parents[2], check=True, timeout=LIMITS[name])
    except subprocess.SubprocessError as error:
        print(f"{name}: {error}", flush=True)


def ceilings(scale: Scale) -> None:
    """Time what the device can do at most: products of matrices in bfloat16, copies."""
    size = 8192 if scale.device == "cuda" else 64
    one = torch.randn(size, size, device=scale.device, dtype=torch.bfloat16)
    product = seconds(partial(torch.mm, one, one), 20)
    copy = seconds(one.clone, 20)
    print(f"{choose_dtype('auto', scale.device)}; {2 * size**3 / product / 1e12:.0f} TFLOP/s, ", end="")
    print(f"{2 * one.nbytes / copy / 1e12:.2f} TB/s")


def ways(scale: Scale) -> None:
    """Time the steps of one run: laid end to end, padded, and captured."""
    print(f"| | batch | {' | '.join(f'{way}, tokens/s' for way in WAYS)} |")
    print(f"|{(2 + len(WAYS)) * '---|'}")
    for name, family in scale.families.items():
        for size in scale.batch_sizes:
            found = [tokens_per_second(family, size, way, scale.device, count=scale.examples) for way in WAYS]
            print(f"| {name} | {size} | {' | '.join(f'{speed:,.0f}' for speed in found)} |", flush=True)


def tokens_per_second(
    family: FlatDistilBert, size: int, way: str, device: str, *, count: int, epochs: int = 3
) -> float:
    """Return the real tokens a second of training by a way, after its first epoch, which loads and captures."""
    course, state = training(family, size, device, count=count, epochs=epochs)
    state = state.to(device)
    steps = FlatSteps(course, state, 1) if way == "end to end" else PaddedSteps(course, state)
    if isinstance(steps, PaddedSteps):
        steps.captures = way == "captured" and device == "cuda"
    begun, tokens = 0.0, 0
    for epoch in range(epochs):
        steps.begin_epoch(epoch, None)
        if epoch == 1:
            begun, tokens = time.perf_counter(), 0
        tokens += sum(steps.take(*turn).tokens for turn in epoch_turns(course, epoch, 0))
    return tokens / (time.perf_counter() - begun)


def slots(scale: Scale) -> None:
    """Time steps of many runs at once, captured and not: real tokens a second of all, and memory."""
    print("| | batch | slots | captured, tokens/s | ms a step | not captured, tokens/s | GiB | slots by default |")
    print(f"|{8 * '---|'}")
    for name, family in scale.families.items():
        for size in scale.batch_sizes[:2]:
            for count in scale.slots:
                print(f"| {name} | {size} | {count} | {slots_row(scale, family, size, count)} |", flush=True)


def slots_row(scale: Scale, family: FlatDistilBert, size: int, count: int) -> str:
    """Return the figures of so many slots."""
    engine, batches, tokens = seated(scale, family, size, count)
    told = []
    for captured in (True, False):
        engine.graph = engine.graph if captured else None
        step = partial(engine.step, batches)
        step()
        told.append(seconds(step, scale.steps if captured else max(1, scale.steps // 10)))
    memory = torch.cuda.max_memory_reserved() / 2**30 if scale.device == "cuda" else 0.0
    default = default_slots(engine.shape, scale.device)
    speeds = [f"{tokens / taken:,.0f}" for taken in told]
    return f"{speeds[0]} | {1000 * told[0]:.1f} | {speeds[1]} | {memory:.1f} | {default}"


def seated(scale: Scale, family: FlatDistilBert, size: int, count: int) -> tuple[Slots, dict, int]:
    """Return slots that are all taken, a batch for each, and the real tokens of these."""
    if scale.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batches, engine = {}, None
    for slot in range(count):
        course, state = training(family, size, scale.device, count=max(size, 64), seed=slot)
        shape = shape_of(course, state, count)
        engine = engine or Slots(shape, count, scale.device)
        engine.put(slot, run_of(course), state.model, state.moments)
        engine.begin_epoch(slot, 0, None)
        batches[slot] = Sentences.of(course).batch(next(epoch_turns(course, 0, 0)))
    return engine, batches, int(sum(batch.lengths.sum() for batch in batches.values()))


def same(scale: Scale) -> None:
    """Compare the bytes of a run alone, in company, in another slot, and not captured."""
    family, size, count = next(iter(scale.families.values())), scale.batch_sizes[0], max(scale.slots[:3])
    ends = {}
    for name, captured, slot, company in (
        ("captured, alone", True, 0, False),
        ("captured, in company", True, 0, True),
        ("captured, in the last slot", True, count - 1, True),
        ("not captured, alone", False, 0, False),
    ):
        engine, batches, _ = seated(scale, family, size, count)
        engine.graph = engine.graph if captured else None
        course, state = training(family, size, scale.device, count=max(size, 64))
        engine.put(slot, run_of(course), state.model, state.moments)
        engine.begin_epoch(slot, 0, None)
        batches[slot] = Sentences.of(course).batch(next(epoch_turns(course, 0, 0)))
        for _ in range(5):
            engine.step(batches if company else {slot: batches[slot]})
        ends[name] = torch.stack([buffer[slot] for buffer in (engine.weights, engine.first, engine.second)]).cpu()
        print(f"{name}: {'the same' if torch.equal(ends[name], ends['captured, alone']) else 'DIFFERS'}", flush=True)


def study(scale: Scale) -> None:
    """Time runs as processes of their own, which ask the process of the GPU; its start and theirs included."""
    runs, at_once, _ = scale.runs
    for label, asked in (("slots", at_once), ("one slot", 1)):
        begun = time.perf_counter()
        with get_context("fork").Pool(at_once) as pool:
            steps = pool.map(partial(run_of_study, scale, asked), range(runs), chunksize=1)
        spent = time.perf_counter() - begun
        print(f"{label}: {runs} runs, {sum(steps)} steps, {spent:.1f} s, {spent / runs:.2f} s a run", flush=True)


def run_of_study(scale: Scale, asked: int, number: int) -> int:
    """Take the steps of a run of the default study, in a slot; return how many."""
    if scale.device == "cpu":
        slot_steps.gpus = lambda: ["cpu"]
    family, size = next(iter(scale.families.values())), scale.batch_sizes[number % len(scale.batch_sizes)]
    epochs = 1 + number % 3
    course, state = training(family, size, scale.device, count=scale.runs[2], epochs=epochs, seed=number)
    with slot_of_a_gpu(asked) as slot:
        steps, taken = SlotSteps(course, state.to("cpu"), slot), 0
        for epoch in range(epochs):
            steps.begin_epoch(epoch, None)
            for turns in in_groups(epoch_turns(course, epoch, 0), steps.ahead):
                taken += len(steps.take_all(turns))
        steps.settle()
    return taken


def training(
    family: FlatDistilBert, size: int, device: str, *, count: int, epochs: int = 3, seed: int = 0
) -> tuple[Course, State]:
    """Return a training at random, before its first step, on the CPU."""
    set_up(1)
    settings = SETTINGS | {"batch_size": size, "epochs": epochs}
    course = Course(family, random_examples(count), settings, seed, choose_dtype("auto", device))
    with torch.no_grad():
        return course, first_state(random_weights(family), course)


def seconds(work: Callable[[], object], times: int) -> float:
    """Return the seconds that work takes, of so many times."""
    finish = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    work()
    finish()
    begun = time.perf_counter()
    for _ in range(times):
        work()
    finish()
    return (time.perf_counter() - begun) / times


PARTS: dict[str, Callable[[Scale], None]] = {
    part.__name__: part for part in (ceilings, same, slots, study, ways)
}  # what is not known of a card first
LIMITS = {"ceilings": 30, "same": 60, "slots": 150, "study": 100, "ways": 120}  # seconds


if __name__ == "__main__":
    main()
