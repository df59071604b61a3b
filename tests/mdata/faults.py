#!/usr/bin/env python3
"""The fault matrix: what a serial line or a server does wrong, and what becomes
of cloud-init and of mdata-get. Where our server is the cure both succeed; where
a server is at fault, mdata-get copes. See rig.py. Prints TAP.
"""
import os
import re
import subprocess
import sys
import time

from rig import LIMIT, Fault, Port, check_crawl, crawled, tap


class Late(Fault):
    """the bytes of the first seconds are lost"""
    drops = 7.0


class Backlog(Fault):
    """nobody reads for long; several LFs wait then, and get one answer"""
    backlog = 13.0


class OneByOne(Fault):
    """the same, with a server that answers each of them"""
    backlog = 13.0

    def answer(self, line):
        return super().answer(line) * (3 if self.answers == 1 else 1)


class Twice(Fault):
    def answer(self, line):
        return super().answer(line) * (2 if line == b"invalid command\n" else 1)


class CrLf(Fault):
    def answer(self, line):
        return super().answer(line).replace(b"\n", b"\r\n")


class UpperCrc(Fault):
    def answer(self, line):
        return re.sub(rb"^(V2 \d+ )(\S+)", lambda m: m.group(1) + m.group(2).upper(),
                      super().answer(line))


class Junk(Fault):
    def answer(self, line):
        return (b"~" if line.startswith(b"V2 ") else b"") + super().answer(line)


class Unanswered(Fault):
    """one request of version 2 is lost"""
    def answer(self, line):
        line = super().answer(line)
        return b"" if self.answers == 3 else line


class Refuses(Fault):
    def answer(self, line):
        return b"FAILURE\n" if line == b"V2_OK\n" else super().answer(line)


class Slow(Fault):
    pace = 0.005


class Killed(Fault):
    """the server dies after some answers and comes back; the connection stays"""
    kill_after = 2
    back_after = 8.0


OK = "ok"
# fault, cloud-init: "ok" or part of its complaint, or None: it never ends
ROWS = [
    (Fault, OK),
    (Late, OK),
    (Backlog, OK),
    (OneByOne, 'Invalid response "invalid command"'),
    (Twice, 'Invalid response "invalid command"'),
    (CrLf, None),
    (UpperCrc, "AttributeError"),
    (Junk, "AttributeError"),
    (Unanswered, "JoyentMetadataTimeoutException"),
    (Refuses, 'Invalid response "FAILURE"'),
    (Slow, OK),
    (Killed, OK),
]


def cloudinit(fault, want):
    def test():
        if not os.path.exists(os.environ["CLOUDINIT"] + "/done"):
            return "skip", "no cloud-init (tools/cloudinit.sh fetches it)"
        with Port(fault()) as port:
            status, out, err = port.crawl(timeout=20 if want in (OK, None) else 6,
                                          limit=10 if want is None else LIMIT)
        if want is None:
            return None if status == "timeout" else f"it ended: {status}"
        if want == OK:
            got = crawled(out)
            return check_crawl(got) if got else f"status {status}: {err.decode()[-500:]}"
        if status == 0 or want not in err.decode():
            return f"status {status} without {want!r}: {err.decode()[-500:]}"
        return None
    return test


def get(fault):
    def test():
        with Port(fault()) as port:
            status, out, err = port.tool("get", "sdc:hostname")
        return None if (status, out) == (0, b"web-1\n") else f"{status} {out} {err}"
    return test


def nobody():
    class Nobody(Fault):
        backlog = 10 * LIMIT
    with Port(Nobody()) as port:
        begin = time.monotonic()
        status, out, err = port.tool("get", "-t", "3", "sdc:hostname")
        took = time.monotonic() - begin
    if status != 2 or b"is its metadata service running" not in err or took < 3:
        return f"{status} {out} {err} after {took} s"
    return None


def hung_up():
    """the other side of the line goes, for good"""
    class Nobody(Fault):
        backlog = 10 * LIMIT
    port = Port(Nobody())
    try:
        p = subprocess.Popen([os.environ["MDATA_GUEST"], "mdata-get", "-d", port.path, "-t", "4", "x"],
                             stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        time.sleep(1)
    finally:
        port.close()
    err = p.communicate(timeout=LIMIT)[1]
    return None if p.returncode == 2 else f"{p.returncode} {err}"


TESTS = [(f"{f.__name__}: mdata-get", get(f)) for f, _ in ROWS]
TESTS += [(f"{f.__name__}: cloud-init", cloudinit(f, want)) for f, want in ROWS]
TESTS += [("Nobody: mdata-get -t", nobody), ("Hung up: mdata-get -t", hung_up)]

if __name__ == "__main__":
    only = sys.argv[1:]
    # they wait far more than they work
    sys.exit(tap([t for t in TESTS if not only or any(o in t[0] for o in only)], jobs=13))
