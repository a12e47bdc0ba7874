"""Conditions on settings, `sweep.design.where`: a small language of its own, never run as code.

    condition   = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = "not" negation | comparison
    comparison  = sum {("<" | "<=" | ">" | ">=" | "==" | "!=") sum}
    sum         = product {("+" | "-") product}
    product     = signed {("*" | "/") signed}
    signed      = "-" signed | number | factor | level | "(" condition ")"

A level is a name, in quotes or without. Numbers are equal within a billionth, so that 3 * 1e-4 == 3e-4. What is said of
a factor that a setting does not have is neither true nor false, and forbids nothing.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from finevar.errors import InputError
from finevar.study.coding import (
    Category,
    Coding,
    Codings,
    as_level,
    categories_of,
    codings_of,
    columns_of,
    levels_text,
    natural_of,
    numbers_of,
)
from finevar.study.consistency import Config, cut, listed, nearest

WHERE = "config: sweep.design.where"
TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))|(?P<quoted>"[^"]*"|'[^']*')"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign><=|>=|==|!=|[<>()+*/-]))"""
)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b and not equal(a, b),
    "<=": lambda a, b: a < b or equal(a, b),
    ">": lambda a, b: a > b and not equal(a, b),
    ">=": lambda a, b: a > b or equal(a, b),
    "==": lambda a, b: equal(a, b),
    "!=": lambda a, b: not equal(a, b),
}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
NUMBER, TRUTH, LEVEL, NAMES = "a number", "a comparison", "a name", "a factor of names"  # what a part stands for
MOST_NESTED = 50  # parentheses and signs within each other

Point = Mapping[str, Any]  # level of each factor
# A number; ["level", name] or ["factor", name]; ["not", tree]; ["and" or "or", tree, tree, ...]; [sign, tree, tree]
Tree = float | list[Any]


class Token(NamedTuple):
    """A word or sign of a condition."""

    kind: str  # number, quoted, word, sign, or end
    text: str
    at: int  # its first character, counted from 1


@dataclass(frozen=True)
class Part:
    """A part of a condition: what it stands for, and how it is computed."""

    kind: str
    tree: Tree
    token: Token  # the first of it


def equal(a: Any, b: Any) -> bool:
    """Say whether two names, or two numbers within a billionth, are equal."""
    return a == b if isinstance(a, str) else math.isclose(a, b, rel_tol=1e-9)


def parted(points: Iterable[Point], text: str | None, codings: Codings) -> tuple[list[Point], list[Point]]:
    """Return the settings that a condition allows, and those that it forbids; without a condition all and none.

    Raises InputError where it cannot be read, or has no value at a setting.
    """
    holds = condition(text, tuple(codings.items())) if text is not None else lambda _: True
    allowed: list[Point] = []
    forbidden: list[Point] = []
    for point in points:
        try:
            (forbidden if holds(point) is False else allowed).append(point)
        except ArithmeticError:
            raise InputError(
                WHERE,
                found=f"no value at {levels_text(point)}, as something is divided by 0 or too large",
                allowed="a condition that has a value at every setting",
                remedy="Compare products instead of quotients, or ask first whether the divisor is 0.",
            ) from None
    return allowed, forbidden


def forbidden_places(text: str, codings: Codings, coded: Mapping[str, np.ndarray]) -> np.ndarray:
    """Say for coded places [places] whether a condition forbids them; it has no say on a category that is averaged.

    It forbids also those at which it has no value: they lie between the settings, or far outside.
    """
    levels = {name: values.tolist() for name, values in natural_of(codings, coded).items()}
    for name, category in categories_of(codings).items():
        shares = category.shares(columns_of(coded, category.axes(name))).max(1)
        levels[name] = np.where(shares > 1 - 1e-9, levels[name], None).tolist()
    holds, places = condition(text, tuple(codings.items())), zip(*levels.values(), strict=True)
    points = (dict(zip(levels, map(as_level, place), strict=True)) for place in places)
    return np.array([is_forbidden(holds, point) for point in points])


def is_forbidden(holds: Callable[[Point], bool | None], point: Point) -> bool:
    """Say whether a condition forbids a place, or has no value there."""
    try:
        return holds(point) is False
    except ArithmeticError:
        return True


