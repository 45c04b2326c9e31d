"""Every target by its name."""

from __future__ import annotations

from tests.fuzz import (
    dispatch_files,
    dlms_bytes,
    dlms_sides,
    files_text,
    ledger_bytes,
    modbus_bytes,
    networks_files,
)
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    **dlms_bytes.TARGETS,
    **dlms_sides.TARGETS,
    **modbus_bytes.TARGETS,
    **files_text.TARGETS,
    **networks_files.TARGETS,
    **dispatch_files.TARGETS,
    **ledger_bytes.TARGETS,
}
