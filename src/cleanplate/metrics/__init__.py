"""How alike two pictures or two masks are: pure functions, and the running totals of some of them."""

from cleanplate.metrics.masks import MaskTally, f1, iou
from cleanplate.metrics.pictures import masked_psnr, masked_rmse, psnr, rmse
from cleanplate.metrics.similarity import ssim

__all__ = ["MaskTally", "f1", "iou", "masked_psnr", "masked_rmse", "psnr", "rmse", "ssim"]