def condition_problems(sweep: Config) -> Iterator[InputError]:
    """Yield what is wrong with the condition of a design, if it has one."""
    text = sweep["design"].get("where")
    try:
        condition(text, tuple(codings_of(sweep["factors"]).items())) if text is not None else None
    except InputError as error:
        yield error


@functools.lru_cache
def condition(text: str, codings: tuple[tuple[str, Coding | Category], ...]) -> Callable[[Point], bool | None]:
    """Return what a condition says of a setting: True, False, or None where it does not apply.

    Raises InputError with the position of the first mistake.
    """
    return functools.partial(value_at, condition_tree(text, dict(codings)))


def condition_tree(text: str, codings: Codings) -> Tree:
    """Return how a condition is computed; raise InputError with the position of the first mistake."""
    parser = Parser(tokens(text), codings)
    whole = parser.either()
    parser.expect(parser.next.kind == "end", "and, or, or the end of the condition")
    return parser.must_be(TRUTH, whole).tree


def value_at(tree: Tree, point: Point) -> Any:
    """Return the value of a part at a setting, None where it does not apply; raise ArithmeticError where it has none.

    The report's explorer computes the same (templates/explorer/conditions.js).
    """
    match tree:
        case ["level", name]:
            return name
        case ["factor", name]:
            return point[name]
        case ["not", part]:
            return None if (found := value_at(part, point)) is None else not found
        case ["and" | "or" as sign, *parts]:
            return joined(sign == "or", parts, point)
        case [sign, one, other]:
            return applied((COMPARISONS | ARITHMETIC)[sign], value_at(one, point), value_at(other, point))
    return tree


def joined(decides: bool, parts: Iterable[Tree], point: Point) -> bool | None:
    """Return conditions as one: what decides where any of them is that; those after it are not asked."""
    known = True
    for part in parts:
        if (found := value_at(part, point)) is decides:
            return decides
        known &= found is not None
    return not decides if known else None


