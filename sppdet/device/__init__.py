"""The path from pixels and boxes to detections on a GPU: few launches, and no waiting between them.

:mod:`sppdet.device.path` queues an image and returns at once. The other modules are its parts; each
is a twin of one on the CPU and gives what that one gives.
"""
