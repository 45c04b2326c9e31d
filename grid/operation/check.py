"""Whether a site file can run here: what only its network, meters and market can tell.

:mod:`grid.site_file` checks what a site says of itself. This adds what the other
crafts know, so that the check of a file and the making of a site refuse the same.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from grid import site_file
from grid.errors import BadInputError
from grid.operation import sensors, weather, witnessing
from grid.operation.validation_facts import with_threshold
from grid.quantities import format_price
from grid.site import Asset, Market, Meter, Protocol, Site, UsageKind
from grid.site_file import Draft
from meters.dlms.client import parse_url as dlms_url
from meters.dlms.profile import load_profile as dlms_profile
from meters.modbus.gateway import parse_url as modbus_url
from meters.modbus.profile import load_profile as modbus_profile
from meters.vee.thresholds import Thresholds
from networks.model import NetworkModel
from trading.mechanisms import REGISTRY, mechanism
from trading.orders import TICK
from trading.regulation import Regulation, market_findings, regulation_on

_URL = {
    Protocol.DLMS: "dlms:// or hdlc://HOST:PORT/SERVER, or hdlc+serial:///dev/NAME/SERVER",
    Protocol.MODBUS: (
        "modbus:// or modbus-rtu://HOST:PORT/UNIT with a unit of 1 to 255, or "
        "modbus+serial:///dev/NAME/UNIT"
    ),
}
_TODAY = date.max
"""Laws are judged as they are in the end: a file does not say when its site begins."""
_DEVICES = ("battery", "solar", "wind", "genset", "shedding", "charger", "flexible")


def check(text: str, *, name: str = site_file.SITE_FILE, base_dir: Path) -> Site:
    """Return the site of a text when everything in it can run.

    Parameters
    ----------
    base_dir : Path
        Folder that a ``file:`` network and the broker's password start from.

    Raises
    ------
    SiteFileError
        With every error of the file, each as ``NAME:LINE: message``.
    """
    draft = site_file.draft(text, name)
    _market(draft)
    _addresses(draft)
    _thresholds(draft)
    model = _network(draft, base_dir)
    if model is not None:
        _buses(draft, model)
        _zones(draft, model)
    _field(draft)
    _corridors(draft)
    _mqtt(draft, base_dir)
    _weather(draft, base_dir)
    _ledger(draft, base_dir)
    return draft.site()


def _market(draft: Draft) -> None:
    for _, market in draft.rows("market"):
        try:
            mechanism(market.mechanism)
        except BadInputError as error:
            draft.refuse("market", 0, "mechanism", f"[market]: {error}")
            continue
        tariffs = [tariff for _, tariff in draft.rows("tariff")]
        profiles = [(_TODAY, market.profile)]
        profiles += [(change.valid_from, change.profile) for change in market.change]
        for day, profile in profiles:
            law = regulation_on(profile, day)
            for finding in market_findings(market, tariffs, law):
                draft.refuse("market", 0, "profile", f"[market]: {finding.message}")
            _fees(draft, market, law)


def _fees(draft: Draft, market: Market, law: Regulation) -> None:
    """Refuse fees that the mechanism cannot charge, or the law not of the site's households."""
    heeds_lines = "feeder" in mechanism(market.mechanism).needs
    households = [str(one.id) for _, one in draft.rows("party") if one.kind is UsageKind.HOUSEHOLD]
    wanted = [
        ("market.zone", n, "fee", int(one.fee)) for n, one in enumerate(market.zone) if one.fee
    ]
    if market.loss_fees:
        wanted.append(("market", 0, "loss_fees", TICK))
    for table, number, key, fee in wanted:
        may = law.loss_fees_households if key == "loss_fees" else law.zonal_fees_households
        if not heeds_lines:
            message = f"{key} is charged by a mechanism with line limits, not by {market.mechanism}"
        elif fee % TICK:
            message = f"{key} is {format_price(fee)}, must be a multiple of {format_price(TICK)}"
        elif households and not may:
            message = f"{key} may not be charged to household {households[0]} under {law.title!r}"
        else:
            continue
        draft.refuse(table, number, key, f"[{table}]: {message}")


