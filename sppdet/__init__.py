"""Region-feature object detection: R-CNN and SPP-net on one trunk and one training code."""

__version__ = "0.1.0"
