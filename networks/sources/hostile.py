"""What a network file may not hold, whoever wrote it: objects, function references, paths, URLs.

pandapower's own reader makes objects of what a file names and opens a file that a
table names. Ours does neither, and a file that tries is refused rather than read
around: whoever prepared it should hear of it. A name is text for people. It is
shown escaped and opened by nothing, so it may look like a path; nothing else may.
"""

from __future__ import annotations

import re
from typing import Any

from grid.errors import BadInputError

FREE_TEXT = ("name",)
_OBJECT_KEYS = ("_module", "_class", "_object", "_state", "__reduce__", "__class__")
_OBJECT_WORDS = re.compile(r"[\"']?(?:_module|_class|py/[a-z]+|__reduce__)[\"']?\s*:")
_PLACES = re.compile(
    r"""(?xi)
    ^\s* (?: /. | ~[/\\] | \\\\ | //. | [a-z]:[/\\] )      # /etc, ~/x, a share, a drive
    | [\s="'(,;] (?: /[a-z_.~] | [a-z]:[/\\] | \\\\ )       # the same within a text
    | (?:^|[\s\\/"'(,=]) \.\. (?:[\\/]|$)                   # ../
    | [a-z][a-z0-9+.-]* :// .                               # scheme://
    | \b (?: file | data | javascript | jar | unc | smb ) : \S
    """
)


def refuse_place(text: str, subject: str) -> None:
    """Refuse a text that is, or holds, an absolute path, a path upwards or a URL.

    Raises
    ------
    BadInputError
        Naming the subject and the text.
    """
    if _PLACES.search(text):
        raise BadInputError(f"{subject} is {text!r:.60}: a path or URL is never followed")


def refuse_objects(value: Any, subject: str, *, free: bool = False) -> None:
    """Refuse parsed JSON that names a class, a module or a function, a path or a URL anywhere.

    Parameters
    ----------
    value : parsed JSON
        As deep as it likes.
    subject : str
        How it is named in the message.
    free : bool
        Whether `value` is a text for people, in which a path may be.

    Raises
    ------
    BadInputError
        Naming the subject and what was found.
    """
    stack = [(value, free)]
    while stack:
        item, is_free = stack.pop()
        if isinstance(item, dict):
            for key in _OBJECT_KEYS:
                if key in item:
                    raise BadInputError(_object_message(subject, item))
            for key, inner in item.items():
                refuse_place(key, subject)
                if "py/" in key:
                    raise BadInputError(_object_message(subject, item))
                stack.append((inner, key in FREE_TEXT and isinstance(inner, str)))
        elif isinstance(item, list):
            stack.extend((inner, False) for inner in item)
        elif isinstance(item, str):
            if _OBJECT_WORDS.search(item):
                raise BadInputError(f"{subject} holds {item!r:.60}: an object is never made")
            if not is_free:
                refuse_place(item, subject)


def _object_message(subject: str, item: dict[str, Any]) -> str:
    named = [str(item[key]) for key in ("_module", "_class") if key in item] or sorted(item)
    return f"{subject} names {'.'.join(named)!r:.80}: a function or an object is never made"
