"""A transparency log's reader that nobody here wrote audits an export: Go's sumdb packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trading.ledger import checkpoint, entry, merkle, note, tiles

_PROGRAM = Path(__file__).parent / "tlog_go" / "audit.go"
_GOPATH = Path("/usr/share/gocode")
ORIGIN = "khazri.example/audited"
SIGNER = note.signer(ORIGIN, b"s" * 32)
WITNESS = note.signer("witness.example/w1", b"w" * 32, note.COSIGNATURE)

Audit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def audit() -> Iterator[Audit]:
    """Runs the auditor; it is compiled from Debian's packages without any network."""
    go = shutil.which("go")
    assert go, "no Go on this machine: run 'make test-tools'"
    folder = Path(tempfile.mkdtemp(prefix="khazri-go-"))
    off = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(_GOPATH), "CGO_ENABLED": "0"}
    off |= {"GOCACHE": str(folder / "cache"), "HOME": str(folder)}
    command = [go, "build", "-o", str(folder / "audit"), str(_PROGRAM)]
    built = subprocess.run(
        command, env={**os.environ, **off}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr

    def run(export: Path, *keys: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "audit"), str(export), *keys]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    yield run
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An export of 66,000 entries with older checkpoints, and the root as base64."""
    entries = [entry.genesis(ORIGIN, SIGNER.key.encode())]
    for number in range(1, 66_000):
        body = {"price": "0.0840", "volume_wh": number}
        entries.append(entry.following(entries[-1], entry.Kind.CLEARING, "", body))
    encoded = [one.encode() for one in entries]
    tree = merkle.Tree(map(merkle.leaf_hash, encoded))
    sizes = (1, 255, 256, 300, 65_536, 66_000)
    heads = [
        checkpoint.sign(checkpoint.Checkpoint(ORIGIN, size, tree.root(size)), SIGNER)
        for size in sizes
    ]
    heads[-1] = checkpoint.cosign(heads[-1], WITNESS, 1_780_000_000)
    folder = tmp_path_factory.mktemp("tlog") / "export"
    head = tiles.export(encoded, heads, folder)
    return folder, head.encode().splitlines()[2]


def test_an_auditor_from_elsewhere_finds_every_entry_in_the_tree(
    audit: Audit, exported: tuple[Path, str]
) -> None:
    folder, root = exported
    done = audit(folder, SIGNER.key.encode(), WITNESS.key.encode())
    assert (done.returncode, done.stdout) == (0, f"ok 66000 {root} 5\n")


@pytest.mark.parametrize(
    "name", ["tile/entries/017", "tile/0/257.p/208", "tile/1/000", "checkpoints/300", "checkpoint"]
)
def test_it_refuses_an_altered_export(
    audit: Audit, exported: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(exported[0], altered)
    path = altered / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = audit(altered, SIGNER.key.encode(), WITNESS.key.encode())
    assert done.returncode == 1
    assert done.stdout.startswith("refused: ")


def test_it_refuses_the_wrong_keys(audit: Audit, exported: tuple[Path, str]) -> None:
    for log, witness in (
        (note.signer(ORIGIN, bytes(32)).key, WITNESS.key),
        (SIGNER.key, note.signer(WITNESS.key.name, bytes(32), note.COSIGNATURE).key),
        (SIGNER.key, note.signer("other.example", b"w" * 32, note.COSIGNATURE).key),
    ):
        done = audit(exported[0], log.encode(), witness.encode())
        assert done.returncode == 1, done.stdout
