"""OpenDSS scripts, read before OpenDSS sees them: what is known is written anew, the rest refused.

OpenDSS gets one script of our own writing, in which each command, class and property
is one of :mod:`networks.sources.dss_words` and each value is of plain characters. It
never opens a file of the network: what the script includes is read here, and each of
its paths has to stay inside the folder of the master file, links followed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from grid.errors import BadInputError, Finding, Severity
from networks.sources import dss_words as words
from networks.sources.dss_tokens import Token, look_through, tokenise, written
from networks.sources.hostile import refuse_place
from networks.sources.tables import MAX_BYTES, read_bytes

MAX_DEPTH = 10
MAX_COMMANDS = 500_000
_WORD = re.compile(r"[\w.\-#&$+:|%*/^~]+")


@dataclass(slots=True)
class Script:
    """A script of our own writing, and what is beside it.

    Attributes
    ----------
    lines : list of str
        Commands for OpenDSS.
    places : dict of str to (float, float)
        Coordinates by lower-case bus name.
    left_out : dict of str to int
        Classes and properties that were read past, and how often.
    """

    lines: list[str] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)
    circuits: int = 0
    bases: bool = False
    budget: int = MAX_BYTES
    in_left_out: bool = False

    @property
    def text(self) -> str:
        """The whole script, which ends with the voltage bases of the buses."""
        return "\n".join(["Clear", *self.lines, "CalcVoltageBases"]) + "\n"

    def findings(self, subject: str) -> list[Finding]:
        """Return ``network.import.left_out`` for each class or property read past."""
        return [
            Finding(
                "network.import.left_out", name, "", Severity.INFO,
                f"{subject}: {name} is left out {count} times, a network file has no place for it",
            )
            for name, count in sorted(self.left_out.items())
        ]  # fmt: skip


def read_script(path: Path) -> Script:
    """Return what OpenDSS may run of the master file `path` and of what it includes.

    Raises
    ------
    BadInputError
        Naming file and line: a command, class, property or option that is not
        known, a value with other characters, a path that leaves the folder.
    """
    script = Script()
    root = path.parent.resolve()
    _read(path, root, script, 0)
    if script.circuits != 1:
        raise BadInputError(f"{path}: has {script.circuits} circuits, must be 1")
    if not script.bases:
        raise BadInputError(f"{path}: sets no VoltageBases, so that no bus has a nominal voltage")
    return script


def _read(path: Path, root: Path, script: Script, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadInputError(f"{path}: files include each other more than {MAX_DEPTH} deep")
    comment = False
    for number, line in enumerate(_lines(path, script), start=1):
        at = f"{path.name} line {number}"
        if not comment and line.lstrip().startswith("/*"):
            comment = True
        if comment:
            comment = "*/" not in line
            continue
        tokens = tokenise(line, at)
        if not tokens:
            continue
        included = _command(tokens, script, at)
        if included:
            _include(included, path, root, script, depth, at)
        if len(script.lines) > MAX_COMMANDS:
            raise BadInputError(f"{at}: more than {MAX_COMMANDS} commands")


def _lines(path: Path, script: Script) -> list[str]:
    content = read_bytes(path)
    script.budget -= len(content) + 1
    if script.budget < 0:
        raise BadInputError(f"{path}: the files together are larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: is not text in UTF-8: {error}") from error
    for character in ("\x00", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"):
        if character in text:
            raise BadInputError(f"{path}: holds the control character {character!r}")
    return text.splitlines()


def _command(tokens: list[Token], script: Script, at: str) -> str:
    """Take one command into the script; return the path of what it includes, mostly empty."""
    head = tokens[0]
    verb = head.value.lower() if not head.name and not head.quote else ""
    if head.name:
        _set_property(tokens, script, at)
    elif verb in ("new", "edit"):
        _element(verb, tokens[1:], script, at)
    elif verb in ("more", "m", "~"):
        _more(tokens[1:], script, at)
    elif verb == "set":
        _options(tokens[1:], script, at)
    elif verb == "batchedit":
        _batch(tokens[1:], script, at)
    elif verb in words.SWITCHES:
        if len(tokens) != 2:
            raise BadInputError(f"{at}: {verb} needs one element")
        kind, name = _named(tokens[1].value, at)
        if kind not in words.LEFT_OUT:
            script.lines.append(f"{verb} {kind}.{name}")
    elif verb in (*words.INCLUDES, "buscoords"):
        if len(tokens) != 2:
            raise BadInputError(f"{at}: {verb} needs one file")
        return f"{verb} {tokens[1].value}"
    elif verb in words.IGNORED_COMMANDS:
        look_through(tokens[1:], at)
    else:
        raise BadInputError(
            f"{at}: the command {head.value!r:.40} is not one an import runs; take the line out"
        )
    return ""


def _set_property(tokens: list[Token], script: Script, at: str) -> None:
    """Take ``Class.element.property=value …`` as an edit of the element."""
    owner, _, name = tokens[0].name.rpartition(".")
    if "." not in owner:
        raise BadInputError(f"{at}: {tokens[0].name!r:.40} must be class.element.property=value")
    first = Token(name, tokens[0].value, tokens[0].quote)
    _element("edit", [Token("", owner), first, *tokens[1:]], script, at)


def _named(text: str, at: str) -> tuple[str, str]:
    """Return class and name of an element."""
    kind, _, name = text.lower().partition(".")
    if not name or not _WORD.fullmatch(name):
        raise BadInputError(f"{at}: {text!r:.40} must be class.name of plain characters")
    if kind not in words.PROPERTIES and kind not in words.LEFT_OUT:
        raise BadInputError(f"{at}: the class {kind!r:.40} is not one that an import knows")
    return kind, name


def _element(verb: str, tokens: list[Token], script: Script, at: str) -> None:
    if not tokens or tokens[0].name not in ("", "object"):
        raise BadInputError(f"{at}: {verb} needs class.name first")
    kind, name = _named(tokens[0].value, at)
    script.in_left_out = kind in words.LEFT_OUT
    if kind == "circuit":
        script.circuits += verb == "new"
        if script.circuits > 1:
            raise BadInputError(f"{at}: a second circuit is not imported")
    elif not script.circuits:
        raise BadInputError(f"{at}: there is no circuit yet")
    if verb == "new" and kind == "vsource":
        raise BadInputError(f"{at}: a second source is not imported; the circuit has one")
    if script.in_left_out:
        _count(script, kind)
        look_through(tokens[1:], at)
        return
    if verb == "new":
        script.elements.setdefault(kind, []).append(name)
    script.lines.append(f"{verb} {kind}.{name}{_properties(kind, tokens[1:], script, at)}")


def _batch(tokens: list[Token], script: Script, at: str) -> None:
    """Edit every element of a class: ``batchedit class..* property=value``."""
    kind, _, pattern = (tokens[0].value if tokens else "").lower().partition(".")
    if pattern != ".*" or kind not in (*words.PROPERTIES, *words.LEFT_OUT):
        raise BadInputError(f"{at}: batchedit is only imported of a whole class, as load..*")
    if kind in words.LEFT_OUT:
        look_through(tokens[1:], at)
        return
    properties = _properties(kind, tokens[1:], script, at)
    names = script.elements.get(kind, [])
    if len(script.lines) + len(names) > MAX_COMMANDS:
        raise BadInputError(f"{at}: more than {MAX_COMMANDS} commands")
    script.lines += [f"edit {kind}.{name}{properties}" for name in names if properties]


def _more(tokens: list[Token], script: Script, at: str) -> None:
    if script.in_left_out:
        look_through(tokens, at)
        return
    if not script.lines or script.lines[-1].split(" ")[0] not in ("new", "edit"):
        raise BadInputError(f"{at}: there is no element to go on with")
    kind = script.lines[-1].split(" ")[1].partition(".")[0]
    script.lines[-1] += _properties(kind, tokens, script, at)


def _properties(kind: str, tokens: list[Token], script: Script, at: str) -> str:
    """Return properties as they are written for OpenDSS, each with its full name."""
    known = words.PROPERTIES[kind]
    text, position = "", 0
    for token in tokens:
        if token.name:
            name = words.full_name(kind, token.name)
        else:
            name = known[position] if position < len(known) else ""
        if not name or name in words.REFUSED:
            shown = token.name or f"value {token.value!r:.40} without a name"
            raise BadInputError(f"{at}: {kind}.{shown} is not a property we import")
        position = known.index(name) + 1
        if name in words.SERIES:
            look_through([token], at)
            _count(script, f"{kind}.{name}")
        else:
            text += f" {name}={written(token, at)}"
    return text


def _count(script: Script, name: str) -> None:
    script.left_out[name] = script.left_out.get(name, 0) + 1


def _options(tokens: list[Token], script: Script, at: str) -> None:
    for token in tokens:
        if token.name in words.OPTIONS:
            script.bases |= token.name == "voltagebases"
            script.lines.append(f"set {token.name}={written(token, at)}")
        elif token.name not in words.IGNORED_OPTIONS:
            raise BadInputError(
                f"{at}: the option {token.name or token.value!s:.40} is not one that an import sets"
            )


def _include(included: str, path: Path, root: Path, script: Script, depth: int, at: str) -> None:
    verb, _, name = included.partition(" ")
    target = inside(name, path.parent, root, at)
    if verb == "buscoords":
        for number, line in enumerate(_lines(target, script), start=1):
            _place(tokenise(line, f"{target.name} line {number}"), script, target, number)
    else:
        _read(target, root, script, depth + 1)


def inside(name: str, folder: Path, root: Path, at: str) -> Path:
    """Return the file that `name` is in `folder`, which must be inside `root`.

    Raises
    ------
    BadInputError
        When it is absolute, a URL, leaves the folder also through a link, or is
        no file.
    """
    plain = name.replace("\\", "/")
    refuse_place(plain.replace("../", ""), f"{at}: the file")
    target = (folder / plain).resolve()
    if not target.is_relative_to(root):
        raise BadInputError(f"{at}: the file {name!r:.60} is outside the folder of the network")
    if not target.is_file():
        target = _other_case(target)
    if not target.is_file():
        raise BadInputError(f"{at}: there is no file {name!r:.60}")
    return target


def _other_case(path: Path) -> Path:
    """Return the file of the same folder whose name differs in case only, as written elsewhere."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    alike = sorted(file for file in beside if file.name.lower() == path.name.lower())
    return alike[0] if alike and not alike[0].is_symlink() else path


def _place(tokens: list[Token], script: Script, path: Path, number: int) -> None:
    if not tokens:
        return
    try:
        bus, x, y = (token.value for token in tokens[:3])
        point = float(x), float(y)
    except ValueError as error:
        raise BadInputError(f"{path.name} line {number}: must be bus, x, y") from error
    if not all(map(math.isfinite, point)):
        raise BadInputError(f"{path.name} line {number}: {x}, {y} is no place")
    script.places[bus.lower()] = point
