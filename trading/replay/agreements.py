"""Agreements as the log tells them: begun, changed and ended."""

from __future__ import annotations

from grid import interval
from grid.errors import BadInputError
from grid.ids import AssetId, PartyId, TariffId, UsagePointId
from trading.agreements import Agreement, Terms, in_force
from trading.batteries import FACTS, TradedBattery
from trading.replay.log import Fields, Record


class Agreements:
    """Every agreement that was told so far, as it was told last."""

    def __init__(self) -> None:
        self._known: dict[int, Agreement] = {}

    def take(self, record: Record) -> None:
        """Take what an entry tells of agreements.

        Raises
        ------
        DifferenceError
            When it is none.
        """
        for one in record.of("agreement").values():
            try:
                made = _agreement(one)
            except BadInputError as error:
                raise record.differs(one.what, str(error), "an agreement") from error
            self._known[made.id] = made

    def listed(self) -> list[Agreement]:
        """Return them by usage point and time."""
        return sorted(self._known.values(), key=lambda one: (one.usage_point, one.from_s))

    def standing(self, record: Record) -> dict[UsagePointId, Agreement]:
        """Return the agreement of each usage point in the interval of a record."""
        try:
            return in_force(self._known.values(), record.start_s)
        except BadInputError as error:
            raise record.differs("agreements", str(error), "one of each usage point") from error


def _battery(one: Fields) -> TradedBattery:
    return TradedBattery(
        id=AssetId(one.text("id")),
        **{name: one.whole(name) for name in FACTS},
    )


def _agreement(one: Fields) -> Agreement:
    until = one.text("until")
    terms = tuple(
        Terms(
            from_s=interval.parse(each.text("from")),
            tariff=TariffId(each.text("tariff")),
            share_percent=each.whole("share_percent"),
            trades=each.flag("trades"),
            key_percent=each.whole("key_percent"),
            batteries=tuple(map(_battery, each.tables("batteries", missing=True))),
        )
        for each in one.tables("terms")
    )
    if not terms:
        raise BadInputError("it has no terms")
    return Agreement(
        id=one.whole("agreement"),
        usage_point=UsagePointId(one.text("usage_point")),
        party=PartyId(one.text("party")),
        from_s=interval.parse(one.text("from")),
        until_s=interval.parse(until) if until else None,
        terms=terms,
    )
