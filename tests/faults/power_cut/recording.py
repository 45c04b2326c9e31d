"""What the kernel was asked to do with the files of a store, in order, with every byte.

``strace`` hears the system calls of a process. A call that is not understood, on a file that
matters, is an error: a recording that misses a write would prove nothing. Played back from the
first state, a recording must give the files as they are in the end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
"""Where modules of the tests are found by their names."""

MAIN, WAL, MARKS = "khazri.sqlite3", "khazri.sqlite3-wal", "marks"
IGNORED = "khazri.sqlite3-shm"  # shared memory: SQLite makes it anew after a crash

_CALLS = (
    "openat,open,creat,pwrite64,write,pwritev,pwritev2,writev,fsync,fdatasync,sync_file_range,"
    "msync,ftruncate,truncate,fallocate,unlink,unlinkat,rename,renameat,renameat2,link,linkat,"
    "mmap,copy_file_range,sendfile"
)
_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)\) += (?P<value>-?\d+)")
_BEGUN = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*?),? <unfinished \.\.\.>$")
_ENDED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>.*\) += (?P<value>-?\d+)")
_HEX = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"(?:^|, )\d+<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    name: str
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file is cut, or grown, to a size."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A process asks that all that was written to a file be on disk; the folder is ``""``."""

    name: str
    process: int


@dataclass(frozen=True, slots=True)
class Synced:
    """It is, says the kernel: what was written before it was asked."""

    name: str
    process: int


@dataclass(frozen=True, slots=True)
class Create:
    """A new, empty file."""

    name: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What the process told the world."""

    text: str


Event = Write | Truncate | Sync | Synced | Create | Unlink | Mark


def can_trace() -> bool:
    """Return whether there is a ``strace`` here, and processes may be traced."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode == 0


def record(command: Sequence[str], folder: Path) -> list[Event]:
    """Run a command under ``strace``; return what it did to the store in a folder."""
    trace = folder / "trace"
    paths = [folder, *(folder / name for name in (MAIN, WAL, IGNORED, MARKS, f"{MAIN}-journal"))]
    strace = ["strace", "-f", "-y", "-xx", "-s", "1000000", "--seccomp-bpf", "-o", str(trace)]
    strace += [word for path in paths for word in ("-P", str(path))]
    known = {name for name in (MAIN, WAL, MARKS) if (folder / name).exists()}
    subprocess.run([*strace, "-e", f"trace={_CALLS}", *command], check=True, timeout=300, cwd=ROOT)
    return list(_events(trace.read_text().splitlines(), folder, known))


def _events(lines: Sequence[str], folder: Path, known: set[str]) -> Iterator[Event]:
    """Yield what the lines of a trace did.

    A call that another process interrupts has two lines. What it writes may be on the disk from
    the first on; what it syncs is on the disk only from the second on.
    """
    begun: dict[str, Event | None] = {}
    for line in lines:
        if "+++ " in line or "--- " in line:
            continue
        if ended := _ENDED.match(line):
            event = begun.pop(ended["pid"])
            if isinstance(event, Sync):
                yield Synced(event.name, event.process)
            written = len(event.content) if isinstance(event, Write) else 0
            if event is not None and int(ended["value"]) < written:
                raise ValueError(f"a call did not succeed: {line[:200]}")
            continue
        whole = _LINE.match(line)
        found = whole or _BEGUN.match(line)
        if found is None:
            raise ValueError(f"a line of strace is not understood: {line[:200]}")
        if whole and int(whole["value"]) < 0:
            continue
        event = _event(found["pid"], found["call"], found["rest"], folder, known)
        if event is not None:
            yield event
        if not whole:
            begun[found["pid"]] = event
        elif isinstance(event, Sync):
            yield Synced(event.name, event.process)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _event(pid: str, call: str, rest: str, folder: Path, known: set[str]) -> Event | None:
    """Return what a call did; `known` are the files there are, kept up to date."""
    fd = _FD.search(rest)
    subject = _bytes(fd[1]) if fd and call != "openat" else _bytes(_HEX.search(rest)[1])
    name = _name(subject.decode(), folder)
    if name == IGNORED:
        return None
    if call == "openat":
        if "O_TRUNC" in rest:
            raise ValueError(f"{name} is emptied as it is opened")
        if name == "" or "O_CREAT" not in rest or name in known:
            return None
        known.add(name)
        return None if name == MARKS else Create(name)
    if call == "write" and name == MARKS:
        return Mark(_bytes(_HEX.search(rest)[1]).decode().strip())
    if call == "pwrite64":
        content = _bytes(_HEX.search(rest)[1])
        _, length, offset = rest.rsplit(", ", 2)
        if len(content) != int(length):
            raise ValueError(f"{name}: {len(content)} bytes of {length} were recorded")
        return Write(name, int(offset), content)
    if call in ("fsync", "fdatasync"):
        return Sync(name, int(pid))
    if call == "ftruncate":
        return Truncate(name, int(rest.rsplit(", ", 1)[1]))
    if call == "unlink":
        known.discard(name)
        return Unlink(name)
    if call == "mmap" and "PROT_WRITE" not in rest:
        return None
    raise ValueError(f"{call} on {name!r} is not understood: {rest[:200]}")


def _name(path: str, folder: Path) -> str:
    return "" if path == str(folder) else Path(path).name
