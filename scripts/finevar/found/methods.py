"""By which method a model was trained, as its card says: another method is not another setting.

A card without a sign of another method is taken for fine-tuning of all weights under cross-entropy, as `Trainer` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from huggingface_hub import ModelCardData

from finevar.found.lines import cut, texts

FULL = "full"


@dataclass(frozen=True)
class Method:
    """A method of training, and what gives it away."""

    words: str  # of several such models
    libraries: frozenset[str] = field(default_factory=frozenset)  # library_name
    tags: frozenset[str] = field(default_factory=frozenset)
    relation: str = ""  # base_model_relation
    settings: frozenset[str] = field(default_factory=frozenset)  # names of hyperparameters that only it has
    text: str = ""  # a pattern of what the card says of the training


def method(words: str, *, libraries: str = "", tags: str = "", settings: str = "", **known: str) -> Method:
    """Return a method's record."""
    return Method(
        words, frozenset(libraries.split()), frozenset(tags.split()), settings=frozenset(settings.split()), **known
    )


BY = r"\b(?:with|using|via|through|by|uses?|used)\b (?:an? |the )?"
LOSSES = r"(?:focal|contrastive|triplet|hinge|dice|supcon|cosine|ranking|weighted|label[- ]smoothing|r-drop)"
HEADS = r"(?:custom|bi-?lstm|lstm|gru|cnn|crf|mlp|attention|svm|logistic regression|random forest)"
METHODS = {  # the first that fits is a card's
    "setfit": method("SetFit models", libraries="setfit", tags="setfit", text=r"\bsetfit model\b"),
    "adapter": method(
        "adapters",
        libraries="peft adapter-transformers adapters",
        tags="peft lora qlora dora ia3 adapter adapters adapter-transformers prefix-tuning prompt-tuning",
        relation="adapter",
        settings="lora_r lora_rank lora_alpha lora_dropout peft_type adapter_config",
        text=BY + r"(?:[\w-]+ ){0,2}(?:q?lora|dora|peft|adapters?|(?:prefix|prompt)[- ]tuning)\b|^\s*[-*] peft:? \d"
        r"|\blow-rank adapt\w+|\bq?lora (?:adapters?|weights|models?|config\w*|rank)\b"
        r"|\b(?:LoraConfig|get_peft_model)\(",
    ),
    "quantised": method(
        "quantised copies",
        libraries="gguf ctransformers",
        tags="quantized quantised 8-bit 4-bit int8 int4 bitsandbytes gptq awq gguf nncf",
        relation="quantized",
        settings="quantization_config load_in_8bit load_in_4bit quantization_method",
        text=r"\b(?:quantized|quantised) (?:version|copy|variant|model)\b|\bpost-training (?:\w+ )?quanti[sz]ation\b"
        r"|\bquanti[sz]ed (?:with|using|via|by|to)\b",
    ),
    "distilled": method(
        "distilled models",
        tags="distillation knowledge-distillation",
        settings="teacher teacher_model distillation_alpha distillation_temperature",
        # DistilBERT's own pretraining is a distillation, of which many cards tell.
        text=r"\bfine-?tuned (?:with|using|via|by) (?:[\w-]+ ){0,2}distillation\b|\bteacher model\b"
        r"|\bthis model (?:is|was|has been) distilled\b",
    ),
    "loss": method(
        "models with another loss",
        tags="reward-trainer dpo",
        text=BY
        + rf"(?:[\w-]+ ){{0,2}}(?:\w+-)?{LOSSES}[- ](?:[\w-]+ )?loss\b"
        + r"|\bRewardTrainer\b|\b(?:is|as|train\w*) (?:a|the) (?:\w+ ){0,2}reward model\b",
    ),
    "head": method(
        "models with another head, or a frozen encoder",
        text=BY
        + rf"(?:[\w-]+ ){{0,2}}{HEADS} (?:[\w-]+ ){{0,1}}(?:head|classifier)\b|\bfrozen encoder\b"
        + r"|\b(?:encoder|base model|backbone) (?:is|was|were|are) (?:kept )?frozen\b|\blinear prob(?:e|ing)\b",
    ),
}
NOT_SAID = re.compile(r"\b(?:not|no|without|instead of|rather than|unlike)\b[^.\n]{0,40}$", re.IGNORECASE)
LOSS_NAMES = frozenset(("loss_function", "loss_fn", "loss_type", "criterion"))
SMOOTHING = "label_smoothing_factor"


def read_method(data: ModelCardData, text: str, stated: Iterable[tuple[str, str]]) -> tuple[str | None, str | None]:
    """Return the method that a card names, other than the usual one, and where it says so; None without a sign.

    text: the beginning of the card's text. stated: its hyperparameters by their names, in lower case with underscores.
    """
    facts = list(stated)
    for name, known in METHODS.items():
        if sign := next(signs(name, known, data, text, facts), None):
            return name, sign
    return None, None


def signs(name: str, known: Method, data: ModelCardData, text: str, facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what in a card says that it is of a method: metadata, hyperparameters, sentences."""
    for key, words in (("library_name", known.libraries), ("tags", known.tags)):
        yield from (f"{key} {word}" for word in texts(data.get(key)) if word.strip().lower() in words)
    if known.relation and known.relation in [word.lower() for word in texts(data.get("base_model_relation"))]:
        yield f"base_model_relation {known.relation}"
    for setting, value in facts:
        if setting in known.settings or (name == "loss" and is_other_loss(setting, value)):
            yield f"{setting} {cut(value)}"
    lines = (" ".join(line.split()) for line in text.split("\n"))
    for line in lines if known.text else ():
        found = re.search(known.text, line[:2000], re.IGNORECASE)
        if found and not NOT_SAID.search(line[: found.start()]):
            yield cut(found[0])


def is_other_loss(setting: str, value: str) -> bool:
    """Say whether a hyperparameter names a loss other than plain cross-entropy."""
    if setting == SMOOTHING:
        return value.strip().strip("`*") not in ("0", "0.0", "None")
    words = re.sub(r"[\W_]+", "", value.lower())
    plain = ("crossentropy" in words and "weighted" not in words and "binary" not in words) or words in ("ce", "none")
    return setting in LOSS_NAMES and not plain