def _thresholds(draft: Draft) -> None:
    for _, validation in draft.rows("vee"):
        for number, one in enumerate(validation.threshold):
            try:
                with_threshold(Thresholds(), one)
            except BadInputError as error:
                key = "value" if one.name in Thresholds.__dataclass_fields__ else "name"
                draft.refuse("vee.threshold", number, key, f"[[vee.threshold]]: {error}")


def _addresses(draft: Draft) -> None:
    """Refuse register maps that do not exist and addresses that nobody could have."""
    taken: dict[str, str] = {}
    for number, meter in draft.rows("meter"):
        try:
            ways = _ways_in(meter)
        except BadInputError as error:
            draft.refuse("meter", number, "profile", f"meter {meter.id}: {error}")
        else:
            if meter.auth not in ways:
                message = f"auth is {meter.auth!r}, {meter.profile} has {' and '.join(ways)}"
                draft.refuse("meter", number, "auth", f"meter {meter.id}: {message}")
        _url(draft, "meter", number, meter, meter.protocol)
        if meter.url and taken.setdefault(meter.url, meter.id) != meter.id:
            message = f"url is {meter.url!r}, where meter {taken[meter.url]} is"
            draft.refuse("meter", number, "url", f"meter {meter.id}: {message}")
    for table in _DEVICES:
        for number, device in draft.rows(table):
            _url(draft, table, number, device, Protocol.MODBUS)


def _ways_in(meter: Meter) -> tuple[str, ...]:
    """Return how a meter of this profile lets us in."""
    if meter.protocol is Protocol.DLMS:
        return tuple(auth for auth, _ in dlms_profile(meter.profile).client_wport)
    modbus_profile(meter.profile)
    return ("none",)


def _url(draft: Draft, table: str, number: int, fact: Meter | Asset, protocol: Protocol) -> None:
    if not fact.url:
        return
    try:
        (dlms_url if protocol is Protocol.DLMS else modbus_url)(fact.url)
    except BadInputError:
        message = f"url is {fact.url!r}, must be {_URL[protocol]}"
        draft.refuse(table, number, "url", f"{table} {fact.id}: {message}")


def _network(draft: Draft, base_dir: Path) -> NetworkModel | None:
    from networks.sources.source import load

    for _, network in draft.rows("network"):
        try:
            return load(
                network.source, source_voltage_pu=network.source_voltage_pu, base_dir=base_dir
            )
        except BadInputError as error:
            draft.refuse("network", 0, "source", f"[network]: {error}")
    return None


def _zones(draft: Draft, model: NetworkModel) -> None:
    """Refuse zones of buses that are not there."""
    for _, market in draft.rows("market"):
        for number, zone in enumerate(market.zone):
            try:
                for bus in zone.buses:
                    model.position(bus)
            except BadInputError as error:
                draft.refuse("market.zone", number, "buses", f"zone {zone.id}: {error}")
        _lines(draft, model, market)


def _lines(draft: Draft, model: NetworkModel, market: Market) -> None:
    """Refuse a market with line limits on a network whose lines it cannot go by."""
    rules = REGISTRY.get(market.mechanism)
    if rules is None or "feeder" not in rules.needs:
        return
    from grid.operation.market_feeder import lines

    given = zip(draft.rows("network"), draft.rows("interval_s"), strict=False)
    for (_, network), (_, step_s) in given:
        try:
            lines(model, network, market, step_s)
        except BadInputError as error:
            draft.refuse("market", 0, "mechanism", f"[market]: {error}")


def _buses(draft: Draft, model: NetworkModel) -> None:
    for number, point in draft.rows("usage_point"):
        try:
            position = model.position(point.bus)
        except BadInputError as error:
            draft.refuse("usage_point", number, "bus", f"usage point {point.id}: {error}")
            continue
        if model.node[position] < 0:
            message = f"{model.bus_label(position)} is cut off from the feeder head"
            draft.refuse("usage_point", number, "bus", f"usage point {point.id}: {message}")


