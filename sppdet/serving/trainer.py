"""The server's side of the training: when it starts, and what becomes of its detectors."""

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sppdet.errors import SppdetError
from sppdet.runtime.words import counted
from sppdet.serving.ahead import Ahead
from sppdet.serving.learning.exchange import take
from sppdet.serving.learning.lessons import Lesson
from sppdet.serving.prepared import PreparedPhotos
from sppdet.serving.reports import Reports
from sppdet.serving.session import Photo, Session

DELAY = 1.0
"""Seconds without a change after which the training begins."""

STARTS = 3
"""How often the process is started: one that always fails is left alone."""

ENDING = 0.5
"""Seconds for the end of the process, which was killed."""


class Trainer:
    """Starts the process, sends it what changed, and takes its detectors.

    Args:
        session: the labels.
        photos: the trunk of the detectors.
        ahead: gets the detectors.

    Attributes:
        reports: on the labelled photographs.
    """

    def __init__(self, session: Session, photos: PreparedPhotos, ahead: Ahead) -> None:
        self._session = session
        self._photos = photos
        self._ahead = ahead
        self._changed: set[int] = set(session.counts)
        self._last_change = 0.0
        self._in_work: int | None = None
        self._wake = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._starts = 0
        self._stopped = False
        self._training = False
        self._seconds: float | None = None
        self._figures: dict[str, Any] | None = None
        self._enough = False
        self._folding = False
        self._message: str | None = None
        self._write_lock = threading.Lock()
        self.reports = Reports(self._ask_for_report)

    def start(self) -> None:
        """Start the process and the threads that talk to it."""
        self._start_process()
        threading.Thread(target=self._send, name="trainer", daemon=True).start()

    def stop(self) -> None:
        """End the process."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        process = self._process
        if process is not None:
            process.kill()  # nothing of it is needed
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)

    def change(self, index: int) -> None:
        """The labels of a photograph changed."""
        with self._wake:
            self._changed.add(index)
            self._last_change = time.monotonic()
            self._in_work = index
            self._wake.notify_all()

    def status(self) -> dict[str, Any]:
        """The state of the training, as the page gets it."""
        counts = dict(self._session.counts)
        waiting = bool(self._changed)
        return {
            "generation": self._ahead.generation,
            "training": self._training or waiting,
            "labelled": len(counts),
            "objects": sum(counts.values()),
            "seconds": self._seconds,
            "average_precision": self._figures,
            "enough": self._enough and self._figures is not None,
            "folding": self._folding,
            "message": self._message,
        }

    def _ask_for_report(self) -> None:
        self._write({"report": str(self._session.state.folder / "report")})

    def _start_process(self) -> None:
        folder = self._session.state.folder
        log: Any = subprocess.DEVNULL
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            log = (folder / "training.log").open("w")
        self._starts += 1
        program = [sys.executable, "-m", "sppdet.serving.learning.process", str(folder)]
        self._process = subprocess.Popen(
            [*program, self._photos.extractor.trunk.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the server
        )
        if log is not subprocess.DEVNULL:
            log.close()
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _send(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (wait := self._wait()) != 0:
                    self._wake.wait(wait)
                if self._stopped:
                    return
                changed, self._changed = self._changed, set()
                in_work = self._in_work
                self._training = True
            lessons = {}
            for index in sorted(changed):
                with suppress(SppdetError, OSError):
                    lessons[index] = self._lesson(index).to_json()
            message = {"classes": self._session.classes, "lessons": lessons, "in_work": in_work}
            self._write(message)

    def _lesson(self, index: int) -> Lesson:
        path = self._session.folder.images[index]
        if not path.exists():
            return Lesson(path.absolute(), [], False, [])
        return _lesson(self._session.photo(index))

    def _wait(self) -> float | None:
        """Seconds until something is to be sent: None for as long as nothing changes."""
        if not self._changed:
            return None
        return max(self._last_change + DELAY - time.monotonic(), 0)

    def _write(self, message: dict[str, Any]) -> None:
        process = self._process
        with self._write_lock, suppress(OSError, ValueError):  # it has ended: it is started again
            assert process is not None
            assert process.stdin is not None
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with suppress(ValueError, SppdetError):
                self._take(json.loads(line))
        self.reports.lose()
        with self._wake:
            if self._stopped:
                return
            self._training = self._folding = False
            if self._starts >= STARTS:
                log = self._session.state.folder / "training.log"
                self._message = f"the training has ended; {log} says why"
                return
            self._changed = set(self._session.counts)
            self._start_process()
            self._wake.notify_all()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "waiting":
            self._training = False
            missing = event["missing"]
            self._message = (
                f"{counted(missing, 'more object')}, and a detector is trained"
                if missing
                else "there is nothing to tell the objects from yet; label another photograph"
            )
        elif kind == "detector":
            self._folding = event["folding"]
            learned = take(Path(event["file"]), self._photos)
            self._ahead.use(self._ahead.generation + 1, learned)
            self._training = False
            if event["seconds"] is not None:
                self._seconds = round(event["seconds"], 3)
            failures = event["failures"]
            self._message = f"{len(failures)} not read: {failures[0]}" if failures else None
        elif kind == "folds":
            self._figures, self._enough = event["average_precision"], event["enough"]
        elif kind == "report":
            self.reports.take(event)
        elif kind == "failed":
            self._training = self._folding = False
            self._message = event["error"]


def _lesson(photo: Photo) -> Lesson:
    objects = [
        (one.name, one.box, one.difficult)
        for one in photo.labels.objects
        if one.box[2] - one.box[0] > 1 and one.box[3] - one.box[1] > 1
    ]
    return Lesson(photo.path.absolute(), list(objects), photo.labels.annotated, photo.rejected)
