"""The process of the training: messages on the standard input, events on the standard output.

A message is a line of JSON: ``{"classes", "lessons": {id: lesson}, "in_work": id or null}`` to
learn, ``{"report": folder}`` to write a report. An event is one too; "event" says which. The
process has a low priority and ends with its server.
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import torch

from sppdet.errors import SppdetError
from sppdet.runtime.memory import give_back_freed_memory
from sppdet.serving.learning.exchange import Learned, put
from sppdet.serving.learning.folding import Honest, fold
from sppdet.serving.learning.learner import FEWEST, Learner
from sppdet.serving.learning.lessons import Lesson
from sppdet.serving.prepared import PreparedPhotos

NICENESS = 10


class Process:
    """The loop: messages first, and steps of the folds where there are none.

    Args:
        folder: where the files of the detectors go.
        inbox: the messages.
        outbox: gets the events.
        photos: prepares photographs.
    """

    def __init__(
        self, folder: Path, inbox: "queue.Queue[dict[str, Any]]", outbox: TextIO, photos: Any
    ) -> None:
        self._folder = folder
        self._inbox = inbox
        self._outbox = outbox
        self._photos = photos
        self._learner: Learner | None = None
        self._steps: Iterator[Honest | None] | None = None
        self._honest: Honest | None = None
        self._again = False
        self._generation = 0

    def run(self) -> None:
        """Work for ever."""
        while True:
            self.step()

    def step(self) -> None:
        """Take the messages that are there, or do one step of the folds."""
        messages = []
        if self._steps is None:
            messages.append(self._inbox.get())
        while not self._inbox.empty():
            messages.append(self._inbox.get())
        try:
            if any("lessons" in one for one in messages):
                self._learn([one for one in messages if "lessons" in one])
            for one in messages:
                if "report" in one:
                    self._report(Path(one["report"]))
            if not messages and self._steps is not None:
                self._fold()
        except SppdetError as error:
            self._tell("failed", error=str(error))
        except Exception as error:
            traceback.print_exc()
            self._steps = None
            self._tell("failed", error=f"the training failed ({type(error).__name__}: {error})")

    def _learn(self, messages: list[dict[str, Any]]) -> None:
        start = time.perf_counter()
        classes = messages[-1]["classes"]
        lessons: dict[int, Lesson] = {}
        for message in messages:
            for index, content in message["lessons"].items():
                lessons[int(index)] = Lesson.from_json(content)
        if self._learner is None or list(self._learner.classes) != classes:
            known = self._learner.lessons if self._learner is not None else {}
            known = {k: one for k, one in known.items() if one.of(classes)}  # others follow
            lessons = {**known, **lessons}
            self._learner, self._steps = Learner(self._photos, classes), None
        self._learner.change(lessons)
        self._tell("learning")
        if self._learner.learn(messages[-1]["in_work"]):
            self._publish(time.perf_counter() - start, folding=True)
            self._again = True
            if self._steps is None:
                self._steps, self._again = fold(self._learner), False
        else:
            missing = max(FEWEST - int(self._learner.objects().sum()), 0)
            self._tell("waiting", missing=missing)

    def _fold(self) -> None:
        assert self._steps is not None
        assert self._learner is not None
        for honest in self._steps:  # one step
            if honest is not None:
                self._honest = honest
                self._tell("folds", average_precision=honest.to_json(), enough=honest.enough)
            return
        self._publish(None, folding=self._again)
        self._steps = fold(self._learner) if self._again else None
        self._again = False

    def _publish(self, seconds: float | None, folding: bool) -> None:
        assert self._learner is not None
        self._generation += 1
        path = self._folder / f"learned-{self._generation % 2}.safetensors"
        put(path, Learned(self._learner.detector(), self._learner.folds))
        failures = list(self._learner.failures.values())
        told = {"seconds": seconds, "failures": failures, "folding": folding}
        self._tell("detector", file=str(path), **told)
        give_back_freed_memory()

    def _report(self, folder: Path) -> None:
        honest = self._honest
        if honest is None:
            self._tell("report", error="there is too little to report on yet; label some more")
            return
        from sppdet.evaluation.report import (
            write_report,  # it takes memory, and is seldom asked for
        )

        content = {"folds": honest.result.to_json()}
        title = "Labelled photographs, each seen by a detector that has not learned from it"
        page = write_report(
            folder,
            honest.dataset,
            honest.result,
            content,
            subject=title,
            thresholds=honest.thresholds,
        )
        self._tell("report", file=str(page))

    def _tell(self, event: str, **content: Any) -> None:
        self._outbox.write(json.dumps({"event": event, **content}) + "\n")
        self._outbox.flush()


def main(folder: str, trunk: str) -> None:
    """Learn until the server ends."""
    if hasattr(os, "nice"):
        os.nice(max(NICENESS - os.nice(0), 0))
    outbox = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no event
    torch.set_num_threads(1)
    inbox: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            inbox.put(json.loads(line))
        os._exit(0)  # the server has ended

    threading.Thread(target=read, daemon=True).start()
    with torch.inference_mode():
        Process(Path(folder), inbox, outbox, PreparedPhotos(trunk)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
