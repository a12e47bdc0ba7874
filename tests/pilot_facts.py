"""A pilot of round numbers, from which a forecast can be worked out by hand."""

from __future__ import annotations

# A step takes 0.1 s and 1 ms a token. All sentences have 10 tokens, so a step reads 10 tokens a sentence.
PILOT = {
    "concurrent": 1,
    "threads": 1,
    "dataset": "amazon",
    "overhead_seconds": 0.5,
    "steps": [
        {"batch_size": 8, "seconds": 0.18, "tokens": 80.0, "steps": 7, "peak_memory_mb": 500.0, "growth_mb": 0.0},
        {"batch_size": 32, "seconds": 0.42, "tokens": 320.0, "steps": 7, "peak_memory_mb": 700.0, "growth_mb": 100.0},
    ],
    "training": {"seconds": 1.18, "tokens": 80},
    "evaluation": {"seconds": 3.0, "inside": 2.0, "max_length": 128},
    "bytes": {"run": 40_000, "model": 90_000_000, "state": 200_000_000},
    "data": {
        "amazon": {
            "account": {"read": 2510, "train": 2000, "eval": 500, "dropped_repeats": 10},
            "train_examples": 2000,
            "eval_examples": 500,
            "train_lengths": [*[0] * 10, 2000],
            "eval_lengths": [*[0] * 10, 500],
        }
    },
    "machine": {"device": "a processor", "dtype_used": "float32"},
    "pilot_seconds": 20.0,
}
