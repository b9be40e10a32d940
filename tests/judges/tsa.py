"""RFC 3161 over HTTP, answered by `openssl ts -reply`: a time-stamping authority that nobody here wrote.

    tsa.py CONFIG [PORT]

Prints its port. CONFIG is openssl's (section `judges`); each token's serial number is appended to `issued` beside it.
"""

import pathlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONFIG = pathlib.Path(sys.argv[1]).resolve()
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
QUERY_BYTES_MAX = 65536
# openssl counts serial numbers in a file: one at a time.
ONE_AT_A_TIME = threading.Lock()


class Authority(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or -1)
        if self.headers.get("Content-Type") != "application/timestamp-query":
            return self.answer(415, b"")
        if not 0 <= length <= QUERY_BYTES_MAX:
            return self.answer(413, b"")
        query = self.rfile.read(length)
        with ONE_AT_A_TIME:
            reply = stamp(query)
        if reply is None:
            return self.answer(500, b"")
        return self.answer(200, reply)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(body)))
        if status != 200:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def stamp(query):
    folder = CONFIG.parent
    (folder / "query.tsq").write_bytes(query)
    command = ["openssl", "ts", "-reply", "-config", CONFIG, "-section", "judges", "-queryfile", folder / "query.tsq"]
    done = subprocess.run(command + ["-out", folder / "reply.tsr"], capture_output=True, check=False, cwd=folder)
    if done.returncode != 0:
        sys.stderr.buffer.write(done.stderr)
        sys.stderr.flush()
        return None
    with open(folder / "issued", "a") as issued:
        issued.write((folder / "serial").read_text().strip() + "\n")
    return (folder / "reply.tsr").read_bytes()


server = ThreadingHTTPServer(("127.0.0.1", PORT), Authority)
print(server.server_address[1], flush=True)
server.serve_forever()
