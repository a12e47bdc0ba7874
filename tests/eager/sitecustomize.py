"""With this folder in PYTHONPATH, Snakemake looks after its SLURM jobs every second.

Its executor has no option for that: it waits ten seconds longer after each look at which no job had ended.
"""

import asyncio
import sys

if "snakemake" in sys.orig_argv:
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.sleep = lambda _: asyncio.sleep(1)
