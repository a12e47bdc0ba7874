"""The data page: its numbers against counts made by hand, and a page that is safe, offline and complete."""

from __future__ import annotations

import re
from typing import Any

from finevar.report.data_page import render_data_page
from finevar.report.data_tables import MOST_CLASSES, alike_sentence, counts_of
from prose import MISSING, Page, numbers
from report_fixtures import SEEN, facts

SAMPLE = {"label": "positive", "text": "<b>odd & bold</b>", "count": 6, "lost": [4]}
SAMPLE["tokens"] = ["[CLS]", "odd", "[UNK]", "bold", "more", "[SEP]"]
SHOWN = SEEN | {"unknown_pieces": [("\u1230", 7)], "sample": [SAMPLE]}


def page(seen: dict[str, Any] = SHOWN) -> str:
    return render_data_page("quickstart", "minilm", facts()["datasets"], {"amazon": seen})


def test_the_cards_hold_the_first_numbers():
    """2,976 sentences; 1,306 of 2,176 positive, 60.0%; 4 of 2,976 cut; 29 of 59,520 tokens unknown, below 0.1%."""
    found = Page(page())
    sentences, classes, tokens, cut, unknown = (numbers(card.text) for card in found.all("div", "card"))
    assert sentences == [2976, 2176, 800]
    assert classes == [60]
    assert tokens == [21, 140]
    assert cut == [0.1, 128]
    assert unknown == [0.1, 29]
    assert not MISSING.search(found.words)


def test_rows_are_counted_and_shared_whatever_the_preparation_counted():
    """Of 3,708 rows 723 within the margin, 19.5%; what has counts of its own stands apart, and a text is no count."""
    rows = [row.text for row in Page(page()).all("tr")]
    assert numbers(next(row for row in rows if "examples read" in row)) == [3708.0, 100]
    assert numbers(next(row for row in rows if "margin" in row)) == [723, 19.5]
    prepared = {"read": 9, "dropped": {"empty": 2, "unlabelled": 1}, "classes": ["a"], "data_sha256": "0b"}
    assert [count for _, count in counts_of(prepared)] == [9, 2, 1]


def test_tokens_are_marked_where_the_model_does_not_get_them():
    """Of six, the fifth is lost."""
    kinds = [
        (span.text, span.attributes.get("class")) for span in Page(page()).all("span") if span.text in SAMPLE["tokens"]
    ]
    assert kinds == [
        ("[CLS]", None), ("odd", None), ("[UNK]", "unknown"), ("bold", None), ("more", "lost"), ("[SEP]", None)
    ]  # fmt: skip


def test_tokens_that_are_not_shown_are_counted_and_those_of_them_that_are_cut_off():
    """Of 200 tokens at a max_length of 128, 6 are shown, and all that is cut off, 72, is among the other 194."""
    long, short = SAMPLE | {"count": 200, "lost": []}, SAMPLE | {"count": 100, "lost": []}
    words = [Page(page(SHOWN | {"sample": [row]})).all("p", "tokens")[-1].text for row in (long, short)]
    assert [numbers(text.partition("and")[2]) for text in words] == [[194, 72], [94]]


def test_pairs_whose_first_text_is_in_both_parts_are_named():
    """120 of 800 evaluation sentences."""
    alike = SEEN["alike"] | {"first_in_both": 120}
    assert numbers(alike_sentence(SEEN | {"alike": alike}))[-2:] == [120, 15]
    assert 120 not in numbers(alike_sentence(SEEN))


def test_a_last_bar_without_an_end_says_so():
    """Thirty-one bars of one length each from 4 tokens on; the last holds 5 of 34 tokens or more."""
    lengths = {"first": 4, "width": 1, "counts": [9] * 30 + [5], "open": True}
    part = SEEN["parts"]["train"] | {"histogram": lengths}
    found = Page(page(SHOWN | {"parts": SEEN["parts"] | {"train": part}}))
    bars = next(element for element in found.all("div") if element.attributes.get("class") == "bars")
    assert numbers(bars.attributes["aria-label"]) == [4, 34]
    titles = [element.attributes["title"] for element in found.all("span") if "--high" in str(element.attributes)]
    assert (len(titles), numbers(titles[-1]), numbers(titles[-2])) == (31, [34, 5], [33, 9])


def test_many_classes_are_folded():
    many = MOST_CLASSES + 1
    part = {name: each | {"by_class": [each["sentences"]] + [0] * (many - 1)} for name, each in SEEN["parts"].items()}
    used = [SEEN["used"][0] | {"by_class": [384] + [0] * (many - 1)}]
    found = Page(page(SHOWN | {"classes": [f"class {k}" for k in range(many)], "parts": part, "used": used}))
    assert [numbers(fold.text)[0] for fold in found.all("summary")] == [many]
    assert not Page(page()).all("summary")


def test_sentences_alike_are_counted_with_their_shares():
    """20 of 2,176 and 8 of 800."""
    found = alike_sentence(SEEN | {"alike": {"alike": 20, "contradictory": 6, "in_both": 8}})
    assert numbers(found) == [20, 0.9, 6, 8, 1]
    assert numbers(alike_sentence(SEEN)) == []


def test_the_page_is_escaped_offline_and_without_private_texts():
    assert "<b>odd" not in page()
    assert "&lt;b&gt;odd &amp; bold" in page()
    assert not re.search(r"(src|href)=.?(http|//)|@import|url\(", page())
    private = Page(page(SEEN))
    assert not private.all("ul", "sample")
    assert not private.all("ul", "pieces")
