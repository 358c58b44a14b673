"""Mutations of bytes, JSON, text and places; every choice comes from the given generator."""

import copy
import json
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOKENS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"1e308", b"9" * 40, b"0x10", b"1_000", b"1,5",
    b"null", b"true", b"'", b'"', b"<", b">", b"&", b"&lt;", b"<!--", b"]]>", b"{", b"}", b"[" * 9,
    b"(" * 2000, b"[" * 5000, b"\0", b"\n", b"\r\n", b"\t", b" ", b",", b";", b":", b"%", b"%00",
    b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff", b"\x80", b"\xed\xa0\x80", b"\x1b[2J",
    b"\xe2\x80\xae", b"../../../../x", b"/etc/passwd", b"C:\\x", b"n" * 300, b"&a [*a]", b"*a",
    b"!!python/object/apply:os.system [x]", b"? ", b"- ", b"<<: *a", b"---\n", b"...\n", b"#",
)  # fmt: skip
"""Bytes that mean something to some parser."""

JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 10**30, -(10**30), 10**400, 2**31, 2**63, 0.5, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "0", "nan", "1e999", "9" * 5000, [], {},
    [[]], {"a": [None]}, "n" * 300, "../" * 20 + "etc/passwd", "\ud800\0", "\x1b[2J", "[/bold]",
    "é" * 150, [0] * 1000, [1e999] * 4, {"": ""}, [{}] * 50,
)  # fmt: skip
"""Values that replace one in JSON."""


def mutate_bytes(rng: random.Random, content: bytes) -> bytes:
    """One to four changes; a cut, an empty or a foreign file now and then."""
    if rng.random() < 0.02:
        return rng.choice([b"", b"\0" * 1000, rng.randbytes(300), b"[" * 100_000, b"{}", b"null"])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        content = _changed(rng, content)
    return content


def _changed(rng: random.Random, content: bytes) -> bytes:
    first = rng.randrange(len(content) + 1)
    if rng.random() < 0.5:  # headers decide most
        first = min(first, rng.randrange(200))
    last = min(len(content), first + rng.choice((0, 1, 1, 2, 4, 8, 40)))
    change = rng.randrange(9)
    if change == 0:
        return content[:first]
    if change == 1:
        return content[:first] + content[last:]
    if change == 2:
        return content[:last] + content[first:]
    if change == 3 and first < len(content):
        flipped = content[first] ^ (1 << rng.randrange(8))
        return content[:first] + bytes([flipped]) + content[first + 1 :]
    if change == 4:
        number = rng.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1))
        piece = (number % 256 ** (size := rng.choice((1, 2, 4, 8)))).to_bytes(
            size, rng.choice(("little", "big"))
        )
        return content[:first] + piece + content[first + size :]
    if change == 5:
        other = rng.randrange(len(content) + 1)
        return content[:first] + content[other : other + 40] + content[last:]
    if change == 6:
        return content + content[first:last] * rng.choice((1, 100))
    return content[:first] + rng.choice(TOKENS) + content[last:]


def mutate_json(rng: random.Random, content: Any) -> Any:
    """One to three values replaced, removed, repeated or moved."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(content))
        if not places or rng.random() < 0.01:
            return rng.choice(JUNK)
        holder, key = rng.choice(places)
        change = rng.randrange(6)
        if change == 0:
            del holder[key]
        elif change == 1:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other[name])
        elif change == 2 and isinstance(holder, list):
            holder += copy.deepcopy(holder)
        elif change == 3 and isinstance(holder, dict):
            holder[str(rng.choice(JUNK))[:400]] = holder.pop(key)
        elif change == 4:
            holder[key] = str(holder[key])[:5000] if rng.random() < 0.5 else [holder[key]]
        else:
            holder[key] = copy.deepcopy(rng.choice(JUNK))
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    inner: Any = ()
    if isinstance(content, dict):
        inner = list(content.items())
    elif isinstance(content, list):
        inner = list(enumerate(content))
    for key, value in inner:
        yield content, key
        yield from _places(value)


def mutated(rng: random.Random, content: Any) -> bytes:
    """A mutated file of JSON (any structure) or of text (a str) or of anything (bytes)."""
    if isinstance(content, bytes):
        return mutate_bytes(rng, content)
    if isinstance(content, str):
        if rng.random() < 0.06:
            return bomb(rng, content)
        return mutate_bytes(rng, content.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.7:
        content = mutate_json(rng, content)
        return json.dumps(content).encode("utf-8", "surrogatepass")
    return mutate_bytes(rng, json.dumps(content).encode())


def bomb(rng: random.Random, text: str) -> bytes:
    """What grows without end in a careless parser: entities, anchors, nesting, long lines."""
    if text.lstrip().startswith("<"):
        names = "".join(
            f'<!ENTITY e{k} "{f"&e{k - 1};" * 10 if k else "x" * 10}">' for k in range(9)
        )
        body = text.split("?>", 1)[-1]
        return rng.choice(
            (
                f"<!DOCTYPE a [{names}]>{body.replace('cat', '&e8;')}".encode(),
                f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{body}'.replace(
                    "cat", "&x;"
                ).encode(),
                b"<a>" * 20_000 + b"</a>" * 20_000,
                text.replace(
                    "utf-8", rng.choice(("utf-16", "gb2312", "nonsense", "rot13"))
                ).encode(),
                text.encode("utf-16"),
                text.encode("utf-32"),
            )
        )
    anchors = "".join(
        f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else 'x'] * 10)}]\n" for k in range(9)
    )
    return rng.choice(
        (
            f"{anchors}names: *a8\n{text}".encode(),
            f"{anchors}{text}\nnames: *a8\n".encode(),
            b"names: &a [*a]\n",
            b"nc: 99999999999\n" + text.encode(),
            (text + "\n").encode() * (1_000_000 // (len(text) + 1)),
            text.replace("\n", " ").encode() * (1_000_000 // len(text)),
            text.encode("utf-16"),
            text.encode("cp037", "replace"),
        )
    )


def mutate_place(rng: random.Random, file: Path) -> None:
    """Put something that is no regular file, or cannot be read, where ``file`` is."""
    if file.is_dir() and not file.is_symlink():
        return
    content = file.read_bytes() if file.is_file() else b""
    file.unlink(missing_ok=True)
    change = rng.randrange(9)
    if change == 0:
        os.mkfifo(file)
    elif change == 1:
        file.symlink_to(rng.choice(("/dev/zero", "/dev/random", "/dev/tty", "/dev/stdin")))
    elif change == 2:
        file.symlink_to(file.name)
    elif change == 3:
        file.symlink_to("nowhere")
    elif change == 4:
        file.mkdir()
    elif change == 5:
        with socket.socket(socket.AF_UNIX) as end:
            here = os.getcwd()
            os.chdir(file.parent)  # the path of a socket has 108 bytes
            try:
                end.bind(file.name[:90])
            finally:
                os.chdir(here)
    elif change == 6:
        file.symlink_to("..")
    elif change == 7:
        file.write_bytes(b"")
    else:
        suffix = os.fsencode(file.suffix)
        stem = rng.choice((b"\xff\xfe", b"-x", b"a\nb\x1b[2J", b"n" * 250, "é\u202e".encode()))
        name = (stem + suffix)[:255]
        Path(os.fsdecode(os.path.join(os.fsencode(file.parent), name))).write_bytes(content)
