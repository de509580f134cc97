"""Building the pipeline that settings ask for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.places import parse_anchor, parse_box
from cleanplate.settings import EMBEDDED_MODEL, RepairSettings

if TYPE_CHECKING:
    import torch

    from cleanplate.detect.base import Detector
    from cleanplate.detect.given import MaskSource
    from cleanplate.models.weights import Networks
    from cleanplate.pipeline.base import Pipeline
    from cleanplate.pipeline.known import KnownMarks
    from cleanplate.remove.base import Remover

#: Context that inpainting networks get round a mark: what IOPaint gives them. Crops' edges are multiples of
#: the second, so that several can go through a network together.
FILL_CONTEXT_PX = 128
FILL_ALIGN_PX = 32


def assemble_pipeline(settings: RepairSettings) -> Pipeline:
    """The pipeline for settings: its device chosen, its networks loaded once and moved there.

    Raises ModelError where the model cannot be loaded, UsageError where the device, the masks or IOPaint's
    program are not there.
    """
    # torch takes seconds to import, and nothing before this point needs it
    from cleanplate.device.selection import resolve_device
    from cleanplate.pipeline.repair import MarkRepair

    parts = _Parts(settings, resolve_device(settings.device))
    if settings.inpaint_model is not None:
        return parts.fill_with_network(settings.inpaint_model)
    return MarkRepair(parts.make_detector(), parts.make_remover(), known=parts.make_known())


class _Parts:
    """What a pipeline is made of; networks are loaded when the first part asks for them."""

    def __init__(self, settings: RepairSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device

    @cached_property
    def networks(self) -> Networks:
        """The finder and the restorer."""
        from cleanplate.models import weights

        other = self.is_checkpoint_of_another_program
        return weights.load_networks(EMBEDDED_MODEL if other else self.settings.model, self.device)

    @property
    def is_checkpoint_of_another_program(self) -> bool:
        """Whether the finder comes from one; the restorer is the embedded one then."""
        from cleanplate.models.segmenters import is_segmenter

        return is_segmenter(self.settings.model)

    def make_detector(self) -> Detector:
        """Who finds the marks, or says where they are."""
        if self.settings.is_given:
            from cleanplate.detect.given import GivenDetector

            return GivenDetector(tuple(find_mask_sources(self.settings)))
        finder = self.make_finder()
        if self.settings.ocr == "off":
            return finder
        from cleanplate.detect.text import TextDetector, make_engine

        engine, version = make_engine()
        return TextDetector(finder, engine, version, "all" if self.settings.ocr == "all" else "overlay")

    def make_finder(self) -> Detector:
        """The network that finds marks."""
        from cleanplate.detect.network import NetworkDetector

        if self.is_checkpoint_of_another_program:
            from cleanplate.models.segmenters import WORKING_SIZE_PX, load_segmenter

            finder, fingerprint = load_segmenter(Path(self.settings.model), self.device)
            return NetworkDetector(finder, self.device, fingerprint, WORKING_SIZE_PX)
        return NetworkDetector(self.networks.finder, self.device, self.networks.fingerprint)

    def make_known(self) -> KnownMarks | None:
        """The marks that are given as files. Raises UsageError for one that is none."""
        if not self.settings.inverts_marks or not self.settings.mark:
            return None
        from cleanplate.marks.files import read_mark
        from cleanplate.pipeline.known import KnownMarks

        return KnownMarks(tuple(read_mark(Path(path)) for path in self.settings.mark))

    def fill_with_network(self, model: str) -> Pipeline:
        """The pipeline that fills every mark with an inpainting network."""
        from cleanplate.models.catalog import CATALOG
        from cleanplate.models.inpainters import load_inpainter
        from cleanplate.models.store import open_store
        from cleanplate.pipeline.crops import CropRule
        from cleanplate.pipeline.repair import MarkRepair
        from cleanplate.remove.networks import FillingRemover

        store = open_store(CATALOG, self.settings.model_dir)
        inpainter = load_inpainter(model, store, self.device, trust=self.settings.trust)
        rule = CropRule(
            context_px=FILL_CONTEXT_PX,
            context_share=0,
            longest_px=inpainter.spec.most_px,
            align_px=FILL_ALIGN_PX,
            saves_area=True,
        )
        return MarkRepair(self.make_detector(), FillingRemover(inpainter, self.device), rule)

    def make_remover(self) -> Remover:
        """Who takes them off."""
        if self.settings.iopaint_model is not None:
            from cleanplate.remove.iopaint import make_remover

            return make_remover(
                self.settings.iopaint_model,
                command=self.settings.iopaint_command,
                device=str(self.device),
                timeout_seconds=self.settings.timeout,
            )
        from cleanplate.remove.restore import NetworkRemover

        return NetworkRemover(
            self.networks.restorer, self.device, self.networks.fingerprint, self.settings.inpaint
        )


def find_mask_sources(settings: RepairSettings) -> list[MaskSource]:
    """What says where the marks are. Raises UsageError where the masks are not there."""
    from cleanplate.detect.given import Places
    from cleanplate.detect.maskfiles import open_masks

    sources: list[MaskSource] = [] if settings.masks is None else [open_masks(settings.masks)]
    if settings.box or settings.anchor:
        boxes, anchors = map(parse_box, settings.box), map(parse_anchor, settings.anchor)
        sources.append(Places(tuple(boxes), tuple(anchors)))
    return sources
