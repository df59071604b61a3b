"""A guest's serial line without a guest: a terminal, the server behind it, and
a relay between the two where things may go wrong.

Environment: MDATA_HOST and MDATA_GUEST (programs of the build), CLOUDINIT (a
folder made by tools/cloudinit.sh).
"""
import errno
import json
import math
import os
import pathlib
import pty
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 150  # seconds; nothing here takes half of it on a slow machine

FACTS = {
    "sdc:uuid": "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d",
    "sdc:hostname": "web-1",
    "sdc:dns_domain": "example.com",
    "sdc:datacenter_name": "here-1",
    "sdc:resolvers": '["192.0.2.53","2001:db8::53"]',
    "sdc:routes": '[{"linklocal":false,"dst":"172.16.0.0/12","gateway":"10.0.0.254"}]',
    "sdc:nics": json.dumps([
        {"interface": "net0", "mac": "02:08:20:aa:bb:cc", "primary": True, "mtu": 1500,
         "ips": ["10.0.0.5/24", "fd00:1::5/64"], "gateways": ["10.0.0.1", "fd00:1::1"],
         "ip": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1", "vlan_id": 0,
         "nic_tag": "external", "model": "virtio"},
        {"interface": "net1", "mac": "02:08:20:aa:bb:cd", "mtu": 9000,
         "ips": ["192.168.7.5/24", "fd00:2::5/64"], "nic_tag": "internal", "model": "virtio"}]),
}
INTERNAL = {"operator-script": "#!/bin/sh\necho operator\n", "root_pw": "secret", "hidden": "x"}
CUSTOMER = {
    "root_authorized_keys": "ssh-ed25519 AAAA one@example.com\nssh-ed25519 BBBB two@example.com",
    "user-script": "#!/bin/sh\necho hello\n",
    "user-data": "not code: \u00e9\n",
    "cloud-init:user-data": "#cloud-config\npackages: [vim]\n",
}


def fill(folder, customer=None):
    """what the server gives to guests"""
    facts = pathlib.Path(folder) / "facts"
    facts.mkdir()
    for name, value in FACTS.items():
        (facts / name).write_text(value)
    (pathlib.Path(folder) / "metadata.json").write_text(json.dumps(
        {"customer_metadata": CUSTOMER if customer is None else customer,
         "internal_metadata": INTERNAL}))
    os.chmod(pathlib.Path(folder) / "metadata.json", 0o600)


def check_crawl(got):
    """what cloud-init made of it: None, or what is wrong"""
    nics = json.loads(FACTS["sdc:nics"])
    md, net, files = got["metadata"], got["network"], got["files"]
    want = [
        ("instance-id", md["instance-id"], FACTS["sdc:uuid"]),
        ("hostname", md["local-hostname"], "web-1"),
        ("keys", md["public-keys"], CUSTOMER["root_authorized_keys"]),
        ("zone", md["availability_zone"], "here-1"),
        ("user-data", got["userdata"], CUSTOMER["cloud-init:user-data"]),
        ("user-script", files["user-script"][1], CUSTOMER["user-script"]),
        ("operator-script", files["operator-script"],
         ["0o700", INTERNAL["operator-script"]]),
        ("mdata-user-data", files["mdata-user-data"], ["0o400", CUSTOMER["user-data"]]),
        ("resolvers", [i for i in net["config"] if i["type"] == "nameserver"],
         [{"type": "nameserver", "address": json.loads(FACTS["sdc:resolvers"]),
           "search": ["example.com"]}]),
        ("MACs", [i["mac_address"] for i in net["config"] if i["type"] == "physical"],
         [n["mac"] for n in nics]),
        ("names", [i["name"] for i in net["config"] if i["type"] == "physical"],
         ["net0", "net1"]),
        ("MTUs", [i["mtu"] for i in net["config"] if i["type"] == "physical"], [1500, 9000]),
        ("addresses", [[s["address"] for s in i["subnets"]] for i in net["config"]
                       if i["type"] == "physical"], [n["ips"] for n in nics]),
        ("gateways", [s.get("gateway") for i in net["config"] if i["type"] == "physical"
                      for s in i["subnets"]], ["10.0.0.1", "fd00:1::1", None, None]),
        ("routes", net["config"][0]["subnets"][0]["routes"],
         [{"network": "172.16.0.0/12", "gateway": "10.0.0.254"}]),
    ]
    bad = [f"{name}: {have!r} instead of {wanted!r}" for name, have, wanted in want
           if have != wanted]
    return "; ".join(bad) or None


