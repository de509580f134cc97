"""The ways of removing that a person can ask for."""

from __future__ import annotations

from cleanplate.errors import UsageError
from cleanplate.models.catalog import CATALOG
from cleanplate.models.store import open_store
from cleanplate.settings import INPAINT_MODELS, INPAINTERS, RepairSettings


def list_methods(settings: RepairSettings) -> tuple[str, ...]:
    """Values of `inpaint`: the run's own first, then what needs no network, then networks at hand."""
    return tuple(dict.fromkeys([settings.inpaint, *INPAINTERS, *_list_networks(settings)]))


def _list_networks(settings: RepairSettings) -> list[str]:
    """The inpainting networks whose weights lie on this machine."""
    try:
        store = open_store(CATALOG, settings.model_dir)
    except UsageError:
        return []  # the run's own folder of weights is gone; doing a photograph again says so
    return [name for name in INPAINT_MODELS if store.find(CATALOG.get(name)) is not None]
