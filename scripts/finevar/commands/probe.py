"""Print what finevar meets on a machine; the doctor runs this apart, here and on compute nodes.

usage: python -m finevar.commands.probe [file that is to hold the same]
"""

from __future__ import annotations

import json
import os
import platform
import sys

import torch

from finevar.files import write_bytes
from finevar.models.machine import choose_dtype, device_name


def probe() -> dict[str, str]:
    """Return the machine's name, versions, processors and the type that auto multiplies matrices in."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        "node": os.environ.get("SLURMD_NODENAME") or platform.node(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "processor": device_name("cpu"),
        "gpu": device_name(device) if device == "cuda" else "",
        "dtype": str(choose_dtype("auto", device)).removeprefix("torch."),
    }


if __name__ == "__main__":
    found = json.dumps(probe())
    for path in sys.argv[1:]:
        write_bytes(found.encode(), path)
    print(found)
