"""A pipeline that loses the card on purpose; a child process imports it."""

import torch

from tests.engine.simple import MagentaPipeline


class LosingPipeline(MagentaPipeline):
    """Reads beyond a tensor's end on the card for every photograph whose name begins with "lost"."""

    def repair_one(self, photo, settings):
        on_card = torch.arange(4, device="cuda")
        if photo.path.stem.startswith("lost"):
            on_card = on_card[on_card + 100]  # a device-side assert: sticky
        torch.cuda.synchronize()
        return super().repair_one(photo, settings)


def make_losing(_settings):
    return LosingPipeline()
