import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sppdet.datasets.download import SOURCES, Archive, Source, prepare
from sppdet.errors import SppdetError


def tar_file(path, members):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def zip_file(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def source_of(url, path, ready, only=""):
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return Source((Archive(f"{url}/{path.name}", digest, only),), (ready,))


@pytest.fixture
def server(tmp_path) -> Iterator[tuple]:
    """Serves tmp_path/www; ``log`` has the ranges asked for, ``cut`` breaks answers off."""
    root = tmp_path / "www"
    root.mkdir()
    log: list[str | None] = []
    cut: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = (root / self.path.strip("/")).read_bytes()
            asked = self.headers.get("Range")
            log.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : cut.pop() if cut else None])

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{http.server_port}", log, cut
    http.shutdown()
    http.server_close()


FILES = {"devkit/a.txt": b"a" * 3_000_000, "devkit/deep/b.txt": b"b"}


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.zip"])
def test_from_a_server(server, tmp_path, name):
    root, url, log, _ = server
    make = zip_file if name.endswith("zip") else tar_file
    source = source_of(url, make(root / name, FILES), "devkit")
    stages = []
    ready = prepare(source, tmp_path / "to", lambda stage, *_: stages.append(stage.split()[0]))
    assert ready == [tmp_path / "to" / "devkit"]
    for member, content in FILES.items():
        assert (tmp_path / "to" / member).read_bytes() == content
    assert list(dict.fromkeys(stages)) == ["fetching", "checking", "unpacking"]
    prepare(source, tmp_path / "to")
    assert len(log) == 1


def test_an_interrupted_download_goes_on(server, tmp_path):
    root, url, log, cut = server
    source = source_of(url, tar_file(root / "data.tar", FILES), "devkit")
    cut.append(1_000_000)
    with pytest.raises(SppdetError, match=r"cannot be fetched.*run this again"):
        prepare(source, tmp_path / "to")
    assert (tmp_path / "to" / "data.tar.part").stat().st_size == 1_000_000
    prepare(source, tmp_path / "to")
    assert log == [None, "bytes=1000000-"]
    assert (tmp_path / "to" / "devkit" / "a.txt").read_bytes() == FILES["devkit/a.txt"]


def test_a_part_that_is_already_whole(server, tmp_path):
    root, url, _, _ = server
    source = source_of(url, tar_file(root / "data.tar", FILES), "devkit")
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "data.tar.part").write_bytes((root / "data.tar").read_bytes())
    prepare(source, tmp_path / "to")
    assert (tmp_path / "to" / "devkit" / "deep" / "b.txt").is_file()


def test_a_wrong_checksum(server, tmp_path):
    root, url, _, _ = server
    tar_file(root / "data.tar", FILES)
    source = Source((Archive(f"{url}/data.tar", "0" * 32),), ("devkit",))
    with pytest.raises(SppdetError, match=r"checksum .* not 0000.*run this again"):
        prepare(source, tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())


def test_an_archive_put_there_by_hand_is_used_and_checked(tmp_path):
    folder = tmp_path / "to"
    folder.mkdir()
    path = tar_file(folder / "data.tar", FILES)
    prepare(source_of("http://127.0.0.1:9", path, "devkit"), folder)
    assert (folder / "devkit" / "a.txt").is_file()
    other = Source((Archive("http://127.0.0.1:9/data.tar", "1" * 32),), ("other",))
    with pytest.raises(SppdetError, match="remove it and run this again"):
        prepare(other, folder)
    assert path.exists()


def test_offline_says_what_to_fetch_and_where_to_put_it(tmp_path):
    source = Source((Archive("http://127.0.0.1:9/data.tar", "0" * 32),), ("devkit",))
    with pytest.raises(SppdetError) as error:
        prepare(source, tmp_path / "to")
    assert "http://127.0.0.1:9/data.tar" in str(error.value)
    assert f"put the files into {tmp_path / 'to'} and run this again" in str(error.value)


def test_local_addresses(tmp_path):
    path = zip_file(tmp_path / "data.zip", FILES)
    prepare(source_of(tmp_path.as_uri(), path, "devkit"), tmp_path / "to")
    assert (tmp_path / "to" / "devkit" / "a.txt").is_file()


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "c:/evil"])
@pytest.mark.parametrize("kind", ["data.tar", "data.zip"])
def test_names_that_lead_out_are_refused(tmp_path, name, kind):
    make = zip_file if kind.endswith("zip") else tar_file
    path = make(tmp_path / kind, {"good": b"1", name: b"2"})
    with pytest.raises(SppdetError, match="leads out of the folder"):
        prepare(source_of(tmp_path.as_uri(), path, "good"), tmp_path / "deep" / "to")
    assert not (tmp_path / "deep" / "evil").exists()
    assert not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path):
    path = tar_file(tmp_path / "data.tar", {"good": b"1", "link": None})
    with pytest.raises(SppdetError, match="link or a device"):
        prepare(source_of(tmp_path.as_uri(), path, "good"), tmp_path / "to")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "to" / "devkit").symlink_to(outside)
    path = tar_file(tmp_path / "data.tar", FILES)
    (tmp_path / "to" / "data.tar").unlink()
    with pytest.raises(SppdetError, match="through a link"):
        prepare(source_of(tmp_path.as_uri(), path, "devkit"), tmp_path / "to")
    assert not list(outside.iterdir())


def test_a_damaged_archive(tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(b"PK no zip")
    with pytest.raises(SppdetError, match="cannot be unpacked"):
        prepare(source_of(tmp_path.as_uri(), path, "x"), tmp_path / "to")


def test_only_what_is_wanted_is_unpacked(tmp_path):
    members = {"annotations/instances_val2017.json": b"{}", "annotations/captions.json": b"{}"}
    path = zip_file(tmp_path / "data.zip", members)
    source = source_of(tmp_path.as_uri(), path, "annotations", "annotations/instances_val")
    prepare(source, tmp_path / "to")
    assert [p.name for p in (tmp_path / "to" / "annotations").iterdir()] == [
        "instances_val2017.json"
    ]


def test_addresses_and_checksums_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    known = {CIFAR10.url: CIFAR10.tgz_md5}
    known |= {entry["url"]: entry["md5"] for entry in DATASET_YEAR_DICT.values()}
    known = {url.rsplit("/", 1)[1]: digest for url, digest in known.items()}
    for name in ("voc2007", "voc2012", "cifar10"):
        for archive in SOURCES[name].archives:
            assert known[archive.name] == archive.md5
