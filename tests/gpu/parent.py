"""A run on the card in a fresh process: `python -m tests.gpu.parent IN OUT`.

Prints as JSON whether this process, the parent, has initialised CUDA, and what the run came to.
"""

import json
import sys

import torch

from cleanplate.engine.events import Retried
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings


def main() -> None:
    retried = []
    summary = repair_folder(
        sys.argv[1],
        sys.argv[2],
        RepairSettings(device="cuda"),
        subscribers=[lambda event: retried.append(event) if isinstance(event, Retried) else None],
    )
    print(
        json.dumps(
            {
                "initialised": torch.cuda.is_initialized(),
                "supervised": "transfer" in summary.seconds_by_stage,
                "failures": [failure.cause for failure in summary.failures],
                "done": len(summary.outcomes),
                "reserved_bytes": summary.usage.gpu_reserved_bytes,
                "metered_bytes": summary.usage.metered_peak_bytes,
                "retries": len(retried),
                "pauses": len(summary.pauses),
                "notes": list(summary.notes),
                "photographs_per_second": summary.photographs_per_second,
            }
        )
    )


if __name__ == "__main__":
    main()
