"""Object detection with region features: SPP-net on a frozen trunk, linear SVMs, box regression."""

__version__ = "0.2.0"
