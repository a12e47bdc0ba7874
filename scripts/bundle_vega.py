"""Bundle the program that draws a report's figures in a browser; in: nothing; out: one JavaScript file."""

from finevar.figures.drawing import program
from finevar.files import write_bytes
from finevar.jobs.log import JobLog

with JobLog(snakemake.log[0]):
    write_bytes(program().encode(), snakemake.output.program)
