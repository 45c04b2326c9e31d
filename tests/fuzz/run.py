"""Runs targets under atheris: ``python -m tests.fuzz.run [TARGET …] [--runs N] [--seconds S]``.

Each target gets a process of its own. The last line of output is one JSON object: per
target its executions and what was found, by kind with the input that shows it. The exit
code is 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.target import Judge, Target

_DONE = re.compile(r"^Done (\d+) runs in", re.MULTILINE)
_PULSE = re.compile(r"^#(\d+)\s", re.MULTILINE)
_FOUND = re.compile(r"^FOUND (\S+) (.*)$", re.MULTILINE)
_HANG_S = 10


def _targets() -> dict[str, Target]:
    from tests.fuzz.targets import TARGETS

    return dict(TARGETS)


def _child(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Fuzz one target in this process, which libFuzzer then ends."""
    import atheris

    with atheris.instrument_imports(include=["meters", "grid", "trading"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    for place, seed in enumerate(target.seeds):
        (folder / f"seed-{place}").write_bytes(seed)
    judge = Judge(target)
    told: set[str] = set()
    slow: list[str] = []

    def one(octets: bytes) -> None:
        wrong = judge.one(octets)
        if wrong and (wrong not in told or ("slower" in wrong and len(slow) < 50)):
            slow.append(wrong)
            told.add(wrong)
            sys.stderr.write(f"\nFOUND {octets.hex() or '-'} {wrong}\n")
            sys.stderr.flush()

    arguments = [
        sys.argv[0],
        f"-max_len={target.max_len}",
        f"-seed={options.seed}",
        f"-timeout={_HANG_S}",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={folder}/",
    ]
    if options.runs:
        arguments.append(f"-runs={options.runs}")
    if options.seconds:
        arguments.append(f"-max_total_time={options.seconds}")
    atheris.Setup([*arguments, str(folder)], one)
    atheris.Fuzz()


def _run(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Fuzz one target in a child; return what came of it."""
    began = time.monotonic()
    limits = [f"--runs={options.runs}", f"--seconds={options.seconds}", f"--seed={options.seed}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.fuzz.run", name, "--child", folder, *limits]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    told = done.stderr
    counts = _DONE.findall(told) or _PULSE.findall(told) or ["0"]
    # A slow input is judged again here, where the parsers run as they are.
    judge = Judge(_targets()[name])
    findings = {
        wrong: octets
        for octets, wrong in _FOUND.findall(told)
        if not wrong.startswith("slower") or judge.one(bytes.fromhex(octets.strip("-")))
    }
    if done.returncode or not _DONE.search(told):
        # libFuzzer ended it: a hang, memory, or a crash of the interpreter.
        findings[f"ended with {done.returncode}: {told[-600:]}"] = ""
    seconds = round(time.monotonic() - began, 1)
    return {"executions": int(counts[-1]), "seconds": seconds, "findings": findings}


def main() -> int:
    """Fuzz the targets that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.run", description=__doc__)
    parser.add_argument("target", nargs="*")
    parser.add_argument("--runs", type=int, default=0, help="executions of each target")
    parser.add_argument("--seconds", type=int, default=10, help="longest time of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(options.target[0], Path(options.child), options)
    known = _targets()
    if unknown := [name for name in options.target if name not in known]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(known)}")
    results = {}
    for name in options.target or known:
        results[name] = _run(name, options)
        sys.stderr.write(f"{name}: {json.dumps(results[name])}\n")
        sys.stderr.flush()
    total = sum(int(one["executions"]) for one in results.values())  # type: ignore[call-overload]
    found = sum(len(one["findings"]) for one in results.values())  # type: ignore[arg-type]
    summary = {"executions": total, "findings": found, "targets": results}
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
