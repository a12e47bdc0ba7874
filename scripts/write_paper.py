"""Write the paper kit; in: as the report's; out: a folder of tables, figures, methods and references."""

from pathlib import Path

from finevar.jobs import JobLog
from finevar.paper import write_paper
from finevar.report_files import read_study


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        write_paper(*read_study(snakemake.input, snakemake.params, interim=False), Path(snakemake.output.folder))


if __name__ == "__main__":
    main(snakemake)
