"""How alike two pictures or two masks are: pure functions, and the running totals of some of them."""

from cleanplate.metrics.masks import MaskTally, f1, iou
from cleanplate.metrics.pictures import masked_psnr, masked_rmse, psnr, rmse, watermark_rmse
from cleanplate.metrics.ring import RingFigures, measure_ring
from cleanplate.metrics.similarity import map_ssim, ssim

__all__ = [
    "MaskTally",
    "RingFigures",
    "f1",
    "iou",
    "map_ssim",
    "masked_psnr",
    "masked_rmse",
    "measure_ring",
    "psnr",
    "rmse",
    "ssim",
    "watermark_rmse",
]
