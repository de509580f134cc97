"""What the engine asks of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cleanplate.models.request import Attempt
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo, Repair


class Pipeline(Protocol):
    """Finds the marks of photographs and takes them off. Knows no files, no budgets and no queues.

    `fingerprint` names everything besides the settings that results depend on (the networks' checksums): a
    finished file stays valid only under the same one.
    """

    @property
    def fingerprint(self) -> str: ...

    def repair(
        self, photos: Sequence[Photo], settings: RepairSettings, attempt: Attempt
    ) -> list[Repair | Exception]:
        """One Repair a photograph, in order, or what ended that photograph alone. Sizes may differ.

        The result for a photograph does not depend on which others came with it: batches are cut where memory
        asks for it, and again when interrupted work goes on. All network work goes through `attempt`. With
        `settings.dry_run` the verdict is what it would be, and `rgb` may be the photograph's own. An
        exception that is raised, not returned, concerns the whole batch; the engine then tries each
        photograph alone.
        """
        ...
