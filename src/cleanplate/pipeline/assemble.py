"""Building the pipeline that settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.settings import RepairSettings

if TYPE_CHECKING:
    from cleanplate.pipeline.base import Pipeline
    from cleanplate.remove.base import Remover


def assemble_pipeline(settings: RepairSettings) -> Pipeline:
    """The pipeline for settings: its device chosen, its networks loaded once and moved there.

    Raises ModelError where the model cannot be loaded, UsageError where the device or IOPaint's
    program is not there.
    """
    # torch takes seconds to import, and nothing before this point needs it
    from cleanplate.detect.network import NetworkDetector
    from cleanplate.device.selection import resolve_device
    from cleanplate.models.weights import load_networks
    from cleanplate.pipeline.repair import MarkRepair
    from cleanplate.remove.iopaint import make_remover
    from cleanplate.remove.restore import NetworkRemover

    device = resolve_device(settings.device)
    networks = load_networks(settings.model, device)
    remover: Remover
    if settings.iopaint_model is None:
        remover = NetworkRemover(networks.restorer, device, networks.fingerprint, settings.inpaint)
    else:
        remover = make_remover(
            settings.iopaint_model,
            command=settings.iopaint_command,
            device=str(device),
            timeout_seconds=settings.timeout,
        )
    return MarkRepair(NetworkDetector(networks.finder, device, networks.fingerprint), remover)
