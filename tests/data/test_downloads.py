"""Downloads from a server of our own on this machine: checksums, retries, and a quick no."""

import hashlib
import http.server
import socket
import threading
import time

import pytest

from cnnjax.data import downloads
from cnnjax.data.downloads import DownloadError, File, fetch

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def server(monkeypatch):
    """Answers each request with the next of `server.answers`: a status, and how much it sends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            answers = self.server.answers
            status, length = answers.pop(0) if answers else (200, len(CONTENT))
            self.send_response(status)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:length])

        def log_message(self, *arguments):
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.answers, running.paths, running.waits = [], [], waits
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def file_on(server, content=CONTENT):
    sha256 = hashlib.sha256(content).hexdigest()
    return File(f"http://127.0.0.1:{server.server_port}/some/digits.gz", len(content), sha256)


def test_downloads_once(server, tmp_path):
    file = file_on(server)
    for _ in range(2):
        (path,) = fetch([file], tmp_path / "downloads")
        assert path == tmp_path / "downloads" / "digits.gz"
        assert path.read_bytes() == CONTENT
    assert server.paths == ["/some/digits.gz"]
    assert [child.name for child in path.parent.iterdir()] == ["digits.gz"]


def test_tries_again_after_errors_and_broken_connections(server, tmp_path):
    server.answers[:] = [(503, 0), (200, 1000)]
    (path,) = fetch([file_on(server)], tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.paths) == 3
    assert server.waits == sorted(server.waits)
    assert len(server.waits) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_gives_up_in_the_end(server, tmp_path):
    server.answers[:] = [(503, 0)] * 99
    with pytest.raises(DownloadError, match=r"could not be downloaded.*503"):
        fetch([file_on(server)], tmp_path)
    assert len(server.paths) == len(server.waits) + 1 == 4
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_final(server, tmp_path):
    server.answers[:] = [(404, 0)]
    with pytest.raises(DownloadError, match="404"):
        fetch([file_on(server)], tmp_path)
    assert len(server.paths) == 1


def test_wrong_contents_are_refused_downloaded_or_placed_by_hand(server, tmp_path):
    file = file_on(server, CONTENT[::-1])
    with pytest.raises(ValueError, match=r"digits.gz is not the registered file.*must be .* got"):
        fetch([file], tmp_path / "downloaded")
    (tmp_path / "digits.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"\(14 bytes\)"):
        fetch([file], tmp_path)


def test_a_file_placed_by_hand_needs_no_network(server, tmp_path):
    (tmp_path / "digits.gz").write_bytes(CONTENT)
    assert fetch([file_on(server)], tmp_path) == [tmp_path / "digits.gz"]
    assert server.paths == []


def test_an_unreachable_host_is_known_at_once(monkeypatch, tmp_path):
    asked = []

    def refuse(address, timeout):
        asked.append((address, timeout))
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(downloads.urllib.request, "getproxies", dict)
    file = File("https://data.example/digits.gz", 1, "00")
    with pytest.raises(DownloadError, match=r"host data.example is unreachable \(.*not known"):
        fetch([file], tmp_path)
    # Behind a proxy it is the proxy that has to be reached.
    proxies = {"https": "http://proxy.example:3128"}
    monkeypatch.setattr(downloads.urllib.request, "getproxies", lambda: proxies)
    with pytest.raises(DownloadError, match=r"host proxy\.example"):
        fetch([file], tmp_path)
    assert asked == [(("data.example", 443), 3), (("proxy.example", 3128), 3)]
