"""Semantic segmentation: cross-entropy over pixels, mIoU from one confusion matrix over a split."""
