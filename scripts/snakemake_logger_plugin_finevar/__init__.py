"""finevar's logger, under the name by which Snakemake finds one on Python's path: `snakemake --logger finevar`."""

from finevar.commands.terminal import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
