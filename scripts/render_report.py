"""Write the report; in: metrics, the analysis tables, baselines (Parquet), datasets, figures (JSON); out: HTML."""

from finevar.files import write_bytes
from finevar.jobs import JobLog
from finevar.report import render_report
from finevar.report_files import read_study


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        interim = snakemake.wildcards.study.endswith("/interim")
        html = render_report(*read_study(snakemake.input, snakemake.params, interim=interim))
        write_bytes(html.encode(), snakemake.output.html)


if __name__ == "__main__":
    main(snakemake)
