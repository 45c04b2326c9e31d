"""What the law of a site's profile allows, as data: ``trading/regulations/*.toml``.

Each file is a profile, each ``[[regulation]]`` in it the law from a day on. They are models to
compute with, not legal advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files

from grid.errors import BadInputError, Finding, Severity
from grid.site import Market, RegulationProfile, Tariff
from grid.site_facts import Fault, outside, refuse, undecided
from grid.site_file import tables
from grid.site_tariff import EVER
from trading.tariffs.month import is_netted_alike

PPM = 1_000_000
"""All energy of a usage point: participation is told in parts of a million."""


class Netting(StrEnum):
    """Over what time exports are taken off imports in kWh."""

    NONE = "none"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class GridFeeReduction:
    """What is taken off the grid fee on energy from within a locality."""

    locality: str
    percent: int

    def __post_init__(self) -> None:
        refuse(outside(self, f"locality {self.locality}", percent=(0, 100)))


@dataclass(frozen=True, slots=True)
class Regulation:
    """The law of a profile from the civil day `valid_from` on.

    Attributes
    ----------
    title : str
    mechanisms : tuple of str
        By which energy may pass between members; none where it may not.
    organiser_allowed : bool
        Members may appoint somebody who acts for them.
    capped_at_consumption : bool
        Nobody is allotted more than they draw in an interval.
    communities_max : int
        In which a usage point may take part; 0 for no limit.
    participation_step_ppm : int
        Participation is a multiple of it.
    netting : Netting
    bank_expires_after_month : int
        The calendar month with whose end the energy bank is emptied; 0 for never.
    bank_paid_out : bool
        What the bank loses then is paid at the site's feed-in price.
    grid_fee_reduction : tuple of GridFeeReduction
    zonal_fees_households, loss_fees_households : bool
        Households may be charged for the zone, for marginal losses.
    guarantee_allowed : bool
        Who loses by trading may be topped up to what they would have paid without.
    trade_vat_percent, fee_vat_percent : int
        Of value-added tax contained in what is bought of members, and in fees on it.
    """

    title: str
    valid_from: date = EVER
    mechanisms: tuple[str, ...] = ()
    organiser_allowed: bool = False
    capped_at_consumption: bool = False
    communities_max: int = 0
    participation_step_ppm: int = 1
    netting: Netting = Netting.NONE
    bank_expires_after_month: int = 0
    bank_paid_out: bool = False
    grid_fee_reduction: tuple[GridFeeReduction, ...] = ()
    zonal_fees_households: bool = False
    loss_fees_households: bool = False
    guarantee_allowed: bool = False
    trade_vat_percent: int = 0
    fee_vat_percent: int = 0

    def __post_init__(self) -> None:
        name = f"regulation {self.title!r}"
        faults: list[Fault] = outside(
            self,
            name,
            communities_max=(0, 1000),
            participation_step_ppm=(1, PPM),
            bank_expires_after_month=(0, 12),
            trade_vat_percent=(0, 100),
            fee_vat_percent=(0, 100),
        )
        faults += undecided(
            self, name, "organiser_allowed", "capped_at_consumption", "bank_paid_out",
            "zonal_fees_households", "loss_fees_households", "guarantee_allowed",
        )  # fmt: skip
        if self.mechanisms and self.netting is Netting.MONTH:
            message = f"{name}: what is netted over the month cannot be traded in it"
            faults.append(("netting", message))
        refuse(faults)

    @property
    def trading_allowed(self) -> bool:
        """Energy may pass between members, by a market or by a key."""
        return bool(self.mechanisms)

    def expired_wh(self, bank_wh: int, month: int) -> int:
        """Return what of the energy bank is lost with the end of a calendar month, 1 to 12."""
        return bank_wh if month == self.bank_expires_after_month else 0

    def grid_fee(self, full: int, locality: str) -> int:
        """Return nano-currency per Wh left of a grid fee, half away from zero.

        Parameters
        ----------
        locality : str
            Where the energy is from; one that is not named has no reduction.
        """
        percent = {one.locality: one.percent for one in self.grid_fee_reduction}.get(locality, 0)
        return (abs(full) * (100 - percent) + 50) // 100 * (-1 if full < 0 else 1)


@lru_cache(maxsize=16)
def _regulations(profile: RegulationProfile) -> tuple[Regulation, ...]:
    source = files("trading").joinpath("regulations", f"{profile}.toml")
    return parse_regulations(source.read_text(encoding="utf-8"), f"{profile}.toml")


def parse_regulations(text: str, name: str) -> tuple[Regulation, ...]:
    """Return the regulations of a profile's text, oldest first.

    Raises
    ------
    BadInputError
        With the line of every error, or when their days do not rise.
    """
    found, others = tables(text, name, {"regulation": Regulation}, {})
    if others or not found["regulation"]:
        raise BadInputError(f"{name} must have [[regulation]] and nothing else")
    days = [one.valid_from for one in found["regulation"]]
    if sorted(set(days)) != days:
        raise BadInputError(f"{name}: the days {', '.join(map(str, days))} must rise")
    return found["regulation"]


def regulation_on(profile: RegulationProfile, day: date) -> Regulation:
    """Return the law of a profile on a civil day.

    Raises
    ------
    BadInputError
        When there was none yet.
    """
    known = [one for one in _regulations(profile) if one.valid_from <= day]
    if not known:
        raise BadInputError(f"profile {profile} on {day}: there was no such law yet")
    return known[-1]


def market_findings(
    market: Market, tariffs: Iterable[Tariff], regulation: Regulation
) -> tuple[Finding, ...]:
    """Return where a market and the tariffs beside it do not keep the law.

    Where nothing may be traded the mechanism is never asked, so that any will do.
    """
    found = []
    if regulation.trading_allowed and market.mechanism not in regulation.mechanisms:
        allowed = ", ".join(regulation.mechanisms)
        found.append(("mechanism", "market", f"{market.mechanism}, must be one of {allowed}"))
    if regulation.netting is Netting.MONTH:
        for tariff in tariffs:
            rates = [rate for version in tariff.versions for rate in version.rates]
            if not is_netted_alike((rate.id, bool(rate.series)) for rate in rates):
                names = ", ".join(sorted({rate.id for rate in rates}))
                message = f"{names}, netting needs one register of blocks"
                found.append(("rate", f"tariff {tariff.id}", message))
    return tuple(_finding(regulation, *what) for what in found)


def participation_findings(
    subject: str, shares_ppm: Mapping[str, int], regulation: Regulation
) -> tuple[Finding, ...]:
    """Return where the participation of a usage point does not keep the law.

    Parameters
    ----------
    subject : str
        The usage point.
    shares_ppm : Mapping
        By community: the part of its energy that takes part, in millionths.
    """
    step, most = regulation.participation_step_ppm, regulation.communities_max
    found = []
    if shares_ppm and not regulation.trading_allowed:
        found.append(("communities", f"{len(shares_ppm)}, must be 0"))
    elif most and len(shares_ppm) > most:
        found.append(("communities", f"{len(shares_ppm)}, must be at most {most}"))
    for community, share_ppm in sorted(shares_ppm.items()):
        if not 0 < share_ppm <= PPM:
            limit = f"must be within 1 to {PPM}"
            found.append(("participation", f"{share_ppm} ppm in {community}, {limit}"))
        elif share_ppm % step:
            limit = f"must be a multiple of {step}"
            found.append(("participation", f"{share_ppm} ppm in {community}, {limit}"))
    if sum(shares_ppm.values()) > PPM:
        total = sum(shares_ppm.values())
        found.append(("participation", f"{total} ppm together, must be at most {PPM}"))
    return tuple(_finding(regulation, what, subject, message) for what, message in found)


def _finding(regulation: Regulation, what: str, subject: str, message: str) -> Finding:
    said = f"{subject}: {what} is {message} under {regulation.title!r}"
    return Finding(f"regulation.{what}", subject, "", Severity.ALARM, said)
