"""The design card: what a study costs and what it can find, as one page and as a few lines, before any of its runs."""

from __future__ import annotations

import textwrap

from finevar.figures.palette import dark_style
from finevar.planning.design_card import DesignFacts
from finevar.planning.forecast import room_sentence, time_sentence
from finevar.report import design_card_sections as sections
from finevar.report.environment import ENVIRONMENT
from finevar.statistics.detectable import POWER
from finevar.words.numbers import percent

WIDTH = 110  # of printed lines


def render_design_card(facts: DesignFacts) -> str:
    """Return the design card as one HTML page that loads nothing from elsewhere."""
    return ENVIRONMENT.get_template("design_card.html").render(
        study=facts.config["study"],
        runs=sections.runs_sentence(facts),
        headline=sections.headline(facts),
        time=time_sentence(facts.forecast),
        cautions=sections.data_cautions(facts),
        figures=sections.power_figures(facts),
        dark=dark_style(".chart"),
        sections=[
            ("data", "What the model sees", sections.data_section(facts)),
            ("cost", "Cost", sections.cost_section(facts)),
            ("power", "What it can find", sections.power_section(facts)),
            ("more", "What more runs would add", sections.more_section(facts)),
            ("design", "The design", sections.design_section(facts)),
        ],
        power=percent(POWER),
        error_rate=percent(1 - facts.confidence),
    )


def design_card_text(facts: DesignFacts, path: str) -> str:
    """Return the essentials as lines for a terminal; path: where the page is."""
    texts = [*sections.data_cautions(facts), sections.runs_sentence(facts)]
    texts += [time_sentence(facts.forecast), room_sentence(facts.forecast)]
    texts += sections.power_sentences(facts)
    texts += [*sections.more_sentences(facts), sections.design_sentences(facts)[0], f"All of it: {path}"]
    title = f"Design card of study {facts.config['study']}"
    lines = [title, *(textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ") for text in texts)]
    return "\n".join(lines)
