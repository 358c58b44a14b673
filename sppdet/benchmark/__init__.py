"""R-CNN against SPP-net: speed, how it grows, and mean AP beside it."""
