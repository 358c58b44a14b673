"""Many images at a time: what workers prepare, and the one thread that gives a device its work."""
