"""Evaluation: VOC and COCO figures, results of others, intervals, error kinds, reports."""
