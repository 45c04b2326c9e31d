"""One line of an OpenDSS script as tokens, and a value as it is written back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grid.errors import BadInputError
from networks.sources.hostile import refuse_place

_QUOTES = {"(": ")", '"': '"', "'": "'", "[": "]", "{": "}"}
_SPACE = " \t,"
_VALUE = re.compile(r"[\w.\-#&$+:|%*/^~ \t,()\[\]]*")
_FILE_WORD = re.compile(r"(?:file|dblfile|sngfile|csvfile)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """A value with the property it is for, and the quotes it stood in, empty for none."""

    name: str
    value: str
    quote: str = ""


def tokenise(line: str, at: str) -> list[Token]:
    """Return the tokens of one line; ``!`` and ``//`` outside quotes begin a comment.

    Raises
    ------
    BadInputError
        When a quote is not closed or an ``=`` has no name before it.
    """
    tokens: list[Token] = []
    name, position = "", 0
    while position < len(line):
        character = line[position]
        if character in _SPACE:
            position += 1
        elif character == "!" or line.startswith("//", position):
            break
        elif character == "=":
            if name or not tokens or tokens[-1].name or tokens[-1].quote:
                raise BadInputError(f"{at}: an '=' has no name before it")
            name = tokens.pop().value.lower()
            position += 1
        else:
            value, quote, position = _token(line, position, at)
            tokens.append(Token(name, value, quote))
            name = ""
    if name:
        raise BadInputError(f"{at}: {name!r:.40} has no value")
    return tokens


def _token(line: str, position: int, at: str) -> tuple[str, str, int]:
    quote = line[position]
    if quote in _QUOTES:
        end = line.find(_QUOTES[quote], position + 1)
        if end < 0:
            raise BadInputError(f"{at}: a {quote} is not closed")
        return line[position + 1 : end], quote, end + 1
    end = position
    while end < len(line) and line[end] not in " \t,=!" and not line.startswith("//", end):
        end += 1
    return line[position:end], "", end


def written(token: Token, at: str) -> str:
    """Return a value as it is written for OpenDSS, of plain characters only.

    Raises
    ------
    BadInputError
        When it is a path, read from a file, empty or of other characters.
    """
    value = token.value
    refuse_place(value, f"{at}: {token.name}")
    if _FILE_WORD.search(value):
        raise BadInputError(f"{at}: {token.name} is {value!r:.40}: values are not read from a file")
    if not _VALUE.fullmatch(value) or not value.strip():
        raise BadInputError(f"{at}: {token.name} is {value!r:.40}, must be of plain characters")
    if token.quote:
        return f"{token.quote}{value}{_QUOTES[token.quote]}"
    return value


def look_through(tokens: list[Token], at: str) -> None:
    """Refuse a path or URL in values that are read past.

    Raises
    ------
    BadInputError
        Naming the property.
    """
    for token in tokens:
        refuse_place(token.value.replace("\\", "/"), f"{at}: {token.name or 'a value'}")
