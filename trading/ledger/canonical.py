"""Canonical JSON (RFC 8785), restricted to what cannot be read in two ways.

Values are objects, lists, strings, booleans, null and integers within
±(2^53 − 1). Amounts are decimal strings: every float is refused, so the one
hard part of RFC 8785, the shortest form of a double, never arises.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeAlias

from grid.errors import BadInputError, VerificationError

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | bool | None"

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16
BYTES_MAX = 65_535
"""What one entry of a C2SP entry bundle can hold."""


def encode(value: Value) -> bytes:
    """Return the canonical bytes of `value`.

    Raises
    ------
    BadInputError
        For a float, an integer beyond ±(2^53 − 1), a lone surrogate, a member
        name that is no string, any other type, or nesting beyond 16.
    """
    try:
        return _ENCODER.encode(_checked(value, 0)).encode()
    except UnicodeEncodeError as error:
        raise BadInputError("a text with a lone surrogate has no canonical form") from error


def decode(data: bytes, *, limit: int = BYTES_MAX) -> Any:
    """Return the value whose canonical bytes are exactly `data`.

    Raises
    ------
    VerificationError
        When `data` is longer than `limit`, is no JSON of the restricted kind,
        or would be encoded differently: white space, duplicate or unsorted
        names, other escapes, ``-0``.
    """
    if len(data) > limit:
        raise VerificationError(f"{len(data)} bytes of JSON are more than {limit}")
    _check_depth(data)
    try:
        text = data.decode()
        value = _DECODER.decode(text)
    except VerificationError:
        raise
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"no JSON: {error}") from error
    try:
        canonical = encode(value)
    except BadInputError as error:
        raise VerificationError(str(error)) from error
    if canonical != data:
        raise VerificationError(f"not canonical from byte {_first_difference(canonical, data)}")
    return value


def _utf16(name: str) -> bytes:
    # RFC 8785 sorts by UTF-16 code units: surrogate pairs come before U+E000
    return name.encode("utf-16-be", "surrogatepass")


def _checked(value: Any, depth: int) -> Value:
    """Return `value` with sorted names after checking every part of it."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise BadInputError(f"integer {value} is beyond ±{INTEGER_MAX}: write it as a string")
        return value
    if depth == DEPTH_MAX:
        raise BadInputError(f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, list):
        return [_checked(part, depth + 1) for part in value]
    if isinstance(value, dict):
        names = list(value)
        if not all(isinstance(name, str) for name in names):
            raise BadInputError("a member name must be a string")
        names.sort(key=None if all(map(str.isascii, names)) else _utf16)
        return {name: _checked(value[name], depth + 1) for name in names}
    raise BadInputError(f"{type(value).__name__} {value!r} has no canonical form")


def _check_depth(data: bytes) -> None:
    """Refuse deep nesting before the parser recurses into it."""
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth, quoted, escaped = 0, False, False
    for byte in data:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise VerificationError(f"nested deeper than {DEPTH_MAX}")
        elif byte in b"]}":
            depth -= 1


def _integer(text: str) -> int:
    if len(text) > 17 or not -INTEGER_MAX <= int(text) <= INTEGER_MAX:
        raise VerificationError(f"integer {text[:24]} is beyond ±{INTEGER_MAX}")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise VerificationError(f"number {text[:24]} is no integer")


def _first_difference(first: bytes, second: bytes) -> int:
    pairs = zip(first, second, strict=False)
    return next(
        (index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second))
    )


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)
