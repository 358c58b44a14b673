"""Training: from labelled photographs to a detector."""
