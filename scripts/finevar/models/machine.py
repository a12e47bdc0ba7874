"""The machine that a job runs on: how it is set up, and what a result must say of it."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from finevar import PACKAGE

CPUINFO = Path("/proc/cpuinfo")
PACKAGES = ("numpy", "pyarrow", "safetensors", "snakemake", "tokenizers", "torch", "transformers")


def set_up(threads: int) -> str:
    """Fix the thread count and deterministic kernels; return the device, cuda where there is one."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which imports a compiler (1.2 s)
    torch.utils.deterministic.fill_uninitialized_memory = False  # for hunting bugs; it writes every buffer twice
    torch.backends.cuda.matmul.allow_tf32 = False
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_dtype(name: str, device: str) -> torch.dtype:
    """Return the type that matrices are multiplied in.

    auto is bfloat16 where the processor multiplies it natively, else float32: elsewhere bfloat16 is emulated, slowly.
    Weights, moments, losses and metrics are float32 whatever the choice.
    """
    if name == "auto":
        native = torch.cuda.is_bf16_supported(including_emulation=False) if device == "cuda" else has_bfloat16(CPUINFO)
        name = "bfloat16" if native else "float32"
    return getattr(torch, name)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: Python's, a GPU's, or that of PyTorch's allocator."""
    stated = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or stated


def has_bfloat16(cpuinfo: Path) -> bool:
    """Return whether a Linux processor multiplies bfloat16 natively."""
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})  # x86 twice, then Arm


def machine_facts(threads: int, dtype: torch.dtype) -> dict[str, Any]:
    """Return what decides a result's last digits: device, threads, number type and versions."""
    return {
        "threads": threads,
        "device": device_name("cuda" if torch.cuda.is_available() else "cpu"),
        "dtype_used": str(dtype).removeprefix("torch."),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def provenance() -> dict[str, str]:
    """Return what a result was made with: the packages' versions, and the SHA-256 of this package's own sources."""
    sources = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        sources.update(path.read_bytes())
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return {"packages": packages, "code": sources.hexdigest()}


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_name(device: str) -> str:
    """Return the name of the processor that the training ran on."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    for line in CPUINFO.read_text().splitlines() if CPUINFO.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
