"""Label files that are edited in place: VOC XML, YOLO and COCO JSON.

What is there stays: fields that the page does not know, objects that it did not change, the order.
A revision names what a file says about one photograph. A change that rests on another revision is
refused, so that two programs never overwrite each other in silence.
"""
