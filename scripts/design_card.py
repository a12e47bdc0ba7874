"""Write what the study costs and what it can find; in: the pilot, metrics of runs that are done; out: one HTML file.

The essentials are printed, too.
"""

import pandas as pd

from finevar.files import read_facts, write_bytes
from finevar.jobs.log import JobLog
from finevar.planning.design_card import gather_design_facts
from finevar.report.design_card import design_card_text, render_design_card
from finevar.results.run_metrics import read_run_metrics

with JobLog(snakemake.log[0]):
    finished = pd.DataFrame(read_run_metrics(snakemake.params.finished))  # no columns where no run is done
    facts = gather_design_facts(snakemake.params.config, read_facts(snakemake.input.pilot), finished)
    write_bytes(render_design_card(facts).encode(), snakemake.output.html)
    print(design_card_text(facts, snakemake.output.html), flush=True)