class Fault:
    """None at all. Bytes of the guest in, and lines of the server out. Times
    begin with the client's first byte."""
    backlog = 0.0  # so long nobody reads, and what comes waits
    drops = 0.0  # so long what comes is lost
    pace = 0.0  # between two bytes for the guest
    kill_after = 0  # the server dies once it gave so many answers
    back_after = 0.0  # and is there again so much later

    def __init__(self):
        self.answers = 0

    def answer(self, line):
        """the bytes that a line of the server becomes; may be called with what
        the server did not end"""
        self.answers += line.endswith(b"\n")
        return line


class Port:
    """The terminal (path), until it is closed."""

    def __init__(self, fault=None, customer=None):
        self.dir = tempfile.TemporaryDirectory(prefix="zhyve-mdata.")
        self.folder = self.dir.name + "/config"
        os.mkdir(self.folder)
        fill(self.folder, customer)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)  # the open slave keeps it alive
        self.fault = fault or Fault()
        self.ours, self.theirs = socket.socketpair()
        self.server = None
        self.asked = b""
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.relay)
        self.thread.start()

    def start_server(self):
        self.server = subprocess.Popen(
            [os.environ["MDATA_HOST"], self.folder, f"fd={self.theirs.fileno()}"],
            pass_fds=[self.theirs.fileno()], stdin=subprocess.DEVNULL)

    def kill_server(self):
        self.server.kill()
        self.server.wait()
        self.server = None

    def to_guest(self, data):
        if not self.fault.pace:
            os.write(self.master, data)
            return
        for byte in data:
            os.write(self.master, bytes([byte]))
            time.sleep(self.fault.pace)

    def relay(self):
        fault, line = self.fault, b""
        begin = None  # the client's first byte: how long it takes to start is no fault
        start_at = math.inf if fault.backlog else 0
        while not self.stop.is_set():
            now = time.monotonic()
            if begin is None and select.select([self.master], [], [], 0)[0]:
                begin = now
                start_at = min(start_at, begin + fault.backlog)
            if self.server is None and now >= start_at:
                self.start_server()
            deaf = fault.backlog and (begin is None or now < begin + fault.backlog)
            watch = [self.ours] if deaf else [self.ours, self.master]
            ready = select.select(watch, [], [], 0.05)[0]
            if self.master in ready:
                try:
                    data = os.read(self.master, 4096)
                except OSError as e:
                    if e.errno != errno.EIO:
                        raise
                    continue
                self.asked += data
                begin = begin or now
                if now >= begin + fault.drops:
                    self.ours.sendall(data)
            if self.ours in ready:
                line += self.ours.recv(65536)
            while b"\n" in line:
                one, _, line = line.partition(b"\n")
                self.to_guest(fault.answer(one + b"\n"))
                if fault.kill_after and fault.answers == fault.kill_after:
                    fault.kill_after = 0
                    self.kill_server()
                    start_at = time.monotonic() + fault.back_after

    def close(self):
        self.stop.set()
        self.thread.join()
        if self.server:
            self.kill_server()
        for end in (self.ours, self.theirs):
            end.close()
        os.close(self.master)
        os.close(self.slave)
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()

    # ---- clients; each returns (exit status or "timeout", stdout, stderr)

    def run(self, cmd, limit=LIMIT, data=b"", env=None):
        p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        try:
            out, err = p.communicate(data, timeout=limit)
            return p.returncode, out, err
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            return "timeout", out, err

    def tool(self, name, *args, **kw):
        return self.run([os.environ["MDATA_GUEST"], "mdata-" + name, "-d", self.path, *args], **kw)

    def python(self, *args, **kw):
        tree = os.environ["CLOUDINIT"] + "/tree/usr/lib/python3/dist-packages"
        return self.run(["/usr/bin/python3", "-B", *args], env={"PYTHONPATH": tree}, **kw)

    def crawl(self, timeout=60, limit=LIMIT):
        work = tempfile.mkdtemp(dir=self.dir.name)
        return self.python(HERE / "crawl.py", self.path, str(timeout), work, limit=limit)


def crawled(out):
    lines = [x for x in out.decode().splitlines() if x.startswith("CRAWL ")]
    return json.loads(lines[0][6:]) if lines else None


def tap(tests, jobs=1):
    """tests: (name, function that returns None or what is wrong, or ("skip", why))"""
    from concurrent.futures import ThreadPoolExecutor
    print(f"1..{len(tests)}", flush=True)
    failed = 0

    def guarded(fn):
        try:
            return fn()
        except Exception as e:  # a test that breaks has failed
            return f"{type(e).__name__}: {e}"

    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(guarded, [fn for _, fn in tests]))
    for n, ((name, _), result) in enumerate(zip(tests, results), 1):
        skip = isinstance(result, tuple)
        for line in [] if skip or result is None else str(result).splitlines():
            print("#", line)
        failed += result is not None and not skip
        print(f"{'ok' if result is None or skip else 'not ok'} {n} - {name}"
              + (f" # SKIP {result[1]}" if skip else ""))
    return 1 if failed else 0
