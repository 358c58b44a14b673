"""Evaluation: VOC and COCO figures, results of other programs, intervals, error kinds, reports."""
