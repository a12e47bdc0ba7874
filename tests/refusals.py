"""Errors as tests ask for them: by their place and the data that they name, whatever the words between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from finevar.errors import InputError


def refusals(function: Callable[..., Any], *args: Any, **keys: Any) -> list[InputError]:
    """Return the mistakes that a call is refused for."""
    with pytest.raises(InputError) as caught:
        function(*args, **keys)
    return list(getattr(caught.value, "problems", [caught.value]))


def refusal(function: Callable[..., Any], *args: Any, **keys: Any) -> InputError:
    """Return the only mistake that a call is refused for."""
    (error,) = refusals(function, *args, **keys)
    return error


def names(error: InputError, *data: object) -> bool:
    """Say whether an error names all data as found, as allowed or in its remedy."""
    text = f"{error.found} {error.allowed} {error.remedy}"
    return all(str(datum) in text for datum in data)


def at(errors: Sequence[InputError], where: str, *data: object) -> InputError:
    """Return the first error at a place that names all data; fail, with what there is, where there is none."""
    found = next((error for error in errors if error.where == where and names(error, *data)), None)
    assert found, f"no error at {where} with {data} among {[str(error) for error in errors]}"
    return found
