"""From region features to detections: scores, box regression, suppression, probabilities."""
