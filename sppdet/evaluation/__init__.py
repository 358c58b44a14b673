"""Measures of detections and proposals, by the rules of VOC and COCO."""
