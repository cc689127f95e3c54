"""A web server on loopback that serves one file as well, or as badly, as a test wants."""

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    path: str
    range: str | None
    status: int


@dataclass
class FileServer:
    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    content_length: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: deque[int] = field(default_factory=deque)
    """Answers of the next requests instead of the file."""
    cuts: deque[int] = field(default_factory=deque)
    """After how many bytes of the body the next answers break off."""
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def running(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}/weights.pt"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(file: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            if self.path in file.redirects:
                self._head(302, asked, {"Location": file.redirects[self.path]})
                return
            if file.statuses:
                self._head(file.statuses.popleft(), asked, {"Content-Length": "0"})
                return
            status, start = 200, 0
            same = self.headers.get("If-Range") in (None, file.etag)
            headers = {"ETag": file.etag} if file.etag else {}
            if asked and file.ranges and same:
                status, start = 206, int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(file.content):
                    self._head(416, asked, {"Content-Length": "0"})
                    return
                last = len(file.content) - 1
                headers["Content-Range"] = f"bytes {start}-{last}/{len(file.content)}"
            body = file.content[start:]
            if file.content_length:
                headers["Content-Length"] = str(len(body))
            self._head(status, asked, headers)
            cut = file.cuts.popleft() if file.cuts else len(body)
            self.wfile.write(body[:cut])

        def _head(self, status: int, asked: str | None, headers: dict[str, str]) -> None:
            file.requests.append(Request(self.path, asked, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return Handler
