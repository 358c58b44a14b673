"""Region features: SPP-net pools windows of one map, R-CNN runs the network on every crop."""
