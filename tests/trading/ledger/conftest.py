"""A small log of every kind of entry, exported with openings and an older checkpoint."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import trading.verify as verifier
from grid.interval import label
from grid.quantities import format_price
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

    def commit(self, kind, interval, what, payloads, body, version=0, secret=""):
        """Append an entry that commits to payloads by subject."""
        digests = []
        for subject, payload in payloads.items():
            key = f"{secret}{subject}".encode().ljust(32, b".")
            about = commitment.Label(interval, what, subject, version)
            digest, opening = commitment.commit(key, about, payload)
            digests.append(digest)
            self.openings.append((len(self.entries), opening))
        self.append(kind, interval, {**body, "commitments": commitment.commitments(digests)})

    def readings(self, at, readings, version=0, **public):
        """Append the readings of an interval; the head meter agrees unless told."""
        imported = sum(one["import_wh"] for one in readings.values())
        exported = sum(one["export_wh"] for one in readings.values())
        head = {"head_export_wh": exported, "head_import_wh": imported + 12, "loss_wh": 12}
        body = {**head, "usage_points": len(readings), "version": version, **public}
        body = {name: value for name, value in body.items() if value is not None}
        self.commit(entry.Kind.READINGS, at, "reading", readings, body, version)

    def clear(self, at, trades, price=PRICE, volume_wh=500):
        """Append the clearing of an interval."""
        told = None if price is None else format_price(price)
        body = {"mechanism": "uniform_price", "price": told, "volume_wh": volume_wh}
        self.commit(entry.Kind.CLEARING, at, "trade", trades, body)

    def settle(self, at, postings, version=0):
        """Append the postings of one version of an interval's settlement."""
        kind = entry.Kind.CORRECTION if version else entry.Kind.SETTLEMENT
        body = {"part": 0, "state": "provisional", "version": version}
        lines = {f"line-{number}": line for number, line in enumerate(postings)}
        self.commit(kind, at, "posting", lines, body, version)

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
        readings = {f"up-{i}": reading(900 + 7 * i + number) for i in range(2)}
        self.readings(at, readings)
        trade = {"energy_wh": "500", "price": str(PRICE)}
        self.clear(at, {"0-buyer": trade, "0-seller": trade})
        self.append(entry.Kind.NETWORK, at, {"topology": "ab" * 32})
        self.append(entry.Kind.PLAN, at, {"plan": "cd" * 32, "source": "new plan"})
        self.append(entry.Kind.SETPOINTS, at, {"setpoints": "ef" * 32})
        self.settle(at, [purchase(), sale()])
        self.append(entry.Kind.ACTION, at, {"action": "release", "by": "operator"})


def reading(import_wh, export_wh=0):
    """A reading as a readings entry commits to it."""
    return {
        "export_varh": 0,
        "export_wh": export_wh,
        "import_varh": 0,
        "import_wh": import_wh,
        "quality": "1.0.0",
    }


def posting(debit, credit, kind, energy_wh=500, price=PRICE, **other):
    """A posting as a settlement commits to it."""
    return {
        "amount_nano": str(energy_wh * price),
        "credit": credit,
        "debit": debit,
        "energy_wh": str(energy_wh),
        "kind": kind,
        "price": str(price),
        "reversal": False,
        "usage_point": "",
        **other,
    }


def purchase(energy_wh=500, price=PRICE):
    """What a buyer pays to the market."""
    return posting("p-buyer", "market", "purchase", energy_wh, price)


def sale(energy_wh=500, price=PRICE):
    """What the market pays to a seller."""
    return posting("market", "p-seller", "sale", energy_wh, price)


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


@pytest.fixture
def verify(capsys, log):
    """Returns exit status and report of one run."""

    def run(folder, *arguments, key=None):
        capsys.readouterr()
        status = verifier.main([str(folder), "--key", key or log.vkey, "--json", *arguments])
        out = capsys.readouterr().out
        return status, json.loads(out.splitlines()[-1]) if out else None

    return run
