"""A checkpoint's tokenizer, read by transformers and written so that every reader gets the same token ids.

transformers decides what a checkpoint's tokenizer is: it obeys tokenizer_config.json, special_tokens_map.json and
added_tokens.json over tokenizer.json, vocab.txt or a sentencepiece model, and knows what a class leaves at its default.
What it arrives at is written as one tokenizer.json, whole, under the class that reads it as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from finevar.data.encoding import encode
from finevar.errors import InputError
from finevar.files import write_json
from finevar.jobs.log import MACHINE_ERRORS
from finevar.models.pieces import read_pieces, require_sentencepiece
from finevar.study.consistency import cut, listed
from finevar.study.content import SENTENCEPIECE, VOCABULARIES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Case, accents, scripts, punctuation, special tokens, characters that normalisers drop or replace, nothing, very much.
PROBES = (
    "",
    "   ",
    "A good Film, a GOOD film",
    "Caf\u00e9 e\u0301 na\u00efve stra\u00dfe \u0130i \u00c5ngstr\u00f6m",
    "\u4e2d\u56fd film \u96fb\u5f71 \ud55c\uad6d\uc5b4 \u0440\u0443\u0441\u0441\u043a\u0438\u0439",
    "Don't stop-me @user #tag $5.00 (ok?!) http://a.b/c_d",
    "[CLS] [SEP] [PAD] [UNK] [MASK] <s></s> the[SEP]film",
    "\U0001f600 \U0001f44d\U0001f3fd \u2603",
    "\u200b\u00a0x\u3000y\ufeff\u0000z\ufffd\tfilm\nfilm",
    "unaffable " * 700,
    "x" * 300,
)
ADDED = 50  # of a tokenizer's added tokens that are probed, too


def convert_tokenizer(
    folder: Path, output: Path, *, words: int, positions: int, where: str, types: int = 0
) -> list[str]:
    """Write the tokenizer of the checkpoint in folder into output, as files that are read without its class.

    words, positions, types: how many the model has; types: 0 where it gets none. Returns notes. Raises InputError for a
    tokenizer that cannot be read or that the files do not reproduce, whose numbers do not fit the model, or that does
    not frame a text by two tokens.
    """
    name = tokenizer_file(folder, where=where)
    source = read_tokenizer(folder, name, where=where)
    check_vocabulary(source, words, where=where)
    with readable(where, "tokenizer"):
        probes = [*PROBES, *(f"a{token}b {token} c" for token in list(source.added_tokens_encoder)[:ADDED])]
        ids = call(source, probes)
        check_frame(source, probes, ids, where=where)
        if types:
            check_types(source, types, where=where)
        write_tokenizer(source, output, positions=positions, typed=bool(types))
        check_ids(output, probes, ids, where=where)
    return [] if name == "tokenizer.json" else [f"tokenizer.json built from {name}"]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a folder's tokenizer as transformers reads it, from this machine's files alone and never by their code."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)


def tokenizer_file(folder: Path, *, where: str) -> str:
    """Return the name of the file that holds a checkpoint's tokenizer; raise InputError where there is none."""
    names = (*VOCABULARIES, *SENTENCEPIECE)
    if found := [name for name in names if (folder / name).is_file()]:
        return found[0]
    raise InputError(
        where,
        found=f"no {' and no '.join(VOCABULARIES)}",
        allowed=f"a model with its tokenizer, as one of {', '.join(names)}",
        remedy="Save the tokenizer beside the model, with `save_pretrained`.",
    )


