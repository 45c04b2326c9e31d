"""A device point as a SunSpec device, which takes set-points over Modbus."""

from __future__ import annotations

from collections.abc import Sequence

from meters.device import DeviceKind, Setpoint
from meters.modbus import models
from meters.modbus.registers import SIZES, decode, encode
from meters.simulator.points import DevicePoint

_PERCENT_STEPS = 10_000
_INT16_MAX = 0x7FFF
_WRITABLE = {
    models.ENTER_SERVICE: ("ES",),
    models.CONTROLS: (
        "WMaxLimPctEna",
        "WMaxLimPct",
        "WMaxLimPctRvrt",
        "WMaxLimPctEnaRvrt",
        "WMaxLimPctRvrtTms",
        "WSetEna",
        "WSetMod",
        "WSet",
        "WSetRvrt",
        "WSetEnaRvrt",
        "WSetRvrtTms",
    ),
}


class SunSpecUnit:
    """Holding registers from 40000 on: models 1, 701 to 704, and 713 or 122.

    A set-point takes effect when its enable is written with 1.
    """

    def __init__(self, point: DevicePoint) -> None:
        self._point = point
        extra = {"storage": [models.STORAGE], "limit": [models.CONTROLS_STATUS]}
        self._bases: dict[int, int] = {}
        address = models.BASE + 2
        for model in [
            models.COMMON,
            models.MEASUREMENT,
            models.RATINGS,
            models.ENTER_SERVICE,
            models.CONTROLS,
            *extra.get(point.kind, []),
        ]:
            self._bases[model] = address
            address += 2 + models.MODELS[model].length
        self._words = [0] * (address + 2 - models.BASE)
        self._place(models.BASE, models.MARKER)
        self._place(address, (models.END, 0))
        for model, base in self._bases.items():
            self._place(base, (model, models.MODELS[model].length))
        self._held: Setpoint | None = None
        self._writable = {
            base + models.MODELS[model].points[name].offset + word
            for model, names in _WRITABLE.items()
            for base in [self._bases[model]]
            for name in names
            for word in range(SIZES[models.MODELS[model].points[name].type])
        }
        self._show_facts()

    @property
    def silent(self) -> bool:
        """Whether the device leaves requests unanswered."""
        return self._point.silent

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Return holding registers of the model chain."""
        first = address - models.BASE
        if function != 3 or first < 0 or first + count > len(self._words):
            return None
        self._show_state()
        if self._point.setpoint is not self._held:
            self._show_setpoint(self._point.setpoint)
        return b"".join(word.to_bytes(2, "big") for word in self._words[first : first + count])

    def write(self, address: int, words: Sequence[int]) -> bool:
        """Take registers of models 703 and 704; an enable applies the set-point."""
        written = range(address, address + len(words))
        if not self._writable.issuperset(written):
            return False
        if self._point.setpoint is not self._held:
            self._show_setpoint(self._point.setpoint)
        self._place(address, words)
        enable = "WMaxLimPctEna" if self._point.kind == "limit" else "WSetEna"
        offset = models.MODELS[models.CONTROLS].points[enable].offset
        if self._bases[models.CONTROLS] + offset in written:
            self._held = self._point.setpoint = self._taken()
            if self._point.on_setpoint is not None:
                self._point.on_setpoint(self._held)
        return True

    def _place(self, address: int, words: Sequence[int]) -> None:
        first = address - models.BASE
        self._words[first : first + len(words)] = words

    def _set(self, model: int, name: str, value: int | None) -> None:
        point = models.MODELS[model].points[name]
        self._place(self._bases[model] + point.offset, encode(point.type, value))

    def _get(self, model: int, name: str) -> int:
        point = models.MODELS[model].points[name]
        first = self._bases[model] + point.offset - models.BASE
        return int(decode(point.type, self._words[first : first + SIZES[point.type]]) or 0)

    def _show_facts(self) -> None:
        point = self._point
        self._w_scale = models.fitting_scale(point.rating_w, _INT16_MAX)
        rating_scale = models.fitting_scale(point.rating_w, 0xFFFE)
        self._set(models.MEASUREMENT, "ACType", 2)
        self._set(models.MEASUREMENT, "ConnSt", 1)
        self._set(models.MEASUREMENT, "W_SF", self._w_scale)
        self._set(models.MEASUREMENT, "TotWh_SF", 0)
        self._set(models.RATINGS, "W_SF", rating_scale)
        for name in ("WMaxRtg", "WMax"):
            self._set(models.RATINGS, name, point.rating_w // 10**rating_scale)
        mode = models.LIMIT_MODE if point.kind == "limit" else models.FIXED_POWER_MODE
        self._set(models.RATINGS, "CtrlModes", mode)
        self._set(models.CONTROLS, "WMaxLimPct_SF", models.PERCENT_SCALE)
        self._set(models.CONTROLS, "WSet_SF", 0)
        if point.kind == "storage":
            self._wh_scale = models.fitting_scale(point.energy_rating_wh, 0xFFFE)
            self._set(models.STORAGE, "WH_SF", self._wh_scale)
            self._set(models.STORAGE, "WHRtg", point.energy_rating_wh // 10**self._wh_scale)
            self._set(models.STORAGE, "Pct_SF", models.PERCENT_SCALE)
        if point.kind == "limit":
            self._set(models.CONTROLS_STATUS, "WAval_SF", self._w_scale)

    def _show_state(self) -> None:
        point = self._point
        self._set(models.MEASUREMENT, "St", int(point.running))
        self._set(models.MEASUREMENT, "InvSt", 3 if point.running else 0)
        self._set(models.MEASUREMENT, "Alrm", point.alarm)
        timer = "WMaxLimPctRvrtRem" if point.kind == "limit" else "WSetRvrtRem"
        self._set(models.CONTROLS, timer, point.remaining_s)
        self._set(models.MEASUREMENT, "TotWhInj", point.discharged_wh)
        self._set(models.MEASUREMENT, "TotWhAbs", point.charged_wh)
        if point.kind == "limit":
            # A withheld Watt must not vanish: the difference is rounded, not its terms.
            available = min(-(-point.available_w // 10**self._w_scale), _INT16_MAX)
            throttled = min(-(-point.throttled_w // 10**self._w_scale), available)
            percent = 100 * throttled // available if available else 0
            self._set(models.CONTROLS_STATUS, "WAval", available)
            power = available - throttled
            self._set(models.MEASUREMENT, "W", -power if point.absorbs else power)
            self._set(models.MEASUREMENT, "ThrotPct", percent)
        else:
            power_w = (point.setpoint.discharge_w - point.setpoint.charge_w) * int(point.running)
            power = max(-_INT16_MAX, min(power_w // 10**self._w_scale, _INT16_MAX))
            self._set(models.MEASUREMENT, "W", power)
        if point.kind == "storage":
            energy_wh = point.energy_wh
            rating_wh = point.energy_rating_wh
            energy = None if energy_wh is None else energy_wh // 10**self._wh_scale
            self._set(models.STORAGE, "WHAvail", energy)
            percent = None
            if energy_wh is not None and rating_wh:
                percent = min(_PERCENT_STEPS, _PERCENT_STEPS * energy_wh // rating_wh)
            self._set(models.STORAGE, "SoC", percent)

    def _show_setpoint(self, setpoint: Setpoint) -> None:
        # In its safe state a plant is held to what it reverts to, or free.
        enabled = int(setpoint.revert_s > 0 or setpoint.revert_w is not None)
        self._set(models.ENTER_SERVICE, "ES", int(setpoint.running))
        if self._point.kind == "limit":
            rating_w = models.held_rating(self._point.rating_w)
            percent = _PERCENT_STEPS * min(setpoint.limit_w, rating_w) // rating_w
            self._set(models.CONTROLS, "WMaxLimPct", percent)
            reverts = setpoint.revert_w is not None
            revert_w = rating_w if setpoint.revert_w is None else min(setpoint.revert_w, rating_w)
            self._set(models.CONTROLS, "WMaxLimPctRvrt", _PERCENT_STEPS * revert_w // rating_w)
            self._set(models.CONTROLS, "WMaxLimPctEnaRvrt", int(reverts))
            self._set(models.CONTROLS, "WMaxLimPctRvrtTms", setpoint.revert_s)
            self._set(models.CONTROLS, "WMaxLimPctEna", enabled)
        else:
            self._set(models.CONTROLS, "WSet", setpoint.discharge_w - setpoint.charge_w)
            self._set(models.CONTROLS, "WSetMod", models.WSET_IN_WATTS)
            self._set(models.CONTROLS, "WSetRvrt", -(setpoint.revert_w or 0))
            self._set(models.CONTROLS, "WSetEnaRvrt", enabled)
            self._set(models.CONTROLS, "WSetRvrtTms", setpoint.revert_s)
            self._set(models.CONTROLS, "WSetEna", enabled)
        self._held = setpoint

    def _taken(self) -> Setpoint:
        """Return what the control registers now say."""
        asset = self._point.asset
        if self._point.kind == "limit":
            rating_w = models.held_rating(self._point.rating_w)
            enabled = self._get(models.CONTROLS, "WMaxLimPctEna")
            percent = self._get(models.CONTROLS, "WMaxLimPct") if enabled else _PERCENT_STEPS
            revert_w = None
            if enabled and self._get(models.CONTROLS, "WMaxLimPctEnaRvrt"):
                revert = self._get(models.CONTROLS, "WMaxLimPctRvrt")
                revert_w = -(-rating_w * revert // _PERCENT_STEPS)
            return Setpoint(
                asset,
                "limit",
                limit_w=-(-rating_w * percent // _PERCENT_STEPS),
                revert_s=self._get(models.CONTROLS, "WMaxLimPctRvrtTms") * enabled,
                revert_w=revert_w,
            )
        enabled = self._get(models.CONTROLS, "WSetEna")
        power_w = self._get(models.CONTROLS, "WSet") * enabled
        genset = self._point.kind == "genset"
        revert_w = 0
        if enabled and not genset and self._get(models.CONTROLS, "WSetEnaRvrt"):
            revert_w = -self._get(models.CONTROLS, "WSetRvrt")
        kind: DeviceKind = "genset" if genset else "storage"
        return Setpoint(
            asset,
            kind,
            charge_w=max(0, -power_w),
            discharge_w=max(0, power_w),
            running=bool(self._get(models.ENTER_SERVICE, "ES")) if genset else True,
            revert_s=self._get(models.CONTROLS, "WSetRvrtTms") * enabled,
            revert_w=revert_w if revert_w > 0 else None,
        )
