"""The machine that a job runs on: how it is set up, and what a result must say of it."""

from __future__ import annotations

import platform
import resource
from pathlib import Path
from typing import Any

import torch


def set_up(threads: int) -> str:
    """Fix the thread count and deterministic kernels; return the device, cuda where there is one."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # for hunting bugs; it writes every buffer twice
    torch.backends.cuda.matmul.allow_tf32 = False
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine_facts(threads: int) -> dict[str, Any]:
    """Return what decides a result's last digits: device, threads, precision and versions."""
    return {
        "threads": threads,
        "device": device_name("cuda" if torch.cuda.is_available() else "cpu"),
        "precision_mode": "float32",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name(device: str) -> str:
    """Return the name of the processor that the training ran on."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