def read_tokenizer(folder: Path, name: str, *, where: str) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a checkpoint, held by a file; raise InputError where it is not data alone."""
    if name in SENTENCEPIECE:
        require_sentencepiece(name, where=where)
    settings, config = (
        read_object(folder / name, where=where) if (folder / name).is_file() else {}
        for name in ("tokenizer_config.json", "config.json")
    )
    with readable(where, name):
        check_class(settings, config, where=where)
        tokenizer = load_tokenizer(folder)
        words = set(map(str.rstrip, tokenizer.get_vocab()))
        if name == "vocab.txt" and not {line.rstrip() for line in (folder / name).open(encoding="utf-8")} <= words:
            raise ValueError(f"{type(tokenizer).__name__}, the class that its config names, does not read {name}")
        return read_pieces(folder / name, tokenizer, PROBES, where=where) if name in SENTENCEPIECE else tokenizer


@contextmanager
def readable(where: str, name: str) -> Iterator[None]:
    """Raise InputError in place of whatever the libraries raise for a tokenizer that is damaged."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:  # plain Exception at times, and where Rust panics not even that
        panicked = type(error).__name__ == "PanicException"
        if not (panicked or isinstance(error, Exception)) or getattr(error, "errno", None) in MACHINE_ERRORS:
            raise
        raise InputError(
            f"{where}, {name}",
            found=f"a tokenizer that cannot be read ({cut(f'{type(error).__name__}: {error}', 200)})",
            allowed="a tokenizer as `save_pretrained` writes it",
            remedy="Save it again.",
        ) from error


def read_object(path: Path, *, where: str) -> dict[str, Any]:
    """Read a JSON object that somebody else wrote; raise InputError where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found = f"JSON of type {type(value).__name__}"
    except (ValueError, RecursionError) as error:
        value, found = None, f"no valid JSON ({cut(str(error), 200)})"
    if not isinstance(value, dict):
        raise InputError(f"{where}, {path.name}", found=found, allowed="a JSON object", remedy="Save it again.")
    return value


def check_class(settings: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> None:
    """Raise InputError where the class that a checkpoint names runs its own code or is written in Python.

    settings, config: tokenizer_config.json and config.json, either of which may name it.
    """
    from transformers import PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    name = settings.get("tokenizer_class") or config.get("tokenizer_class")
    known = tokenizer_class_from_name(name) if name else PreTrainedTokenizerFast
    fast = isinstance(known, type) and issubclass(known, PreTrainedTokenizerFast)
    if fast or getattr(known, "__name__", "") == "PythonBackend" or (known is None and "auto_map" not in settings):
        return  # the latter two, too general to say anything, are read from tokenizer.json
    raise InputError(
        f"{where}, tokenizer_config.json: tokenizer_class",
        found=f"{cut(json.dumps(name))}, {'code of its own' if known is None else 'which tokenizer.json cannot hold'}",
        allowed="a tokenizer that is data alone, such as BertTokenizer or PreTrainedTokenizerFast",
        remedy="Use another model, or save the tokenizer as a PreTrainedTokenizerFast that gives the same ids.",
    )


def call(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts, uncut."""
    return tokenizer(list(texts), padding=False, truncation=False, verbose=False)["input_ids"]


