"""A real HTTP server on loopback that behaves, or misbehaves, as it is told; and small registries of one's own."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from augury import paths
from augury.data import readers
from augury.data.arrays import Fields
from augury.data.registry import File, Source


@dataclass
class Answer:
    """What the server does for one path: `send` bytes of `body` under the announced `length` (-1: none).

    After a `pause` in seconds, where there is one, the rest of `body` follows.
    """

    body: bytes = b""
    status: int = 200
    send: int | None = None
    length: int | None = None
    pause: float = 0.0


@dataclass
class Server:
    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, dict(self.headers)))
            answer = state.answers.get(self.path, Answer(b"nothing here", 404))
            self.send_response(answer.status)
            if answer.length != -1:
                self.send_header("Content-Length", str(answer.length or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.send])
            if answer.pause:
                time.sleep(answer.pause)
                with contextlib.suppress(OSError):  # the client may have given up
                    self.wfile.write(answer.body[answer.send :])

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


def file_line(path: str, body: bytes, url: str = "", role: str = "") -> str:
    sha256 = hashlib.sha256(body).hexdigest()
    return f'{{ path = "{path}", url = "{url}", role = "{role}", sha256 = "{sha256}", size = {len(body)} }}'


@dataclass
class Registry:
    """Writes registries into fresh roots, so that the reading of one is never remembered for another."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    count: int = 0

    def write(self, name: str, splits: str, sources: str, extra: str = "") -> None:
        self.count += 1
        root = self.folder / f"root-{self.count}"
        (root / "data").mkdir(parents=True)
        entry = (
            f'[{name}]\ntitle = "A small set"\nkind = "images"\nlicence = "CC0"\ncitation = "nobody"\n'
            f'homepage = "https://example.org/small"\nclasses = ["0", "1"]\nsplits = {splits}\n{extra}\n{sources}\n'
        )
        (root / "data" / "datasets.toml").write_text(entry)
        self.monkeypatch.setenv("AUGURY_ROOT", str(root))

    def write_labels(self, body: bytes, url: str = "", path: str = "small/labels.gz", digest: str = "") -> None:
        """Register "small", whose one upstream file is `body` and holds the training labels as idx."""
        line = file_line(path, body, url, role="train/y")
        self.write(
            "small", "{ train = 4 }", f'[small.upstream]\nreader = "idx"\nfiles = [{line}]', f'digest = "{digest}"'
        )

    @property
    def downloads(self) -> Path:
        return paths.downloads()

    def files(self) -> list[str]:
        """Everything below the download folder, part files included."""
        below = self.downloads
        return sorted(str(path.relative_to(below)) for path in below.rglob("*") if path.is_file())


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.delenv("AUGURY_DATA_MIRROR", raising=False)
    monkeypatch.setenv("AUGURY_DATA", str(tmp_path / "downloads"))
    return Registry(tmp_path, monkeypatch)


@pytest.fixture
def read() -> Callable[..., Fields]:
    """Run a reader of the registry on files given as pairs of role and path."""

    def run(reader: str, named: list[tuple[str, Path]], **options: object) -> Fields:
        files = tuple(File(path.name, 0, "0" * 64, role=role) for role, path in named)
        return readers.read(Source("upstream", reader, files, options), [path for _, path in named])

    return run


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def line() -> Callable[..., str]:
    return file_line
