"""Which masks belong to a run's photographs, told before any work: a result is valid as long as its mask."""

from __future__ import annotations

from dataclasses import replace

from cleanplate.detect.maskfiles import MaskFiles, open_masks
from cleanplate.errors import PhotoError, UsageError
from cleanplate.images.discover import Discovery, Source
from cleanplate.settings import RepairSettings


def add_mask_keys(found: Discovery, settings: RepairSettings) -> tuple[Discovery, str | None]:
    """The photographs with what their masks hold as `Source.key`, and a warning where some have no mask.

    Raises UsageError where the masks are not there, or none belongs to any of the photographs.
    """
    if settings.masks is None:
        return found, None
    masks = open_masks(settings.masks)
    keyed = [replace(source, key=f"-{masks.key_of(source.path)}") for source in found.sources]
    unmasked = sum(not _has_mask(source, masks) for source in keyed)
    found = replace(found, sources=tuple(keyed))
    if not unmasked or settings.box or settings.anchor:
        return found, None
    if unmasked == len(keyed):
        raise UsageError(
            f"{settings.masks}: no mask has the name of a photograph; {keyed[0].path.name} wants "
            f"{keyed[0].path.stem}.png or {keyed[0].path.name}.png there"
        )
    return (
        found,
        f"{unmasked} of {len(keyed)} photographs have no mask in {settings.masks}: they stay as they are",
    )


def _has_mask(source: Source, masks: MaskFiles) -> bool:
    try:
        return masks.find_file(source.path) is not None
    except PhotoError:
        return True  # two of them; the photograph's own error says so
