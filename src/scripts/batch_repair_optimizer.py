"""The original plan's door for scripts: `BatchRepairOptimizer(settings).run(input, output) -> journal`.

As a script it takes the options of `repair_optimized.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.doors import run_door
from cleanplate.settings import RepairSettings, resolve_settings

if TYPE_CHECKING:
    from cleanplate.engine.summary import RunSummary


class BatchRepairOptimizer:
    """Repairs folders under one set of settings.

    settings: a `RepairSettings`, a mapping of the settings that are not to be the defaults, or None.
    """

    def __init__(self, settings: RepairSettings | Mapping[str, Any] | None = None) -> None:
        self.settings = settings if isinstance(settings, RepairSettings) else resolve_settings(settings)

    def run(self, input: str | Path, output: str | Path) -> RunSummary:
        """Repair a folder. Returns the journal of the run: its `outcomes`, `counts`, `failures`, `exit_code`.

        The journal on disk, with the runs before, is `OUTPUT/.cleanplate/journal.jsonl`. Raises UsageError.
        """
        from cleanplate.engine.run import repair_folder

        return repair_folder([Path(input)], Path(output), self.settings)


if __name__ == "__main__":
    sys.exit(run_door("batch_repair_optimizer.py", optimize=True))
