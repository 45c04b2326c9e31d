"""Images drawn at a point of a recording: the orderly ones first, then by chance."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import numpy as np

from tests.faults.power_cut.disk import Choices, Point, States

_TRIES = 4
_KEPT = (0.02, 0.2, 0.5, 0.8, 0.98)

Image = dict[str, bytes | memoryview]
"""Content by name of a file; a name that is not there has no file."""


class Drawer:
    """The distinct images of one point.

    Parameters
    ----------
    point : Point
    draw : numpy.random.Generator
    """

    def __init__(self, point: Point, draw: np.random.Generator) -> None:
        self._draw = draw
        files = {id(file): file for names in point.files for file in names.values()}
        choices = {key: Choices(file) for key, file in files.items()}
        self._names = [
            {name: choices[id(file)] for name, file in names.items()} for names in point.files
        ]
        self._whole: dict[int, tuple[bytes, bytes]] = {}
        self.free = len(self._names) > 1 or any(one.free for one in choices.values())

    def images(self, count: int) -> Iterator[tuple[bytes, Image]]:
        """Yield up to `count` images, none twice, each with a digest of its content."""
        seen: set[bytes] = set()
        orderly, tries = self._orderly(), 0
        while len(seen) < count and tries < _TRIES * count:
            tries += 1
            names, picked = next(orderly, None) or self._by_chance()
            key, image = self._image(names, picked)
            if key not in seen:
                seen.add(key)
                yield key, image
            if not self.free:
                return

    def _orderly(self) -> Iterator[tuple[dict[str, Choices], list[tuple[States, int]]]]:
        """Yield all lost, all kept, each prefix of the writes, and one sector lost or kept."""
        for names in reversed(self._names):
            for write in self._prefixes(names):
                yield names, [one.up_to(write) for one in names.values()]
        names = self._names[-1]
        every = [one.up_to(2**31 - 1) for one in names.values()]
        none = [one.up_to(0) for one in names.values()]
        for base, other in ((every, none), (none, every)):
            for number, one in enumerate(names.values()):
                rows = np.arange(len(one.sector))
                for row in self._draw.permutation(rows)[:8]:
                    chosen = base[number][0].copy()
                    chosen[row] = other[number][0][row]
                    # The size is that of all writes: a lone sector is not cut off.
                    picked = [*base]
                    picked[number] = (chosen, every[number][1])
                    yield names, picked

    def _prefixes(self, names: dict[str, Choices]) -> list[int]:
        most = max(one.file.writes for one in names.values())
        if most <= 16:
            return [2**31 - 1, *range(most)]
        some = self._draw.choice(np.arange(1, most), 14, replace=False).tolist()
        return [2**31 - 1, 0, *some]

    def _by_chance(self) -> tuple[dict[str, Choices], list[tuple[States, int]]]:
        names = self._names[int(self._draw.integers(len(self._names)))]
        kept = _KEPT[int(self._draw.integers(len(_KEPT)))]
        picked = []
        for one in names.values():
            if not one.free:
                picked.append((one.count - 1, int(one.size[-1])))
                continue
            newest = self._draw.random(len(one.count)) < kept
            older = (self._draw.random(len(one.count)) * one.count).astype(np.int64)
            size = int(one.size[-1])
            if self._draw.random() < 0.3:
                size = int(self._draw.choice(one.size))
            picked.append((np.where(newest, one.count - 1, older), size))
        return names, picked

    def _image(
        self, names: dict[str, Choices], picked: list[tuple[States, int]]
    ) -> tuple[bytes, Image]:
        image: Image = {}
        key = b""
        for (name, one), (chosen, size) in zip(names.items(), picked, strict=True):
            if one.free:
                content = one.image(chosen, size).tobytes()
                found = (sha256(content).digest()[:16], content)
            else:
                if id(one) not in self._whole:
                    whole = bytes(one.file.durable)
                    self._whole[id(one)] = (sha256(whole).digest()[:16], whole)
                found = self._whole[id(one)]
            key += found[0]
            image[name] = found[1]
        return key, image
