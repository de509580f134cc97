"""cleanplate: takes visible watermarks off folders of photographs.

    summary = cleanplate.repair_folder("PHOTOS", "REPAIRED")
    result = cleanplate.repair("photo.jpg")

Both are imported when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleanplate.engine.run import repair_folder
    from cleanplate.engine.single import repair
    from cleanplate.settings import RepairSettings

__version__ = "0.1.0"

__all__ = ["RepairSettings", "__version__", "repair", "repair_folder"]

_HOMES = {
    "RepairSettings": "cleanplate.settings",
    "repair": "cleanplate.engine.single",
    "repair_folder": "cleanplate.engine.run",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
