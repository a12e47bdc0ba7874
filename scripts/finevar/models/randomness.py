"""Generators derived from (seed, purpose, epoch), never from the point: a seed is the same block at every point."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, purpose: str, epoch: int = 0, *, device: str = "cpu") -> torch.Generator:
    """Return a generator for one purpose (head, order, dropout, sample) in one epoch of a seed, however it is written.

    Raises ValueError for a seed that is no whole number.
    """
    if seed != int(seed):
        raise ValueError(f"seed {seed} is no whole number")
    digest = hashlib.sha256(f"{int(seed)}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big", signed=True))
