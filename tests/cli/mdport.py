#!/usr/bin/env python3
"""Speaks on a zone's metadata port, through the guest 'bridge' and its console.

    mdport.py CONSOLE.SOCK CODE

CODE is Python with 'p', a Port. Ends with status 1 and what was heard when
something that is waited for does not come.
"""
import base64
import os
import random
import select
import socket
import sys
import time
import zlib

LIMIT = 60  # seconds; a slow machine's


class Port:
    def __init__(self, path):
        os.chdir(os.path.dirname(path))  # sun_path is short
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.path.basename(path))
        self.heard = b""
        self.hears(b"ok\n")

    def say(self, data):
        self.sock.sendall(data)

    def more(self, seconds):
        if not select.select([self.sock], [], [], seconds)[0]:
            return False
        data = self.sock.recv(65536)
        if not data:
            sys.exit(f"the console has ended; heard {self.heard!r}")
        self.heard += data
        return True

    def line(self):
        end = time.monotonic() + LIMIT
        while b"\n" not in self.heard:
            if not self.more(max(0, end - time.monotonic())) and time.monotonic() > end:
                sys.exit(f"no line came; heard {self.heard[:200]!r}")
        line, _, self.heard = self.heard.partition(b"\n")
        return line + b"\n"

    def hears(self, want):
        end = time.monotonic() + LIMIT
        while len(self.heard) < len(want):
            if not self.more(max(0, end - time.monotonic())) and time.monotonic() > end:
                break
        if not self.heard.startswith(want):
            sys.exit(f"heard {self.heard[:200]!r}, wanted {want[:200]!r}")
        self.heard = self.heard[len(want):]

    def silent(self, seconds=0.5):
        while self.more(seconds):
            pass
        if self.heard:
            sys.exit(f"heard {self.heard[:200]!r}, wanted nothing")

    def talk(self, ask, answer):
        self.say(ask)
        self.hears(answer)

    @staticmethod
    def frame(word, payload=None, ident=None):
        ident = ident or f"{random.getrandbits(32):08x}"
        body = f"{ident} {word}".encode()
        if payload is not None:
            body += b" " + base64.b64encode(payload)
        return ident, b"V2 %d %08x %s\n" % (len(body), zlib.crc32(body), body)

    def ask(self, word, payload=None):
        """the answer's word and payload"""
        ident, frame = self.frame(word, payload)
        self.say(frame)
        return self.answer(ident)

    def answer(self, ident):
        line = self.line()
        head, length, crc, body = line.rstrip(b"\n").split(b" ", 3)
        words = body.split(b" ")
        if head != b"V2" or int(length) != len(body) or int(crc, 16) != zlib.crc32(body) \
                or words[0].decode() != ident:
            sys.exit(f"no answer to {ident}: {line[:200]!r}")
        return words[1].decode(), base64.b64decode(words[2], validate=True) if len(words) > 2 else b""

    def is_(self, got, want):
        if got != want:
            sys.exit(f"got {str(got)[:300]}, wanted {str(want)[:300]}")

    def get(self, key, want):
        self.is_(self.ask("GET", key.encode()), ("SUCCESS", want.encode()))

    def none(self, key):
        self.is_(self.ask("GET", key.encode()), ("NOTFOUND", b""))

    def fails(self, word, payload, why):
        self.is_(self.ask(word, payload), ("FAILURE", why.encode()))

    @staticmethod
    def put_payload(key, value):
        return base64.b64encode(key.encode()) + b" " + base64.b64encode(value)

    def put(self, key, value):
        self.is_(self.ask("PUT", self.put_payload(key, value)), ("SUCCESS", b"OK"))

    def delete(self, key):
        self.is_(self.ask("DELETE", key.encode()), ("SUCCESS", b"OK"))


if __name__ == "__main__":
    p = Port(sys.argv[1])
    exec(compile(sys.argv[2], "steps", "exec"))  # pylint: disable=exec-used
