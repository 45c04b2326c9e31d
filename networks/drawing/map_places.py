"""From longitude and latitude to the sheet of a map."""

from __future__ import annotations

import math
from dataclasses import dataclass

from grid.errors import BadInputError
from networks.drawing.scheme import Scheme
from networks.drawing.svg import Point

WIDTH, _MARGIN_PX, _HEIGHT_MIN, _HEIGHT_MAX = 1200.0, 64.0, 520.0, 1000.0
_SEMI_MAJOR_M, _ECCENTRICITY_2 = 6_378_137.0, 0.006_694_379_990_14
_EXTENT_KM_MAX, _SCHEMATIC_KV = 300.0, 100.0
_TOGETHER_PX, _APART_PX = 11.5, 13.0
_BAR_PX_MAX = 220.0


@dataclass(frozen=True, slots=True)
class MapPlaces:
    """Where buses stand on a map, and its scale.

    Attributes
    ----------
    at : tuple of points
    metre_px : float
    moved : int
        Buses drawn beside their place, because another stands there.
    """

    at: tuple[Point, ...]
    metre_px: float
    width: float
    height: float
    moved: int


def metres_per_degree(latitude: float) -> tuple[float, float]:
    """Return metres per degree of longitude and of latitude on the WGS 84 ellipsoid.

    From the radii of curvature in the prime vertical and the meridian (EPSG Guidance Note 7-2).
    """
    sine = math.sin(math.radians(latitude))
    root = math.sqrt(1.0 - _ECCENTRICITY_2 * sine * sine)
    vertical = _SEMI_MAJOR_M / root
    meridian = _SEMI_MAJOR_M * (1.0 - _ECCENTRICITY_2) / root**3
    return (
        math.radians(vertical * math.cos(math.radians(latitude))),
        math.radians(meridian),
    )


def is_placed(scheme: Scheme) -> bool:
    """Return whether a network can be drawn on a map."""
    return _refusal(scheme) is None


def _refusal(scheme: Scheme) -> str | None:
    if not scheme.geographic:
        return "has no geographic coordinates"
    x_m, y_m = metres_per_degree(sum(scheme.y) / len(scheme.y))
    wide = (max(scheme.x) - min(scheme.x)) * x_m / 1e3
    high = (max(scheme.y) - min(scheme.y)) * y_m / 1e3
    extent, kv = math.hypot(wide, high), max(scheme.vn_kv)
    if extent > _EXTENT_KM_MAX and not kv > _SCHEMATIC_KV * 1.5:
        return (
            f"has coordinates {extent:,.0f} km apart at {kv:g} kV, must be at most "
            f"{_EXTENT_KM_MAX:g} km: they are no longitudes and latitudes"
        )
    return None


def map_places(scheme: Scheme) -> MapPlaces:
    """Return where buses stand: an equirectangular projection true to scale at the middle.

    Raises
    ------
    BadInputError
        When the coordinates are not geographic.
    """
    refused = _refusal(scheme)
    if refused:
        raise BadInputError(f"network {scheme.source} {refused}; draw it as a one-line diagram")
    middle = (min(scheme.y) + max(scheme.y)) / 2
    x_m, y_m = metres_per_degree(middle)
    east = [(one - min(scheme.x)) * x_m for one in scheme.x]
    south = [(max(scheme.y) - one) * y_m for one in scheme.y]
    wide, high = max(*east, 1.0), max(*south, 1.0)
    metre_px = min((WIDTH - 2 * _MARGIN_PX) / wide, (_HEIGHT_MAX - 2 * _MARGIN_PX) / high)
    height = max(_HEIGHT_MIN, high * metre_px + 2 * _MARGIN_PX)
    left, top = (WIDTH - wide * metre_px) / 2, (height - high * metre_px) / 2
    true = [(left + a * metre_px, top + b * metre_px) for a, b in zip(east, south, strict=True)]
    at, moved = _apart(true)
    return MapPlaces(tuple(at), metre_px, WIDTH, round(height, 1), moved)


def _apart(true: list[Point]) -> tuple[list[Point], int]:
    """Move what would cover what is there already, to the nearest free place around it."""
    made: list[Point] = []
    moved = 0
    for x, y in true:
        tries = [(x, y)]
        for ring in (1, 2, 3, 4, 5, 6):
            around = 8 * ring
            tries += [
                (
                    x + ring * _APART_PX * math.cos(2 * math.pi * n / around),
                    y + ring * _APART_PX * math.sin(2 * math.pi * n / around),
                )
                for n in range(around)
            ]
        place = next(
            (one for one in tries if all(math.dist(one, other) >= _TOGETHER_PX for other in made)),
            (x, y),
        )
        moved += place != (x, y)
        made.append((round(place[0], 1), round(place[1], 1)))
    return made, moved


def scale_bar(metre_px: float) -> tuple[float, str]:
    """Return the length of a scale bar and what it says: 1, 2 or 5 of a power of ten."""
    most_m = _BAR_PX_MAX / metre_px
    power = 10.0 ** math.floor(math.log10(most_m))
    size_m = max(one * power for one in (1.0, 2.0, 5.0) if one * power <= most_m)
    text = f"{size_m / 1e3:g} km" if size_m >= 1e3 else f"{size_m:g} m"
    return size_m * metre_px, text
