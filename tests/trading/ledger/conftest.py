"""A small log of every kind of entry, exported with openings and an older checkpoint."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grid.interval import label
from trading.ledger import checkpoint, commitment, entry, merkle, note, tiles

ORIGIN = "khazri.example/test"
SEED = bytes(range(32))
START_S = 1_774_742_400
PRICE = 84


@dataclass
class Log:
    """Entries as they are appended, their tree and the openings beside them."""

    origin: str = ORIGIN
    seed: bytes = SEED
    entries: list[entry.Entry] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    tree: merkle.Tree = field(default_factory=merkle.Tree)
    openings: list[tuple[int, commitment.Opening]] = field(default_factory=list)

    @property
    def signer(self):
        return note.signer(self.origin, self.seed)

    @property
    def vkey(self):
        return self.signer.key.encode()

    def append(self, kind, interval, body):
        if self.entries:
            one = entry.following(self.entries[-1], kind, interval, body)
        else:
            one = entry.genesis("demo", self.vkey)
        self.entries.append(one)
        self.encoded.append(one.encode())
        self.tree.append(one.leaf_hash)

    def commit(self, kind, interval, what, payloads, body):
        """Append an entry that commits to payloads by subject."""
        digests = []
        for subject, payload in payloads.items():
            secret = subject.encode().ljust(32, b".")
            about = commitment.Label(interval, what, subject)
            digest, opening = commitment.commit(secret, about, payload)
            digests.append(digest)
            self.openings.append((len(self.entries), opening))
        self.append(kind, interval, {**body, "commitments": commitment.commitments(digests)})

    def checkpoint(self, size=None):
        size = self.tree.size if size is None else size
        head = checkpoint.Checkpoint(self.origin, size, self.tree.root(size))
        return checkpoint.sign(head, self.signer)

    def export(self, folder, *older, openings=True):
        """Write the whole log with checkpoints of the sizes `older`."""
        heads = [self.checkpoint(size) for size in older] + [self.checkpoint()]
        tiles.export(self.encoded, heads, folder, self.openings if openings else None)
        return folder

    def interval(self, number):
        """Append one interval of the operating cycle: seven entries."""
        at = label(START_S + 900 * number)
        readings = {f"up-{i}": {"import_wh": str(900 + 7 * i + number)} for i in range(2)}
        self.commit(entry.Kind.READINGS, at, "reading", readings, {"total_import_wh": "1807"})
        self.append(entry.Kind.CLEARING, at, {"price": str(PRICE), "volume_wh": "500"})
        self.append(entry.Kind.NETWORK, at, {"topology": "ab" * 32})
        self.append(entry.Kind.PLAN, at, {"plan": "cd" * 32, "source": "new plan"})
        self.append(entry.Kind.SETPOINTS, at, {"setpoints": "ef" * 32})
        amount = str(500 * PRICE)
        postings = {
            "up-0": posting("p-buyer", "market", amount),
            "up-1": posting("market", "p-seller", amount),
        }
        self.commit(entry.Kind.SETTLEMENT, at, "posting", postings, {"version": 0})
        self.append(entry.Kind.ACTION, at, {"action": "release", "by": "operator"})


def posting(debit, credit, amount):
    """A posting as a settlement commits to it."""
    return {
        "amount_nano": amount,
        "credit": credit,
        "debit": debit,
        "energy_wh": "500",
        "price": str(PRICE),
    }


def sample_log(intervals=4):
    log = Log()
    log.append(entry.Kind.GENESIS, "", {})
    for number in range(intervals):
        log.interval(number)
    at = label(START_S)
    log.append(entry.Kind.CORRECTION, at, {"version": 1})
    log.append(entry.Kind.KEY, "", {"witness": "w1"})
    log.append(entry.Kind.CHECKPOINT, "", {"size": 8})
    return log


@pytest.fixture(scope="session")
def make_log():
    """Returns new logs of any number of intervals."""
    return sample_log


@pytest.fixture(scope="session")
def log():
    """A log of 32 entries; read only."""
    return sample_log()


@pytest.fixture
def folder(log, tmp_path: Path):
    """Its export, with openings and the checkpoint of 11 entries."""
    return log.export(tmp_path / "export", 11)
