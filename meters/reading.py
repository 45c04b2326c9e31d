"""What is asked of a meter and what it answered, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

from grid.errors import BadInputError, PeerError

CHANNELS = ("import_wh", "export_wh", "import_varh", "export_varh")
"""The cumulative registers of a meter, in the order in which values stand everywhere."""

MISSING = -1
"""An energy that is not known; never 0."""


KEY_BYTES, TITLE_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class Ciphering:
    """How one side of a DLMS association protects what it sends, and what it asks of the other.

    Attributes
    ----------
    title : bytes
        The side's own system title, eight bytes.
    encryption_key, authentication_key : bytes
        Sixteen bytes each; never shown, never logged.
    suite : int
        Security suite 0 or 1; both cipher with AES-128-GCM.
    authenticated, encrypted : bool
        Which of the two is done; an answer with less is refused.
    general : bool
        Use general-glo and general-ded ciphering in place of the service-specific forms.
    dedicated : bool
        Client: make a key of its own for each association.

    Raises
    ------
    BadInputError
        When a key or the title has another length, or nothing is protected.
    """

    title: bytes
    encryption_key: bytes = field(repr=False)
    authentication_key: bytes = field(repr=False)
    suite: int = 0
    authenticated: bool = True
    encrypted: bool = True
    general: bool = False
    dedicated: bool = False

    def __post_init__(self) -> None:
        if len(self.title) != TITLE_BYTES:
            raise BadInputError(
                f"a system title has {len(self.title)} bytes, must have {TITLE_BYTES}"
            )
        for name in ("encryption_key", "authentication_key"):
            if (size := len(getattr(self, name))) != KEY_BYTES:
                raise BadInputError(f"the {name} has {size} bytes, must have {KEY_BYTES}")
        if self.suite not in (0, 1):
            raise BadInputError(f"security suite is {self.suite}, must be 0 or 1")
        if not (self.authenticated or self.encrypted):
            raise BadInputError("ciphering must authenticate, encrypt, or both")


@dataclass(frozen=True, slots=True)
class MeterAddress:
    """Where a meter answers and how it lets us in.

    Attributes
    ----------
    meter : str
        Meter identifier (:data:`grid.ids.MeterId`).
    url : str
        ``modbus://HOST:PORT/UNIT``, ``dlms://HOST:PORT/SERVER_WPORT`` (TCP wrapper) or
        ``hdlc://HOST:PORT/SERVER``; on a serial line see :mod:`meters.transport`.
    profile : str
        Name of a register map in ``meters/profiles``.
    auth : str
        ``"none"``, ``"lls"`` (DLMS low level security) or ``"hls-gmac"``.
    secret : bytes
        The password of ``"lls"``; never shown, never logged.
    ciphering : Ciphering or None
        The client's title and keys; needed by ``"hls-gmac"``, possible with the others.
    since_s, until_s : int or None
        DLMS: also read the load-profile rows captured in ``[since_s, until_s]``.
    """

    meter: str
    url: str
    profile: str
    auth: str = "none"
    secret: bytes = field(default=b"", repr=False)
    since_s: int | None = None
    until_s: int | None = None
    ciphering: Ciphering | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """The registers at one instant.

    Attributes
    ----------
    at_s : int
        Seconds UTC at which the registers stood so.
    values : tuple of int
        Cumulative Wh and varh in :data:`CHANNELS` order, :data:`MISSING` where
        the meter gave none.
    """

    at_s: int
    values: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MeterRead:
    """One complete answer of one meter.

    Attributes
    ----------
    meter : str
    now : RegisterRow
        The registers at the time of reading.
    load_profile : tuple of RegisterRow
        Rows that the meter itself captured, oldest first; empty when not asked.
    voltage_v : float or None
        Phase voltage in volts where the meter has it.
    raw_sha256 : bytes
        SHA-256 over every application byte received, in order.
    serial : str
        What the device calls itself, printable; empty where it told nothing.
    invocation_counter : int or None
        The last counter under which a ciphered meter answered.
    clock_offset_s : int or None
        How far the meter's clock was ahead of ours, negative behind; None without a clock.
    """

    meter: str
    now: RegisterRow
    load_profile: tuple[RegisterRow, ...]
    voltage_v: float | None
    raw_sha256: bytes
    serial: str = ""
    invocation_counter: int | None = None
    clock_offset_s: int | None = None


@dataclass(frozen=True, slots=True)
class ProfileRead:
    """What a meter told of its load profile until it had told all, or broke off.

    Attributes
    ----------
    meter : str
    rows : tuple of RegisterRow
        Oldest first, within what was asked for.
    answered : tuple of (int, int)
        First and last instant of what was asked for and answered whole, with rows or without.
    raw_sha256 : bytes
        SHA-256 over every application byte received, in order.
    serial : str
    invocation_counter : int or None
    clock_offset_s : int or None
        How far the meter's clock was ahead of ours, negative behind, as well as half a round
        trip lets that be known; None where it did not tell.
    failure : PeerError or None
        Why it ended before all was answered.
    """

    meter: str
    rows: tuple[RegisterRow, ...]
    answered: tuple[tuple[int, int], ...]
    raw_sha256: bytes
    serial: str = ""
    invocation_counter: int | None = None
    clock_offset_s: int | None = None
    failure: PeerError | None = None
