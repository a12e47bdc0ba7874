"""Small files between jobs: complete under their final name or not there at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_bytes(data: bytes, path: str | Path) -> None:
    """Write beside the final name, flush to disk, then rename."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(value: Mapping[str, Any], path: str | Path) -> None:
    """Write a JSON object."""
    write_bytes(f"{json.dumps(value, indent=1)}\n".encode(), path)


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object that another job wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
