"""How well a design separates its terms, as the report and the design card say it."""

from __future__ import annotations

from finevar.planning.power import Diagnosis
from finevar.words.formatting import term_label
from finevar.words.numbers import number

LARGE_VIF, LARGE_CONDITION = 10.0, 30.0  # Belsley, Kuh & Welsch (1980)


def separation_sentence(found: Diagnosis) -> str:
    """Give the largest variance inflation, the most correlated terms and the condition number, with what follows."""
    name = max(found.vif, key=found.vif.__getitem__)
    text = f"The largest VIF is {number(found.vif[name], 2)} ({term_label(name)})"
    if found.worst_pair:
        first, second, r = found.worst_pair
        text += f"; the most correlated terms are {term_label(first)} and {term_label(second)}, r = {number(r, 2)}"
    text += f"; the condition number is {number(found.condition, 1)}."
    if found.vif[name] < LARGE_VIF and found.condition < LARGE_CONDITION:
        return text
    return f"{text} Caution: terms overlap, so their separate coefficients are far less certain than predictions."
