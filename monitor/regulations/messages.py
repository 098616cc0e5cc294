"""From pydantic's errors to sentences that name the key and say what to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.model.regulation import format_duration, parse_duration
from monitor.regulations.document import Document
from monitor.regulations.problem import Key, Problem

_INSTANT = "an instant; write it with its time zone, as 2026-11-28T08:00:00+08:00"
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "string_type": "a text; put it into quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "float_parsing": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
    "date_type": "a date; write it as 2021-03-31",
    "date_parsing": "a date; write it as 2021-03-31",
    "date_from_datetime_parsing": "a date; write it as 2021-03-31",
    "time_type": 'a time of day; write it as "07:30", in quotes',
    "time_parsing": 'a time of day; write it as "07:30", in quotes',
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "timezone_aware": _INSTANT,
}
NO_ID = "is no id; use letters, digits, dot, underscore and hyphen, at most 64"
"""What is wrong with a text that doesn't fit its pattern: ids are the only ones that have one."""
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def problems_of(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[Problem]:
    """Yield a problem for each of pydantic's errors, at the line of its key."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # its members are wrong, and have errors of their own
        key: Key = tuple(part for part in detail["loc"] if part != "[key]")
        yield document.problem(key, _sentence(detail, key, model))


def _sentence(detail: ErrorDetails, key: Key, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown_key(str(key[-1]), _fields(model, key[:-1]))
    if kind == "missing":
        return "this key is missing"
    if value is None:
        return "has no value"
    return said(detail)


def said(detail: ErrorDetails, *, show: bool = True) -> str:
    """Return what is wrong with one value; `show` it, but where it may be secret or huge."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in {"string_too_short", "too_short"}:
        return "is empty"
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known here"
    fault = _fault(detail, kind, context)
    return f"{quoted(detail['input'])} {fault}" if show else fault


def _fault(detail: ErrorDetails, kind: str, context: dict[str, Any]) -> str:
    """Return what is wrong with a value that is there."""
    if kind in _TYPES:
        return f"is not {_TYPES[kind]}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"is out of range; it must be {words} {_bound(detail['input'], context[bound])}"
    if kind in {"enum", "literal_error"}:
        return f"is not known here; write {context['expected']}"
    if kind == "string_pattern_mismatch":
        return NO_ID
    if kind == "string_too_long":
        return f"is too long; it may have {context['max_length']} characters"
    return f"is wrong: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def quoted(value: Any) -> str:
    """Show a value in a sentence, long ones cut."""
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _bound(given: Any, bound: Any) -> str:
    """Write a bound as the value was written: a duration has a unit."""
    try:
        parse_duration(given)
    except ValueError:
        return _number(bound)
    return format_duration(bound)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unknown_key(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known here are {', '.join(known)}" if known else "unknown key"


def _fields(model: type[BaseModel] | None, key: Key) -> list[str]:
    """Return the keys that the model knows at `key`."""
    for part in key:
        if model is None:
            return []
        if isinstance(part, int):
            continue
        field = next((item for name, item in model.model_fields.items() if part in (name, item.alias)), None)
        model = _model_in(field.annotation) if field is not None else None
    return [item.alias or name for name, item in model.model_fields.items()] if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `Retention | None` or `tuple[Reference, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, get_args(annotation)) if model is not None), None)
