"""Count the kernel's out-of-memory kills, to tell them from other SIGKILLs."""

from __future__ import annotations

import re
from pathlib import Path

MEMBERSHIP, GROUPS, MACHINE = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"), Path("/proc/vmstat")


def memory_kills() -> int:
    """Return how many processes of this machine and of this process's control group have been killed for memory.

    Only a rise means something. Sources: oom_kill of /proc/vmstat, of the group's memory.events (version 2) and of its
    memory.oom_control (version 1); 0 where there is none of them.
    """
    files = [MACHINE]
    for line in read(MEMBERSHIP).splitlines():
        _, controllers, group = line.split(":", 2)
        folder = GROUPS / "memory" if "memory" in controllers.split(",") else GROUPS
        files += [folder / group.lstrip("/") / name for name in ("memory.events", "memory.oom_control")]
    return sum(int(count) for path in files for count in re.findall(r"^oom_kill (\d+)$", read(path), re.MULTILINE))


def read(path: Path) -> str:
    """Return a file's text; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
