"""A web server with faults, for tests of imgadm.

    httpd.py FOLDER PORT-FILE [CERTIFICATE KEY]     with both: https

Serves the files of FOLDER on a port of its own, with ranges. FOLDER/mode, read
at each request, is a line of words:
    cut=N       an answer ends after N bytes of content, the connection too
    etag=TEXT   the entity tag; "-": none
    modified=TEXT, "-": none
    down        503
    noranges    every answer is the whole file
    nolength    no Content-Length
    to=URL      what answers to /to/PATH lead to, PATH behind it
    odd         a range other than the one that was asked for
    then ...    what the line is from the next request on
What was asked and answered is in FOLDER/log: "PATH RANGE IF-RANGE STATUS".
"""
import http.server
import pathlib
import re
import ssl
import sys

top = pathlib.Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, mode, start, data, length):
        with open(top / "log", "a") as f:
            f.write(f"{self.path} {self.headers.get('Range', '-')} "
                    f"{self.headers.get('If-Range', '-')} {status}\n")
        self.send_response(status)
        if mode.get("etag", "-") != "-":
            self.send_header("ETag", mode["etag"])
        if mode.get("modified", "-") != "-":
            self.send_header("Last-Modified", mode["modified"].replace("_", " "))
        if status == 206:
            first = start + ("odd" in mode)
            self.send_header("Content-Range", f"bytes {first}-{length - 1}/{length}")
        if status == 416:
            self.send_header("Content-Range", f"bytes */{length}")
        if "nolength" not in mode:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data[:int(mode.get("cut", len(data)))])
        self.close_connection = True

    def do_GET(self):
        words = (top / "mode").read_text().split()
        if "then" in words:
            at = words.index("then")
            (top / "mode").write_text(" ".join(words[at + 1:]))
            words = words[:at]
        mode = dict((w.split("=", 1) + [""])[:2] for w in words)
        if "down" in mode:
            return self.answer(503, {}, 0, b"later", 0)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", mode.get("to", "") + self.path[3:])
            self.send_header("ETag", '"redirect"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        path = top / self.path.lstrip("/")
        if not path.is_file():
            return self.answer(404, {}, 0, b"not here", 0)
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        names = (mode.get("etag"), mode.get("modified", "").replace("_", " "))
        if (not asked or "noranges" in mode or
                self.headers.get("If-Range") not in names):
            return self.answer(200, mode, 0, data, len(data))
        start = int(asked[1])
        if start >= len(data):
            return self.answer(416, mode, start, b"", len(data))
        return self.answer(206, mode, start, data[start:], len(data))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
pathlib.Path(sys.argv[2]).write_text(str(server.server_port))
server.serve_forever()
