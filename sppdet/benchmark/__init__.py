"""R-CNN against SPP-net: speed, its growth with proposals and image size, and mean AP."""
