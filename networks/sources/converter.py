"""pandapower's converters in a process of their own, which may crash, hang or run out.

What they read comes from others, and the engine of OpenDSS and the XML parser are
not ours. The child gets texts that passed our checks, works in an empty folder and
answers with JSON; what it answers is checked as any network file is.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from grid.errors import BadInputError, PeerError

DEADLINE_S = 300.0
MAX_ANSWER_BYTES = 256_000_000


def need(module: str, extra: str, what: str) -> None:
    """Refuse when `module` is not installed.

    Raises
    ------
    BadInputError
        Naming the extra of our package that brings it.
    """
    if find_spec(module) is None:
        raise BadInputError(f"{what} needs the extra khazri[{extra}], which is not installed")


def convert(
    kind: str, files: Mapping[str, bytes], *, deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Return what a converter made of `files`, as records by table and facts.

    Parameters
    ----------
    kind : str
        ``opendss`` or ``cgmes``.
    files : mapping of str to bytes
        Content by plain file name.

    Returns
    -------
    dict
        `records` by table for :func:`networks.sources.exchange.from_records`,
        `facts` of the network, and `notes`, sentences on what was approximated.

    Raises
    ------
    BadInputError
        When the converter says what is wrong with the network.
    PeerError
        When it crashed or gave no answer in time.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, kind, dict(files)), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(deadline_s):
            raise PeerError(f"the {kind} converter gave no answer within {deadline_s:g} s")
        answer = json.loads(ours.recv_bytes(MAX_ANSWER_BYTES))
    except (EOFError, OSError, ValueError) as error:
        process.join(5)
        raise PeerError(f"the {kind} converter died (exit {process.exitcode})") from error
    finally:
        ours.close()
        process.kill()
        process.join()
    if "refused" in answer:
        raise BadInputError(f"the {kind} converter: {answer['refused']}")
    return dict(answer)


def _work(channel: Connection, kind: str, files: dict[str, bytes]) -> None:
    # What a converter prints and logs is about its own insides; what it notes comes back.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    with tempfile.TemporaryDirectory() as folder, suppress(BrokenPipeError):
        try:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            os.chdir(folder)
            answer: dict[str, Any] = _converted(kind, [Path(folder) / name for name in files])
        except Exception as error:
            # Whatever a foreign converter says of a foreign file is about the file.
            answer = {"refused": f"{type(error).__name__}: {error!s:.400}"}
        finally:
            os.chdir("/")
        channel.send_bytes(json.dumps(answer, default=plain).encode())


def _converted(kind: str, paths: list[Path]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "opendss":
            from networks.sources.opendss_engine import converted

            return converted(paths[0])
        from networks.sources.cgmes_engine import converted as from_cgmes

        return from_cgmes(paths)


def records_of(net: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the frames of a pandapower net that matter, one plain record a row."""
    from networks.sources.exchange import TABLES

    return {
        table: [
            {"index": int(index), **{name: plain(value) for name, value in record.items()}}
            for index, record in zip(net[table].index, net[table].to_dict("records"), strict=True)
        ]
        for table in TABLES
        if table in net and len(net[table])
    }


def plain(value: Any) -> Any:
    """Return a cell as JSON has it; what is none of its kinds is None."""
    item = getattr(value, "item", None)
    value = item() if callable(item) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) else None
