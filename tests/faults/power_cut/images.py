"""Images drawn at a point of a recording: the orderly ones first, then by chance."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import chain, islice

import numpy as np

from tests.faults.power_cut.disk import Choices, Point, States

_TRIES = 4
_KEPT = (0.02, 0.2, 0.5, 0.8, 0.98)

Picked = tuple[States, int]
Drawn = tuple[dict[str, Choices], list[Picked]]
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

    def images(self, count: int, seen: set[bytes]) -> Iterator[tuple[bytes, Image]]:
        """Yield up to `count` images that were not seen, each with a digest of its content."""
        drawn = chain(self._orderly(), iter(self._by_chance, None))
        found = 0
        tried: set[object] = set()
        for names, picked in islice(drawn, _TRIES * count if self.free else 1):
            choice = (id(names), *((chosen.tobytes(), size) for chosen, size in picked))
            if choice in tried:
                continue
            tried.add(choice)
            key, image = self._image(names, picked)
            if key not in seen:
                seen.add(key)
                found += 1
                yield key, image
            if found == count:
                return

    def _orderly(self) -> Iterator[Drawn]:
        """Yield all kept, all lost, and one sector lost or kept.

        What a prefix of the writes leaves is what all of them left at a point before.
        """
        for names in reversed(self._names):
            yield names, [one.kept for one in names.values()]
            yield names, [one.lost for one in names.values()]
        names = self._names[-1]
        every = [one.kept for one in names.values()]
        none = [one.lost for one in names.values()]
        for base, other in ((every, none), (none, every)):
            for number, one in enumerate(names.values()):
                for row in self._draw.permutation(len(one.sector))[:2]:
                    chosen = base[number][0].copy()
                    chosen[row] = other[number][0][row]
                    # The size is that of all writes: a lone sector is not cut off.
                    picked = [*base]
                    picked[number] = (chosen, every[number][1])
                    yield names, picked

    def _by_chance(self) -> Drawn:
        names = self._names[int(self._draw.integers(len(self._names)))]
        kept = _KEPT[int(self._draw.integers(len(_KEPT)))]
        picked = []
        for one in names.values():
            if not one.free:
                picked.append(one.kept)
                continue
            newest = self._draw.random(len(one.count)) < kept
            older = (self._draw.random(len(one.count)) * one.count).astype(np.int64)
            size = int(one.size[-1])
            if self._draw.random() < 0.3:
                size = int(self._draw.choice(one.size))
            picked.append((np.where(newest, one.count - 1, older), size))
        return names, picked

    def _image(self, names: dict[str, Choices], picked: list[Picked]) -> tuple[bytes, Image]:
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