def write_tokenizer(source: PreTrainedTokenizerFast, output: Path, *, positions: int, typed: bool) -> None:
    """Write a tokenizer as tokenizer.json, without cutting or padding, and a config that changes nothing of it."""
    backend = Tokenizer.from_str(source.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.save(str(output / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", *(["token_type_ids"] if typed else []), "attention_mask"],
        "model_max_length": positions,
        "clean_up_tokenization_spaces": False,
        **source.special_tokens_map,
    }
    if source.extra_special_tokens:
        settings["additional_special_tokens"] = list(map(str, source.extra_special_tokens))
    write_json(settings, output / "tokenizer_config.json")


# Checks ---------------------------------------------------------------------------------------------------------------


def check_vocabulary(tokenizer: PreTrainedTokenizerFast, words: int, *, where: str) -> None:
    """Raise InputError unless every token has a number of its own for which the model has an embedding."""
    with readable(where, "tokenizer"):
        vocabulary = tokenizer.get_vocab()
        numbers = [*vocabulary.values(), *call(tokenizer, [""])[0]]  # the latter stand around every sentence
    beyond = max(numbers, default=-1) >= words
    if beyond or len(set(vocabulary.values())) < len(vocabulary):
        raise InputError(
            f"{where}, tokenizer",
            found=f"token number {max(numbers)}" if beyond else "tokens that share a number",
            allowed=f"numbers below the model's vocabulary of {words}, each of one token",
            remedy="Check that tokenizer and model belong to each other.",
        )


def check_frame(
    tokenizer: PreTrainedTokenizerFast, probes: Sequence[str], ids: Sequence[Sequence[int]], *, where: str
) -> None:
    """Raise InputError unless one token opens and one closes every text, all of the first segment.

    The head reads the first token, a sentence that is cut keeps the last one, and what has neither could be empty.
    """
    empty = ids[list(probes).index("")]
    kinds = tokenizer(list(probes), return_token_type_ids=True, verbose=False)["token_type_ids"]
    allowed = "one token before and one after every text, as BERT's [CLS] and [SEP]"
    if len(empty) != 2:
        found, remedy = f"a text of no words encoded as {len(empty)} tokens", frame_remedy(tokenizer)
    elif any((found[:1], found[-1:]) != (empty[:1], empty[1:]) for found in ids):
        found = "texts that do not all begin and end with the tokens that a text of no words has"
        remedy = frame_remedy(tokenizer)
    elif any(any(kind) for kind in kinds):
        found, allowed = (
            "tokens of another segment than the first",
            "token types of 0 alone, as the model gets no others",
        )
        remedy = "Give the `single` template of its post_processor type 0 everywhere."
    else:
        return
    raise InputError(f"{where}, tokenizer", found=found, allowed=allowed, remedy=remedy)


def check_types(tokenizer: PreTrainedTokenizerFast, types: int, *, where: str) -> None:
    """Raise InputError unless a pair's tokens are of type 0 before its second text, and of type 1 from there on."""
    found = tokenizer("a", "b", return_token_type_ids=True)
    sides, kinds = found.sequence_ids(0), found["token_type_ids"]
    before = sides.index(1) if 1 in sides else len(sides)
    if types < 2 or kinds != [0] * before + [1] * (len(sides) - before) or before == len(sides):
        raise InputError(
            f"{where}, tokenizer",
            found=f"tokens of type {listed(kinds)} for a pair of texts, and a model of {types} types",
            allowed="type 0 before the second text and 1 from there on, as BERT's tokenizers give",
            remedy="Use a BERT that was pretrained on pairs, or give the `pair` template of the tokenizer's "
            "post_processor these types.",
        )


def frame_remedy(tokenizer: PreTrainedTokenizerFast) -> str:
    """Say how to make a tokenizer frame every text."""
    opening, closing, known = tokenizer.cls_token or "[CLS]", tokenizer.sep_token or "[SEP]", tokenizer.get_vocab()
    if opening not in known or closing not in known:
        return f"Use another model: this one's vocabulary has no {opening} and {closing} to put there."
    tokens = [(name, known[name]) for name in (opening, closing)]
    return (
        "Load it with AutoTokenizer, set `tokenizer.backend_tokenizer.post_processor = tokenizers.processors."
        f'TemplateProcessing(single="{opening} $A {closing}", special_tokens={tokens})`, and save it again with '
        "`tokenizer.save_pretrained`."
    )


def check_ids(output: Path, probes: Sequence[str], ids: Sequence[Sequence[int]], *, where: str) -> None:
    """Raise InputError where what was written gives other ids than the source, by transformers or by `encode`."""
    encoded = encode(probes, [0] * len(probes), output)
    readers = {
        "transformers": call(load_tokenizer(output), probes),
        "tokenizers": [encoded.sentence(number, len(encoded.tokens)).tolist() for number in range(len(probes))],
    }
    for reader, found in readers.items():
        if odd := [probe for probe, left, right in zip(probes, ids, found, strict=True) if left != right]:
            raise InputError(
                f"{where}, tokenizer",
                found=f"other token ids of {len(odd)} of {len(probes)} texts once it is written as tokenizer.json and "
                f"read by {reader}, such as of {cut(json.dumps(odd[0]), 60)}",
                allowed="a tokenizer that tokenizer.json can hold completely",
                remedy="Remove what only its class does from tokenizer_config.json (such as split_special_tokens), or "
                "save it as a PreTrainedTokenizerFast that gives the same ids.",
            )
