"""The site's terms as the log holds them: what prices, postings and statements follow from.

They stand in clear in an entry ``{"action": "terms.begin", "terms": {…}}``: members named as in
:mod:`grid.site`, money as decimal texts of nano-currency, days as ``YYYY-MM-DD``.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from datetime import date
from enum import StrEnum
from typing import Any

from grid import interval
from grid.errors import BadInputError
from grid.ids import PartyId, UsagePointId
from grid.site import Amount, GridPrice, Market, Price, Site, Tariff, UsageKind
from trading.regulation import Regulation, regulation_on

ACTION = "terms.begin"
CHANGE = "terms.change"
"""A tariff's new version, or a new tariff, in a member ``change``."""
_MONEY = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class SiteTerms:
    """What trading at a site goes by.

    Attributes
    ----------
    community : PartyId
        The party that stands for the community, which gets no invoice.
    community_points : tuple of UsagePointId
        Its own connections, which pay no monthly fee.
    grid_price : tuple of GridPrice
        The community's prices at the feeder head, by civil time of day.
    co2_mg_per_kwh : int
        What the public network's energy emits; 0 where it is not known.
    """

    time_zone: str
    interval_s: int
    currency: str
    community: PartyId
    community_points: tuple[UsagePointId, ...]
    market: Market
    grid_price: tuple[GridPrice, ...]
    tariff: tuple[Tariff, ...]
    co2_mg_per_kwh: int = 0

    def law_at(self, start_s: int) -> Regulation:
        """Return the law in force in an interval."""
        day = interval.local_day(start_s, self.time_zone)
        return regulation_on(self.market.profile_on(day), day)


def of_site(site: Site) -> SiteTerms:
    """Return the terms of a site."""
    kind = UsageKind.COMMUNITY
    return SiteTerms(
        time_zone=site.time_zone,
        interval_s=site.interval_s,
        currency=site.currency,
        community=next(party.id for party in site.party if party.kind is kind),
        community_points=tuple(point.id for point in site.usage_point if point.kind is kind),
        market=site.market,
        grid_price=site.grid.price,
        tariff=site.tariff,
        co2_mg_per_kwh=site.grid.co2_mg_per_kwh,
    )


def encode(fact: SiteTerms | Tariff) -> dict[str, Any]:
    """Return terms, or a tariff alone, as values of :mod:`trading.ledger.canonical`."""
    told = _told(type(fact), fact)
    assert isinstance(told, dict)
    return told


def decode(value: object) -> SiteTerms:
    """Return the terms of :func:`encode`.

    Raises
    ------
    BadInputError
        Naming the member that is missing, unknown or something else.
    """
    terms = _read(SiteTerms, value, "terms")
    assert isinstance(terms, SiteTerms)
    interval.zone(terms.time_zone)
    return terms


def decode_tariff(value: object) -> Tariff:
    """Return the tariff of :func:`encode`.

    Raises
    ------
    BadInputError
        Naming the member that is missing, unknown or something else.
    """
    tariff = _read(Tariff, value, "tariff")
    assert isinstance(tariff, Tariff)
    return tariff


def _told(kind: Any, value: Any) -> Any:
    """Return a fact of type `kind` as a canonical value."""
    kind = _present(kind)
    if value is None:
        return None
    if kind in (Price, Amount):
        return str(value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return {name: _told(hint, getattr(value, name)) for name, hint in hints.items()}
    if typing.get_origin(kind) is tuple:
        return [_told(typing.get_args(kind)[0], one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    """Return the fact of type `kind` that a canonical value tells."""
    inner = _present(kind)
    if value is None and inner is not kind:
        return None
    if inner in (Price, Amount):
        return int(_text(value, where, _MONEY))
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        return _read_fact(inner, value, where)
    if typing.get_origin(inner) is tuple:
        if not isinstance(value, list):
            raise BadInputError(f"{where} must be a list")
        part = typing.get_args(inner)[0]
        return tuple(_read(part, one, f"{where} {place}") for place, one in enumerate(value))
    if inner is date:
        return interval.parse_date(_text(value, where))
    if isinstance(inner, type) and issubclass(inner, StrEnum):
        try:
            return inner(_text(value, where))
        except ValueError as error:
            raise BadInputError(f"{where} is {value[:32]!r}: not known") from error
    plain = inner if inner in (int, bool) else str
    if type(value) is not plain:
        raise BadInputError(f"{where} is {str(value)[:32]!r}, must be {plain.__name__}")
    return value


def _read_fact(kind: type, value: Any, where: str) -> Any:
    """Return a dataclass; what has a default may be missing: it came with a later edition."""
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or not set(value) <= set(hints):
        raise BadInputError(f"{where} must be an object of {', '.join(hints)}")
    members = {name: _read(hints[name], one, f"{where} {name}") for name, one in value.items()}
    for field in dataclasses.fields(kind):
        if field.name not in members and field.default is dataclasses.MISSING:
            raise BadInputError(f"{where} has no {field.name}")
    return kind(**members)


def _present(kind: Any) -> Any:
    """Return the type of a value that is there, of one that may be missing."""
    if typing.get_origin(kind) not in (types.UnionType, typing.Union):
        return kind
    return next(one for one in typing.get_args(kind) if one is not type(None))


def _text(value: Any, where: str, form: re.Pattern[str] | None = None) -> str:
    if not isinstance(value, str) or (form and not form.fullmatch(value)):
        raise BadInputError(f"{where} is {str(value)[:32]!r}, must be a decimal or plain text")
    return value
