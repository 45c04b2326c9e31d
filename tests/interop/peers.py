"""Foreign implementations, each in an environment of its own that the tests make once.

They are never imported by the product and never installed beside it. One that cannot be
installed makes its tests skip, with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import platformdirs
import pytest

PACKAGES = {
    "gurux": ("gurux-dlms==1.0.203",),
    "dlms-cosem": ("dlms-cosem==21.3.2",),
}
_INSTALL_S = 240


@lru_cache
def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment; skip the test when there is none."""
    packages = PACKAGES[peer]
    mark = "-".join(packages).replace("==", "-") + f"-py{sys.version_info[0]}{sys.version_info[1]}"
    folder = Path(platformdirs.user_cache_dir("khazri")) / "peers" / mark
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if done.exists():
        return python
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([*install, *packages])
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"{packages[0]} cannot be installed: {said.strip()[-300:]}")
    done.touch()
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)


def environment() -> dict[str, str]:
    """Return the variables of a peer's process: none of ours, so that it imports its own."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
