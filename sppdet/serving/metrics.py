"""Figures of a server in the text format of Prometheus (version 0.0.4)."""

import threading
from collections import Counter


class Metrics:
    """Counts what a server did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[int] = Counter()
        self._detections = 0
        self._images = 0
        self._seconds = 0.0

    def answered(self, status: int) -> None:
        """A request for detections was answered with this status of HTTP."""
        with self._lock:
            self._answers[status] += 1

    def detected(self, detections: int, seconds: float) -> None:
        """An image was detected in."""
        with self._lock:
            self._images += 1
            self._detections += detections
            self._seconds += seconds

    def text(self, waiting: int) -> str:
        """All figures; ``waiting`` is the number of images that run or wait now."""
        with self._lock:
            lines = [
                "# HELP sppdet_requests_total Requests for detections by status.",
                "# TYPE sppdet_requests_total counter",
                *(
                    f'sppdet_requests_total{{status="{status}"}} {count}'
                    for status, count in sorted(self._answers.items())
                ),
                "# HELP sppdet_detections_total Detections that were found.",
                "# TYPE sppdet_detections_total counter",
                f"sppdet_detections_total {self._detections}",
                "# HELP sppdet_image_seconds Time of an image, from its decoding on.",
                "# TYPE sppdet_image_seconds summary",
                f"sppdet_image_seconds_sum {self._seconds:.6f}",
                f"sppdet_image_seconds_count {self._images}",
                "# HELP sppdet_images_inside Images that are detected in or wait.",
                "# TYPE sppdet_images_inside gauge",
                f"sppdet_images_inside {waiting}",
            ]
        return "\n".join(lines) + "\n"
