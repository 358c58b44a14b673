"""Images at http and https addresses."""

import time
import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from sppdet.errors import SppdetError
from sppdet.runtime.words import megabytes

MOST_BYTES = 100_000_000
"""Bytes of an image that is not a file: a JPEG of 179 megapixels has fewer."""

WAIT = 20.0
"""Seconds to wait for an answer, and for each next part of it."""

LONGEST = 120.0
"""Seconds that a whole answer may take."""

_PART = 1 << 16
_REMEDY = "check the address and the connection"


def fetch(url: str, most: int = MOST_BYTES, wait: float = WAIT, longest: float = LONGEST) -> bytes:
    """The content at an address.

    Args:
        url: http or https; redirections are followed.
        most: bytes that the content may have.
        wait: seconds to wait for each part of it.
        longest: seconds for all of it.

    Raises:
        SppdetError: the server cannot be reached, takes too long or refuses; or the content is a
            page, is empty or too long.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "sppdet", "Accept": "image/*"})
    deadline = time.monotonic() + longest
    try:
        with urllib.request.urlopen(request, timeout=wait) as answer:
            if not answer.url.lower().startswith(("http://", "https://")):
                raise SppdetError(f"{url}: leads to another protocol ({answer.url[:80]})")
            kind = answer.headers.get_content_type()
            if kind in ("text/html", "application/xhtml+xml"):
                raise SppdetError(f"{url}: is a page, not an image; give the image's own address")
            _check_size(url, int(answer.headers.get("Content-Length") or 0), most)
            content = bytearray()
            while part := answer.read1(_PART):
                content += part
                _check_size(url, len(content), most)
                if time.monotonic() > deadline:
                    raise SppdetError(f"{url}: takes longer than {longest:.0f} s; {_REMEDY}")
    except HTTPError as error:
        raise SppdetError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise SppdetError(f"{url}: cannot be fetched ({reason}); {_REMEDY}") from None
    if not content:
        raise SppdetError(f"{url}: is empty")
    return bytes(content)


def _check_size(url: str, size: int, most: int) -> None:
    if size > most:
        raise SppdetError(f"{url}: has more than {megabytes(most)}")
