"""What pydantic says of a wrong value, in words for people: one table for requests and files alike."""

from typing import Any, Final

from pydantic import ValidationError

_FIXED: Final = {
    "missing": "this is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "it must be a text",
    "string_pattern_mismatch": "this is not in the form that is wanted",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
    "dict_type": "it must be an object with fields",
    "model_type": "it must be an object with fields",
}
_BOUNDS: Final = {
    "greater_than_equal": "it must be {ge:g} or more",
    "greater_than": "it must be more than {gt:g}",
    "less_than_equal": "it must be {le:g} or less",
    "less_than": "it must be less than {lt:g}",
    "string_too_short": "it must not be empty",
    "string_too_long": "it must have at most {max_length} characters",
    "too_short": "it must have at least {min_length} of them",
    "too_long": "it must have at most {max_length} of them",
    "literal_error": "it must be {expected}",
}


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first fault is (``actions.0.url``; empty: no field of its own), and words for it.

    What a validator of ours says stands as it is; a kind that no table knows keeps pydantic's words.
    """
    first: Any = error.errors(include_url=False, include_input=False)[0]
    kind, context = str(first["type"]), first.get("ctx", {})
    if kind in _BOUNDS:
        words = _BOUNDS[kind].format(**context)
    else:
        words = _FIXED.get(kind, str(first["msg"]).removeprefix("Value error, ").rstrip("."))
    return ".".join(str(part) for part in first["loc"])[:200], words[:300]
