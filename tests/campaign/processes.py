"""Commands in processes of their own, their processor time, and what they leave."""

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

LONGEST = 900.0
"""Seconds after which a command hangs."""


def start(words: list[str], place: Path, fresh: bool) -> int:
    """Begin a command as a copy of this process, or as a new interpreter; its process id."""
    words = [word.replace("PLACE", str(place)) for word in words]
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ |= {"SPPDET_CACHE": str(place / "cache"), "TMPDIR": str(place / "tmp")}
        tempfile.tempdir = None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if fresh:
            os.execv(sys.executable, [sys.executable, "-m", "sppdet", *words])
        from sppdet.cli import main

        main(words)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:  # after the end of main, as the interpreter's own end would be
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def cpu(process: int) -> float:
    """Seconds of processor time so far; a finished process has used them all."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    done = fields[0] in "ZX"
    ticks = int(fields[11]) + int(fields[12])
    return float("inf") if done else ticks / os.sysconf("SC_CLK_TCK")


def end(process: int) -> tuple[int, float]:
    """Wait: exit code (negative: the signal that ended it), processor seconds."""
    deadline = time.monotonic() + LONGEST
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.005)


def whole(folder: Path) -> list[str]:
    """Files under their final names that are not whole."""
    from PIL import Image

    from sppdet.errors import SppdetError
    from sppdet.runtime.tensor_files import load_tensors

    wrong = []
    for file in sorted(folder.rglob("*")):
        if file.is_dir() or ".sppdet-" in file.name or "tensorboard" in file.parts:
            continue
        try:
            if file.suffix == ".json":
                json.loads(file.read_bytes())
            elif file.suffix in (".jpg", ".png"):
                with Image.open(file) as image:
                    image.load()
            elif file.suffix == ".safetensors":
                load_tensors(file)
        except (OSError, ValueError, SppdetError) as error:
            wrong.append(f"{file.name} is not whole: {error}")
    return wrong
