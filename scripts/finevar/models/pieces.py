"""A tokenizer that a checkpoint has as a sentencepiece model alone, read so that its tokens are sentencepiece's own.

transformers has two readings of such a model: the tokenizer's class, and the converter by which its version 4 wrote
tokenizer.json. Each leaves out of some models how sentencepiece changes a text before it is cut, so that sentencepiece
itself decides. (Of two cuts of a text that are equally likely, as 00|0 and 0|00, they may take different ones.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers.normalizers import Normalizer, Precompiled
from tokenizers.normalizers import Sequence as Normalizers

from finevar.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def require_sentencepiece(name: str, *, where: str) -> None:
    """Raise InputError where the packages that read a sentencepiece model are not installed."""
    try:
        for package in ("sentencepiece", "protobuf"):  # the latter for transformers
            metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise InputError(
            f"{where}, {name}",
            found=f"a tokenizer that only sentencepiece reads, and no such package for {sys.executable}",
            allowed="tokenizer.json, vocab.txt, or the packages sentencepiece and protobuf, which nothing else needs",
            remedy=f"Install them: {sys.executable} -m pip install sentencepiece protobuf",
        ) from error


def read_pieces(
    path: Path, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], *, where: str
) -> PreTrainedTokenizerFast:
    """Return the reading of a sentencepiece model that cuts texts as it does; raise InputError where none does.

    tokenizer: the class's reading.
    """
    from sentencepiece import SentencePieceProcessor

    model, added = SentencePieceProcessor(model_file=str(path)), [*tokenizer.added_tokens_encoder]
    plain = [text for text in texts if not any(token in text for token in added)]  # sentencepiece does not know them
    differing: list[list[str]] = []
    for reading in readings(tokenizer):
        differing.append([text for text in plain if tokens(reading, text) != own_tokens(model, reading, text)])
        if not differing[-1]:
            return reading
    odd = min(differing, key=len)
    raise InputError(
        f"{where}, {path.name}",
        found=f"other tokens than sentencepiece's in {len(odd)} of {len(plain)} texts, such as {odd[0][:60]!r}, "
        "however transformers reads it",
        allowed="a sentencepiece model that tokenizer.json can hold exactly, such as XLM-RoBERTa's or DeBERTa's",
        remedy="Use another model, or one whose authors give a tokenizer.json.",
    )


def readings(tokenizer: PreTrainedTokenizerFast) -> Iterator[PreTrainedTokenizerFast]:
    """Yield a tokenizer as its class reads it, then as its converter does, where it has one."""
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS, convert_slow_tokenizer

    yield tokenizer
    if type(tokenizer).__name__ in SLOW_TO_FAST_CONVERTERS:
        converted = convert_slow_tokenizer(tokenizer)
        yield PreTrainedTokenizerFast(tokenizer_object=converted, **tokenizer.special_tokens_map)


def tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """Return a text's tokens, but for those that stand around every text."""
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def own_tokens(model: Any, tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """Return sentencepiece's tokens of a text that the tokenizer has changed as sentencepiece does not, as its case."""
    for step in normalizers(tokenizer.backend_tokenizer.normalizer):
        text = step.normalize_str(text)
    unknown = model.unk_id()
    return [tokenizer.unk_token if token == unknown else model.id_to_piece(token) for token in model.encode(text)]


def normalizers(whole: Normalizer | None) -> list[Normalizer]:
    """Return the steps of a normaliser but sentencepiece's own."""
    steps = [whole[at] for at in range(len(whole))] if isinstance(whole, Normalizers) else [whole]
    return [step for step in steps if step is not None and not isinstance(step, Precompiled)]