def _field(draft: Draft) -> None:
    """Refuse real devices without an address, and a world that SimBench has no series for."""
    is_simulated = "simulated" in [field.kind for _, field in draft.rows("field")]
    wrong = "is for real devices, and [field] is simulated" if is_simulated else "is missing"
    for table in ("meter", *_DEVICES):
        for number, one in draft.rows(table):
            if bool(one.url) == is_simulated:
                key = "url" if is_simulated else "id"
                draft.refuse(table, number, key, f"{table} {one.id}: url {wrong}")
    if not is_simulated:
        return
    from networks.sources.demo import WIND_PROFILES, demo_site_facts

    for number, wind in draft.rows("wind"):
        if wind.profile not in WIND_PROFILES:
            message = f"profile is {wind.profile!r}, must be one of {', '.join(WIND_PROFILES)}"
            draft.refuse("wind", number, "profile", f"wind {wind.id}: {message}")
    bus_of = {point.id: point.bus for _, point in draft.rows("usage_point")}
    for _, network in draft.rows("network"):
        try:
            facts = demo_site_facts(network.source)
        except BadInputError as error:
            draft.refuse("network", 0, "source", f"[network]: {error}")
            continue
        sunny = {plant.bus for plant in facts.solar}
        for number, solar in draft.rows("solar"):
            bus = bus_of.get(solar.usage_point)
            if bus is not None and bus not in sunny:
                message = f"bus {bus} has no plant in {network.source} whose sun could be simulated"
                draft.refuse("solar", number, "usage_point", f"solar {solar.id}: {message}")


def _corridors(draft: Draft) -> None:
    """Refuse flexible loads of which nothing says what they need, or no sensor of theirs."""
    kinds = {str(one.id): one.kind for _, one in draft.rows("sensor")}
    for number, load in draft.rows("flexible"):
        if load.daily_kwh is None and not load.indoor:
            message = f"flexible {load.id}: has neither daily_kwh nor a house to keep warm"
            draft.refuse("flexible", number, "id", message)
        for key in ("indoor", "outdoor"):
            name = getattr(load, key)
            if name and kinds.get(name) != "temperature_celsius":
                message = f"{key} is {name!r}, which is no sensor of temperature_celsius"
                draft.refuse("flexible", number, key, f"flexible {load.id}: {message}")


def _mqtt(draft: Draft, base_dir: Path) -> None:
    """Refuse a broker whose password or authorities cannot be read."""
    for _, mqtt in draft.rows("mqtt"):
        try:
            sensors.broker(mqtt, base_dir)
        except BadInputError as error:
            key = "password_file" if "password_file" in str(error) else "ca_file"
            draft.refuse("mqtt", 0, key, f"[mqtt]: {error}")


def _ledger(draft: Draft, base_dir: Path) -> None:
    """Refuse a policy of witnesses that cannot be followed."""
    for _, ledger in draft.rows("ledger"):
        try:
            witnessing.policy_of(base_dir, ledger.policy)
        except BadInputError as error:
            draft.refuse("ledger", 0, "policy", f"[ledger]: {error}")


def _weather(draft: Draft, base_dir: Path) -> None:
    """Refuse turbines that nobody has a curve of, and a file of weather that is there and wrong."""
    for number, wind in draft.rows("wind"):
        if wind.turbine:
            from dispatch.forecast.physical import curve

            try:
                curve(wind.turbine)
            except BadInputError as error:
                draft.refuse("wind", number, "turbine", f"wind {wind.id}: {error}")
    for _, forecast in draft.rows("forecast"):
        path = base_dir / forecast.weather
        if forecast.weather and path.exists():
            try:
                weather.read_weather(path, issued_s=0)
            except BadInputError as error:
                draft.refuse("forecast", 0, "weather", f"[forecast]: {error}")
