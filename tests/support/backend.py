"""A small HTTP server that stands for a replica: `python tests/support/backend.py PORT`. Says in `x-from` who answered."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"ready")

    def do_POST(self) -> None:
        """Answers the number of the body's bytes, after as many milliseconds as the path says."""
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(int(self.path[1:]) / 1000)
        self.answer(b"%d" % len(body))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-from", sys.argv[1])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
