"""Judge what was claimed before the study; in: coefficients, fits (Parquet); out: claims."""

from finevar.claims import judge_claims
from finevar.jobs import JobLog
from finevar.records import COEFFICIENTS, FITS, read_table
from finevar.tables import write_tables


def main(snakemake) -> None:
    with JobLog(snakemake.log[0]):
        analysis = snakemake.params.analysis
        rows = judge_claims(
            read_table(snakemake.input.coefficients, COEFFICIENTS).to_pandas(),
            read_table(snakemake.input.fits, FITS).to_pandas(),
            analysis["claims"],
            factors=snakemake.params.factors,
            model=analysis["model"],
            confidence=analysis["confidence"],
        )
        write_tables({"claims": rows}, snakemake.output)


if __name__ == "__main__":
    main(snakemake)
