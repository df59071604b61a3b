#!/usr/bin/env python3
"""Our tools and cloud-init's client classes on a healthy line: what they print
and set, exit codes, two at once, who SmartOS is. See rig.py. Prints TAP.
"""
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from rig import CUSTOMER, FACTS, Port, check_crawl, crawled, tap

BYTES = bytes(range(256)) * 256  # 64 KiB, NULs and all


def same(got, want):
    return None if got == want else f"{got!r} instead of {want!r}"


def needs_cloudinit(fn):
    def test():
        if not os.path.exists(os.environ["CLOUDINIT"] + "/done"):
            return "skip", "no cloud-init (tools/cloudinit.sh fetches it)"
        return fn()
    return test


def tools():
    """each: arguments, standard input, exit status, standard output"""
    rows = [
        (["get", "sdc:uuid"], b"", 0, FACTS["sdc:uuid"].encode() + b"\n"),
        (["get", "sdc:nics"], b"", 0, FACTS["sdc:nics"].encode() + b"\n"),
        (["get", "user-script"], b"", 0, CUSTOMER["user-script"].encode()),
        (["get", "-n", "sdc:hostname"], b"", 0, b"web-1"),
        (["get", "nope"], b"", 1, b""),
        (["get", "hidden"], b"", 1, b""),
        (["get", "root_pw"], b"", 0, b"secret\n"),
        (["list"], b"", 0, "".join(k + "\n" for k in [*CUSTOMER, "root_pw"]).encode()),
        (["put", "color", "bl ue"], b"", 0, b""),
        (["get", "color"], b"", 0, b"bl ue\n"),
        (["put", "from-stdin"], BYTES.replace(b"\0", b"x").decode("latin-1").encode()[:65536], 0,
         b""),
        (["put", "empty", ""], b"", 2, b""),
        (["put", "too-long"], b"x" * 65537, 2, b""),
        (["put", "sdc:hostname", "x"], b"", 2, b""),
        (["delete", "color"], b"", 0, b""),
        (["delete", "color"], b"", 0, b""),
        (["delete", "sdc:hostname"], b"", 2, b""),
        (["get", "color"], b"", 1, b""),
        (["get"], b"", 3, b""),
        (["get", "a", "b"], b"", 3, b""),
        (["get", "a\nb"], b"", 3, b""),
        (["get", ""], b"", 3, b""),
        (["get", "-t", "0", "a"], b"", 3, b""),
        (["list", "a"], b"", 3, b""),
        (["put"], b"", 3, b""),
    ]
    with Port() as port:
        for args, data, status, out in rows:
            got = port.tool(args[0], *args[1:], data=data)
            if got[:2] != (status, out):
                return f"{args}: {got[0]} {got[1][:100]} {got[2]}, wanted {status} {out[:100]}"
            if (status > 0) != bool(got[2]):
                return f"{args}: says {got[2]}"
        kept = json.loads((pathlib.Path(port.folder) / "metadata.json").read_text())
        return same(len(kept["customer_metadata"]["from-stdin"].encode()), 65536)


def two_at_once():
    """the lock of the port: none gets another's answer"""
    with Port() as port:
        got = {}

        def one(i):
            got[i] = port.tool("get", "sdc:hostname" if i % 2 else "sdc:uuid")[:2]
        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    want = {i: (0, (b"web-1" if i % 2 else FACTS["sdc:uuid"].encode()) + b"\n") for i in range(8)}
    return same(got, want)


def locked():
    """another program has the port and keeps it"""
    with Port() as port:
        fd = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX)
            status, _, err = port.tool("get", "-t", "1", "x")
        finally:
            os.close(fd)
    return None if status == 2 and b"another program has it locked" in err else f"{status} {err}"


def in_a_container():
    with tempfile.TemporaryDirectory(prefix="zhyve-mdata.") as tmp, Port() as port:
        path = tmp + "/metadata.sock"
        server = subprocess.Popen([os.environ["MDATA_HOST"], port.folder, "listen=" + path])
        try:
            while not os.path.exists(path):
                time.sleep(0.02)
            got = port.run([os.environ["MDATA_GUEST"], "mdata-get", "sdc:hostname"],
                           env={"MDATA_PORT": path})
            if got[:2] != (0, b"web-1\n"):
                return f"mdata-get: {got}"
            if not os.path.exists(os.environ["CLOUDINIT"] + "/done"):
                return None
            code = ("import cloudinit.sources.DataSourceSmartOS as d\n"
                    f"c = d.JoyentMetadataSocketClient({path!r})\n"
                    "with c: print(c.get('sdc:hostname'), c.list())")
            got = port.python("-c", code)
            return same(got[:2], (0, f"web-1 {[*CUSTOMER, 'root_pw']}\n".encode()))
        finally:
            server.kill()
            server.wait()


@needs_cloudinit
def client_class():
    code = ("import sys, cloudinit.sources.DataSourceSmartOS as d\n"
            "c = d.JoyentMetadataLegacySerialClient(sys.argv[1], timeout=60, smartos_type='kvm')\n"
            "with c: print([c.get('sdc:uuid'), c.get_json('sdc:resolvers'), c.put('a', 'b c'),\n"
            "               c.get('a'), c.delete('a'), c.get('a'), c.list()])")
    with Port() as port:
        got = port.python("-c", code, port.path)
    want = str([FACTS["sdc:uuid"], ["192.0.2.53", "2001:db8::53"], "OK", "b c", "OK", None,
                [*CUSTOMER, "root_pw"]])
    return same(got[:2], (0, (want + "\n").encode()))


@needs_cloudinit
def whole_crawl():
    with Port() as port:
        status, out, err = port.crawl()
        asked = port.asked
    got = crawled(out)
    if got is None:
        return f"status {status}: {err.decode()[-500:]}"
    return check_crawl(got) or same(asked.count(b"V2 "), 17)


@needs_cloudinit
def ds_identify():
    """The product's name decides."""
    for product, want in (("SmartDC HVM", 0), ("smartdc", 1), ("KVM", 1)):
        with tempfile.TemporaryDirectory(prefix="zhyve-mdata.") as tmp:
            dmi = pathlib.Path(tmp) / "sys/class/dmi/id"
            dmi.mkdir(parents=True)
            (dmi / "product_name").write_text(product + "\n")
            virt = pathlib.Path(tmp) / "bin/systemd-detect-virt"
            virt.parent.mkdir()
            virt.write_text("#!/bin/sh\necho kvm\n")
            virt.chmod(0o755)
            p = subprocess.run(
                ["sh", os.environ["CLOUDINIT"] + "/tree/usr/lib/cloud-init/ds-identify", "--force"],
                env={"PATH_ROOT": tmp, "DI_LOG": "/dev/null",
                     "PATH": f"{virt.parent}:{os.environ['PATH']}"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            cfg = pathlib.Path(tmp) / "run/cloud-init/cloud.cfg"
            text = cfg.read_text() if cfg.exists() else ""
        if p.returncode != want or ("SmartOS" in text) != (want == 0):
            return f"{product}: {p.returncode} {text} {p.stdout}"
    return None


if __name__ == "__main__":
    sys.exit(tap([(name, fn) for name, fn in (
        ("mdata-get, -put, -list, -delete", tools), ("tools take turns", two_at_once),
        ("a port that is locked", locked), ("a socket", in_a_container),
        ("cloud-init's client", client_class), ("cloud-init's whole crawl", whole_crawl),
        ("ds-identify", ds_identify))], jobs=3))
