"""Building the pipeline that settings ask for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.places import parse_anchor, parse_box
from cleanplate.settings import EMBEDDED_MODEL, RepairSettings

if TYPE_CHECKING:
    import torch

    from cleanplate.detect.base import Detector
    from cleanplate.detect.given import MaskSource
    from cleanplate.models.store import ModelStore
    from cleanplate.models.weights import Networks
    from cleanplate.pipeline.base import Pipeline
    from cleanplate.pipeline.crops import CropRule
    from cleanplate.pipeline.known import KnownMarks
    from cleanplate.remove.base import Filler, Remover


def assemble_pipeline(settings: RepairSettings) -> Pipeline:
    """The pipeline for settings: its device chosen, its networks loaded once and moved there.

    Raises ModelError where the model cannot be loaded, UsageError where the device, the masks or IOPaint's
    program are not there.
    """
    # torch takes seconds to import, and nothing before this point needs it
    from cleanplate.device.selection import resolve_device
    from cleanplate.pipeline.repair import MarkRepair

    parts = _Parts(settings, resolve_device(settings.device))
    filler = parts.make_filler()
    if filler is None:
        return MarkRepair(parts.make_detector(), parts.make_remover(), known=make_known(settings))
    from cleanplate.pipeline.crops import CropRule
    from cleanplate.remove.fill import CONTEXT_PX, FillingRemover

    if settings.inpaint == "auto":
        rule = CropRule(context_px=CONTEXT_PX)
        return MarkRepair(parts.make_detector(), parts.make_remover(filler), rule, make_known(settings))
    # On a processor a filler takes crops one by one in any case, and those of a photograph take memory.
    together = parts.device.type != "cpu"
    rule = make_fill_rule(filler.longest_px)
    return MarkRepair(parts.make_detector(), FillingRemover(filler), rule, together=together)


def give_marks(pipeline: Pipeline, settings: RepairSettings) -> Pipeline:
    """The same pipeline, its networks shared, with the marks that settings name as known ones.

    Raises UsageError for a file that is no mark.
    """
    from cleanplate.pipeline.repair import MarkRepair

    known = make_known(settings)
    return replace(pipeline, known=known) if isinstance(pipeline, MarkRepair) else pipeline


def make_known(settings: RepairSettings) -> KnownMarks | None:
    """The marks that are given as files. Raises UsageError for one that is none."""
    if not settings.inverts_marks or not settings.mark:
        return None
    from cleanplate.marks.files import read_mark
    from cleanplate.pipeline.known import KnownMarks

    return KnownMarks(tuple(read_mark(Path(path)) for path in settings.mark))


def make_fill_rule(longest_px: int) -> CropRule:
    """How crops are placed where a filler gets every mark. longest_px: of a crop that it takes."""
    from cleanplate.pipeline.crops import CropRule
    from cleanplate.remove.fill import ALIGN_PX, CONTEXT_PX

    return CropRule(
        context_px=CONTEXT_PX,
        context_share=0,
        longest_px=longest_px,
        align_px=ALIGN_PX,
        saves_area=True,
    )


class _Parts:
    """What a pipeline is made of; networks are loaded when the first part asks for them."""

    def __init__(self, settings: RepairSettings, device: torch.device) -> None:
        self.settings = settings
        self.device = device

    @cached_property
    def networks(self) -> Networks:
        """The finder, the restorer and the chooser."""
        from cleanplate.models import weights

        other = self.is_checkpoint_of_another_program
        model = EMBEDDED_MODEL if other else self.settings.model
        return weights.load_networks(model, self.device, quickest=True)

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
        from cleanplate.remove.overlay import looks_laid_over

        engine, version = make_engine()
        keep: Literal["all", "overlay"] = "all" if self.settings.ocr == "all" else "overlay"
        return TextDetector(finder, engine, version, keep, looks_laid_over)

    def make_finder(self) -> Detector:
        """The network that finds marks."""
        from cleanplate.detect.network import NetworkDetector

        if self.is_checkpoint_of_another_program:
            from cleanplate.detect.looks import Look
            from cleanplate.models.segmenters import WORKING_SIZE_PX, load_segmenter

            finder, fingerprint = load_segmenter(Path(self.settings.model), self.device)
            # It was not trained to be shown other sizes; mirrored pictures are like any.
            mirrored = (Look(1.0, mirrored=True),)
            return NetworkDetector(finder, self.device, fingerprint, WORKING_SIZE_PX, 1.0, mirrored)
        return NetworkDetector(self.networks.finder, self.device, self.networks.fingerprint)

    def make_filler(self) -> Filler | None:
        """Who paints what no photograph shines through, or None where the remover does it itself."""
        if self.settings.inpaint == "patchmatch":
            from cleanplate.remove.fill import PatchFiller

            return PatchFiller()
        if self.settings.inpaint_model is not None:
            return self.load_filler(self.settings.inpaint_model)
        return self.find_filler() if self.settings.inpaint == "auto" else None

    def load_filler(self, model: str) -> Filler:
        """An inpainting network, by name or path."""
        from cleanplate.models.inpainters import load_inpainter
        from cleanplate.remove.networks import NetworkFiller

        inpainter = load_inpainter(model, self.store, self.device, trust=self.settings.trust)
        return NetworkFiller(inpainter, self.device)

    def find_filler(self) -> Filler | None:
        """The best network at hand that may be used unasked.

        What is not the catalogue's own file, or lacks its extra, is passed over: nobody has asked for it.
        """
        for model, path in self.store.list_for_auto():
            with suppress(ModelError, MissingExtraError):
                self.store.verify(model, path)
                return self.load_filler(model.name)
        return None

    @cached_property
    def store(self) -> ModelStore:
        """The weights at hand."""
        from cleanplate.models import catalog
        from cleanplate.models.store import open_store

        return open_store(catalog.CATALOG, self.settings.model_dir)

    def make_remover(self, filler: Filler | None = None) -> Remover:
        """Who takes them off. filler: who paints where nothing shines through."""
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
            self.networks.restorer,
            self.device,
            self.networks.fingerprint,
            self.settings.inpaint,
            filler,
            self.networks.chooser,
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
