"""How fast a finder learns on this machine, by what of it learns.

    python benchmarks/training_step.py [--rounds 4]

Steps of 6 crops of 512 pixels, as `cleanplate train finder` takes them (bfloat16 where the program would use
it, channels last, forward, loss, gradient, AdamW), with so many of the encoder's first stages kept; and with
depthwise filters left as they are, which saved more before those of 5 x 5 computed in float32
(`models/nets/finder.SameConv2d`). The best of the rounds, taken in turn; drawing crops is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

from cleanplate.device.threads import configure_threads

configure_threads()

import torch  # noqa: E402  # after the threads are chosen
from torch import nn  # noqa: E402

from cleanplate.models.nets.finder import ENCODER_STAGES, Finder  # noqa: E402
from cleanplate.train.losses import finder_loss  # noqa: E402
from cleanplate.train.parameters import group_parameters  # noqa: E402

CROPS, CROP_PX = 6, 512
KEPT = (0, 1, 3)


def main() -> None:
    """Measure in turn, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    ways = [(stages, filters) for stages in KEPT for filters in (True, False)]
    taken = defaultdict(list)
    learners = {way: _Learner(*way) for way in ways}
    for _ in range(1 + rounds):
        for way, learner in learners.items():
            taken[way].append(learner.step())
    best = {way: min(seconds[1:]) for way, seconds in taken.items()}
    print(f"{'stages kept':>12} {'filters learn':>14} {'s a step':>9} {'crops/s':>8} {'to all':>7}")
    for (stages, filters), seconds in best.items():
        print(
            f"{f'{stages} of {len(ENCODER_STAGES)}':>12} {'yes' if filters else 'no':>14} {seconds:9.2f} "
            f"{CROPS / seconds:8.1f} {best[ways[0]] / seconds:7.2f}"
        )


class _Learner:
    def __init__(self, kept_stages: int, filters_learn: bool) -> None:
        self._network = Finder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        groups = group_parameters(self._network, 1.0, keep_stages=kept_stages)
        if not filters_learn:
            for module in self._network.encoder.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    module.requires_grad_(False)
        self._optimizer = torch.optim.AdamW([p for group in groups for p in group["params"]], lr=1e-4)
        draw = torch.Generator().manual_seed(0)
        shape = (CROPS, 1, CROP_PX, CROP_PX)
        self._image = torch.rand(CROPS, 3, CROP_PX, CROP_PX, generator=draw)
        target = (torch.rand(shape, generator=draw) > 0.9).float()
        self._example = {"target": target, "weight": torch.ones(shape)}

    def step(self) -> float:
        """Seconds that a step took."""
        began = time.perf_counter()
        image = self._image.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self._network(image)
        loss, _ = finder_loss(logits.float(), self._example)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own method is untyped
        self._optimizer.step()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
