"""Downloading, against a server on this machine."""

import hashlib
import http.server
import io
import random
import re
import socket
import tarfile
import threading

import pytest

from bifsmn_tf.data.download import ARCHIVES, Archive, DownloadError, download, extract


def make_archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                tar.addfile(member)
    return buffer.getvalue()


MEMBERS = {
    "./": (tarfile.DIRTYPE, ""),
    # Bytes that do not compress, so that the archive is longer than one piece of it.
    "./yes/a_nohash_0.wav": random.Random(0).randbytes(50_000),
    "./testing_list.txt": b"yes/a_nohash_0.wav\n",
}


class Server:
    """Serves one file; can break off, ignore ranges or serve something else."""

    def __init__(self, content):
        self.content = content
        self.break_after = None
        self.ranges = True
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.headers.get("Range"))
                start = 0
                found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if found and outer.ranges:
                    start = int(found[1])
                    self.send_response(206)
                    end, size = len(outer.content) - 1, len(outer.content)
                    self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
                else:
                    self.send_response(200)
                body = outer.content[start:]
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.break_after])

            def log_message(self, *_):
                pass

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/commands.tar.gz"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def archive(self, content=None):
        content = self.content if content is None else content
        return Archive(self.url, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def server():
    server = Server(make_archive(MEMBERS))
    yield server
    server.httpd.shutdown()
    server.httpd.server_close()


def test_official_archives():
    assert sorted(ARCHIVES) == ["v0.01", "v0.02"]
    for version, archive in ARCHIVES.items():
        assert archive.name == f"speech_commands_{version}.tar.gz"
        assert re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert archive.size > 1e9


def test_download_and_unpack(server, tmp_path):
    folder = download("v0.02", tmp_path / "new", archive=server.archive())
    assert folder == tmp_path / "new" / "speech_commands_v0.02"
    assert (folder / "yes/a_nohash_0.wav").read_bytes() == MEMBERS["./yes/a_nohash_0.wav"]
    assert (folder / "testing_list.txt").read_bytes() == MEMBERS["./testing_list.txt"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == [folder.name]
    assert download("v0.02", tmp_path / "new", archive=server.archive()) == folder
    assert len(server.requests) == 1  # the second call found the folder


def test_archive_can_be_kept_and_put_there_by_hand(server, tmp_path):
    folder = download("v0.01", tmp_path, archive=server.archive(), keep_archive=True)
    kept = tmp_path / "commands.tar.gz"
    assert kept.read_bytes() == server.content
    (tmp_path / "hand").mkdir()
    (tmp_path / "hand" / kept.name).write_bytes(server.content)
    other = download("v0.01", tmp_path / "hand", archive=server.archive())
    assert (other / "testing_list.txt").exists() and folder != other
    assert len(server.requests) == 1


def test_a_broken_download_goes_on(server, tmp_path):
    server.break_after = 1000
    with pytest.raises(DownloadError, match="1000 bytes|1000 read|IncompleteRead"):
        download(root=tmp_path, archive=server.archive())
    part = tmp_path / "commands.tar.gz.part"
    assert part.read_bytes() == server.content[:1000]
    server.break_after = None
    folder = download(root=tmp_path, archive=server.archive())
    assert server.requests == [None, "bytes=1000-"]
    assert (folder / "testing_list.txt").exists() and not part.exists()


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    (tmp_path / "commands.tar.gz.part").write_bytes(b"x" * 1000)
    server.ranges = False
    folder = download(root=tmp_path, archive=server.archive())
    assert server.requests == ["bytes=1000-"] and (folder / "testing_list.txt").exists()


def test_wrong_checksum_unpacks_nothing(server, tmp_path):
    good = server.archive()
    server.content = server.content[:-20] + bytes(20)
    with pytest.raises(DownloadError, match=f"SHA-256 {good.sha256}.*Received.*SHA-256"):
        download(root=tmp_path, archive=good)
    assert not list(tmp_path.iterdir())


def test_wrong_size(server, tmp_path):
    good = server.archive()
    server.content += b"more"
    with pytest.raises(DownloadError, match=f"{good.size} bytes.*Received: {good.size + 4}"):
        download(root=tmp_path, archive=good)


def test_a_file_put_there_by_hand_is_checked_and_left(server, tmp_path):
    (tmp_path / "commands.tar.gz").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="remove it and try again"):
        download(root=tmp_path, archive=server.archive())
    assert (tmp_path / "commands.tar.gz").read_bytes() == b"something else"
    assert not server.requests


def test_no_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/commands.tar.gz"
    with pytest.raises(DownloadError) as caught:
        download(root=tmp_path, archive=Archive(url, "0" * 64, 10))
    message = str(caught.value)
    assert url in message and "refused" in message
    assert str(tmp_path / "commands.tar.gz") in message and "put the file at" in message


def test_missing_on_the_server(server, tmp_path):
    url = server.url + "?missing"
    server.httpd.RequestHandlerClass.do_GET = lambda self: self.send_error(404)
    with pytest.raises(DownloadError, match="404"):
        download(root=tmp_path, archive=Archive(url, "0" * 64, 10))


@pytest.mark.parametrize(
    "name, content",
    [
        ("../outside.txt", b"x"),
        ("yes/../../outside.txt", b"x"),
        ("/outside.txt", b"x"),
        ("link", (tarfile.SYMTYPE, "/etc/passwd")),
        ("link", (tarfile.LNKTYPE, "../outside.txt")),
        ("device", (tarfile.FIFOTYPE, "")),
    ],
)
def test_unsafe_members_are_refused(tmp_path, name, content):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(make_archive({"ok.txt": b"x", name: content}))
    (tmp_path / "into").mkdir()
    with pytest.raises(DownloadError, match=f"Received: '{re.escape(name)}'"):
        extract(archive, tmp_path / "into" / "data")
    assert not list((tmp_path / "into").iterdir())
    assert not (tmp_path / "outside.txt").exists()


def test_damaged_archive(tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(make_archive(MEMBERS)[:500])
    with pytest.raises(DownloadError, match="Could not unpack"):
        extract(archive, tmp_path / "data")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_bad_version(tmp_path):
    with pytest.raises(ValueError, match="Received: version='v0.03'"):
        download("v0.03", tmp_path)