def applied(function: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Return a function of two values, None where one of them is."""
    if one is None or other is None:
        return None
    if not math.isfinite(found := function(one, other)):
        raise OverflowError
    return found


def tokens(text: str) -> list[Token]:
    """Return the words and signs of a condition, and its end."""
    found, at = [], 0
    while text[at:].strip():
        if (match := TOKEN.match(text, at)) is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            said = {"=": "Write == for equal.", "&": "Write and.", "|": "Write or.", "!": "Write not."}
            raise mistake(
                Token("", text[at:].split()[0], at + 1),
                "numbers, names, < <= > >= == !=, + - * /, and, or, not, parentheses",
                said.get(text[at], "Correct it."),
            )
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return [*found, Token("end", "the end", len(text) + 1)]


def mistake(token: Token, allowed: str, remedy: str = "Correct the condition.") -> InputError:
    """Return the error at a token."""
    return InputError(f"{WHERE}, position {token.at}", found=cut(token.text), allowed=allowed, remedy=remedy)


class Parser:
    """Reads tokens from left to right, each rule of the grammar by a method that returns its part."""

    def __init__(self, found: list[Token], codings: Codings) -> None:
        self.found, self.codings, self.read, self.depth = found, codings, 0, 0

    @property
    def next(self) -> Token:
        """Return the token that is to be read next."""
        return self.found[self.read]

    def take(self, *texts: str) -> Token | None:
        """Read the next token if it is one of these signs or words, in any case."""
        token = self.next
        if token.kind in ("word", "sign") and token.text.lower() in texts:
            self.read += 1
            return token
        return None

    def expect(self, right: bool, allowed: str) -> None:
        """Raise InputError at the next token unless it is right."""
        if not right:
            raise mistake(self.next, allowed)

    def must_be(self, kind: str, part: Part) -> Part:
        """Return a part of a kind; raise InputError of another one."""
        if part.kind == kind:
            return part
        if kind == NUMBER and part.kind == LEVEL and part.token.kind == "word":
            near = nearest(part.token.text, numbers_of(self.codings))
            raise mistake(
                part.token,
                f"a number or a factor of numbers: {listed(numbers_of(self.codings))}",
                f"Did you mean {near}?" if near else "Correct the name, or add the factor to sweep.factors.",
            )
        raise mistake(part.token, kind, f"This is {part.kind}.")

    def either(self) -> Part:
        """Read a condition."""
        part = self.both()
        while self.take("or"):
            part = self.joined("or", part, self.both())
        return part

    def both(self) -> Part:
        """Read a conjunction."""
        part = self.negation()
        while self.take("and"):
            part = self.joined("and", part, self.negation())
        return part

    def joined(self, sign: str, first: Part, second: Part) -> Part:
        """Return two conditions as one; a chain of them is one list, however long."""
        one, other = (self.must_be(TRUTH, part).tree for part in (first, second))
        return Part(TRUTH, [*(one if one[0] == sign else [sign, one]), other], first.token)

    def negation(self) -> Part:
        """Read a negation or a comparison."""
        if token := self.take("not"):
            return Part(TRUTH, ["not", self.must_be(TRUTH, self.nested(self.negation)).tree], token)
        return self.comparison()

    def nested(self, rule: Callable[[], Part]) -> Part:
        """Read what stands within something else."""
        self.depth += 1
        self.expect(self.depth <= MOST_NESTED, f"at most {MOST_NESTED} signs and parentheses within each other")
        part = rule()
        self.depth -= 1
        return part

    def comparison(self) -> Part:
        """Read a comparison, of several as in 1 < epochs <= 3 each with the next, or what may stand in one."""
        left, whole = self.sum(), None
        while sign := self.take(*COMPARISONS):
            right = self.sum()
            pair = self.compared(left, sign, right)
            whole, left = pair if whole is None else self.joined("and", whole, pair), right
        return whole or left

    def compared(self, left: Part, sign: Token, right: Part) -> Part:
        """Return a comparison of numbers, or of a factor of names with a level."""
        named = next((part for part in (left, right) if part.kind == NAMES), None)
        if named is None:
            return of_two(sign, self.must_be(NUMBER, left), self.must_be(NUMBER, right), TRUTH)
        if sign.text not in ("==", "!="):
            raise mistake(sign, f"== or != for {named.token.text}, whose levels are names")
        level = self.must_be(LEVEL, right if named is left else left)
        levels = self.codings[named.token.text].levels
        if (name := value_at(level.tree, {})) not in levels:
            near = nearest(name, levels)
            said = f"Did you mean {near}?" if near else "Correct the name."
            raise mistake(level.token, f"a level of {named.token.text}: {listed(levels)}", said)
        return of_two(sign, named, level, TRUTH)

    def sum(self) -> Part:
        """Read a sum or difference."""
        return self.chain(self.product, "+", "-")

    def product(self) -> Part:
        """Read a product or quotient."""
        return self.chain(self.signed, "*", "/")

    def chain(self, rule: Callable[[], Part], *signs: str) -> Part:
        """Read numbers with signs of one rank between them, from left to right."""
        part = rule()
        while sign := self.take(*signs):
            part = of_two(sign, self.must_be(NUMBER, part), self.must_be(NUMBER, rule()), NUMBER)
        return part

    def signed(self) -> Part:
        """Read a number with its sign, a factor, a level, or what stands in parentheses."""
        if token := self.take("-"):
            return of_two(token, Part(NUMBER, 0.0, token), self.must_be(NUMBER, self.nested(self.signed)), NUMBER)
        if self.take("("):
            part = self.nested(self.either)
            self.expect(self.next.text == ")", "a closing parenthesis")
            self.read += 1
            return part
        token = self.next
        reserved = token.kind == "word" and token.text.lower() in ("and", "or", "not")
        self.expect(token.kind in ("number", "word", "quoted") and not reserved, "a number, a factor, a level or (")
        self.read += 1
        return self.leaf(token)

    def leaf(self, token: Token) -> Part:
        """Return a number, a factor or a level."""
        if token.kind == "number":
            return Part(NUMBER, float(token.text), token)
        if token.kind == "word" and token.text in self.codings:
            kind = NAMES if isinstance(self.codings[token.text], Category) else NUMBER
            return Part(kind, ["factor", token.text], token)
        return Part(LEVEL, ["level", token.text.strip("\"'")], token)


def of_two(sign: Token, left: Part, right: Part, kind: str) -> Part:
    """Return a sign between two parts."""
    return Part(kind, [sign.text, left.tree, right.tree], left.token)
