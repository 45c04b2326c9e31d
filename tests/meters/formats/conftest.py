"""Peers of other makers, each in an environment of its own under the user's cache folder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

Peer = Callable[..., Path]


def _cache() -> Path:
    folder = Path(platformdirs.user_cache_dir("khazri-tests"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if done.returncode:
        pytest.skip(f"a peer cannot be installed: {' '.join(command[-2:])}: {done.stderr[-300:]}")


def _once(folder: Path, make: Callable[[], None]) -> Path:
    """Return `folder`, made by one of the test processes and kept for the next run."""
    done = folder.with_name(folder.name + ".done")
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make()
            done.touch()
    return folder


@pytest.fixture(scope="session")
def peer() -> Peer:
    """Return what gives the interpreter of an environment that holds the packages named."""

    def python(name: str, *packages: str) -> Path:
        folder = _cache() / name

        def make() -> None:
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            install = (str(folder / "bin/python"), "-m", "pip", "install", "--quiet")
            _run(*install, "--disable-pip-version-check", "--only-binary", ":all:", *packages)

        return _once(folder, make) / "bin" / "python"

    return python


@pytest.fixture(scope="session")
def packages() -> Peer:
    """Return what gives a folder with optional packages, for the path of a process of ours."""

    def path(name: str, *wanted: str) -> Path:
        folder = _cache() / name

        def make() -> None:
            install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps")
            options = ("--disable-pip-version-check", "--only-binary", ":all:", "--upgrade")
            _run(*install, *options, "--target", str(folder), *wanted)

        return _once(folder, make)

    return path


@pytest.fixture(scope="session")
def nem_examples() -> Path:
    """The public NEM12 and NEM13 examples, as nemreader's source release holds them."""
    folder = _cache() / "nemreader-0.9.2-source"

    def make() -> None:
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--no-binary", ":all:", "--no-deps", "-d", str(folder), "nemreader==0.9.2")
        with tarfile.open(folder / "nemreader-0.9.2.tar.gz") as archive:
            archive.extractall(folder, filter="data")

    return _once(folder, make) / "nemreader-0.9.2" / "examples"


@pytest.fixture(autouse=True)
def _quiet_index() -> None:
    os.environ.setdefault("PIP_NO_INPUT", "1")
