"""Zones: from 'zoneadm boot' to the first guest instruction, how many can be
made and booted in a second, how long a list of many takes, what a supervisor
needs. Root; a world of its own below a temporary folder."""
import concurrent.futures
import os
import pathlib
import signal
import statistics
import subprocess
import time


class ZoneBench:
    def __init__(self, bench, many=300, name="zones"):
        self.bench = bench
        self.many = many
        self.root = bench.tmp / name
        self.root.mkdir()
        self.env = dict(os.environ, ZHYVE_BRANDS=str(bench.b / "brands"),
                        ZHYVE_ZONEADMD=str(bench.b / "cmd/zoneadmd/zoneadmd"))

    def run(self, program, *args, before=()):
        return subprocess.run([*before, self.bench.b / "cmd" / program / program, "-R", self.root, *args],
                              env=self.env, check=True, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300).stdout

    def make(self, name):
        self.run("zonecfg", "-z", name,
                 f"create; set zonepath=/zones/{name}; add guest; "
                 f"set kernel={self.bench.guests / 'idle.elf'}; set engine=soft; end; "
                 "add capped-memory; set guest=32M; end")
        self.run("zoneadm", "-z", name, "install")

    def supervisors(self):
        """pids of this world's supervisors"""
        found = []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (proc / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/zoneadmd") and str(self.root).encode() in words:
                found.append(int(proc.name))
        return found

    def halt(self, names):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: self.run("zoneadm", "-z", n, "halt"), names))
        for pid in self.supervisors():
            os.kill(pid, signal.SIGTERM)
        while self.supervisors():
            time.sleep(0.05)

    def boots(self, before=()):
        took = []
        for _ in range(self.bench.runs):
            t0 = time.perf_counter()
            self.run("zoneadm", "-z", "one", "boot", before=before)
            took.append((time.perf_counter() - t0) * 1000)
            self.halt(["one"])
        return statistics.median(took)

    def boot(self):
        self.make("one")
        self.bench.bound("zone boot", self.boots(), "ms", 40, False)
        # the supervisor, and so the link, in a network of its own
        self.run("zonecfg", "-z", "one", "add net; set physical=net0; end")
        self.bench.bound("zone boot, one NIC", self.boots(("unshare", "-n")), "ms", None, False)

    def rate(self):
        names = [f"r{i}" for i in range(40)]

        def create(name):
            self.make(name)
            self.run("zoneadm", "-z", name, "boot")

        t0 = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(create, names))
        self.bench.bound("zones made, booted", len(names) / (time.perf_counter() - t0), "1/s", 20, True)
        self.halt(names)

    def idle(self):
        names = [f"i{i}" for i in range(self.many)]

        def create(name):
            self.make(name)
            self.run("zoneadm", "-z", name, "boot")

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(create, names))
        took = []
        for _ in range(self.bench.runs):
            t0 = time.perf_counter()
            lines = self.run("zoneadm", "list", "-n").splitlines()
            took.append((time.perf_counter() - t0) * 1000)
            assert len(lines) == self.many, len(lines)
        self.bench.bound(f"list of {self.many} running", statistics.median(took), "ms", 50, False)
        rss = []
        for pid in self.supervisors():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            rss.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        self.bench.bound("supervisor resident", max(rss), "MiB", 3, False)
        self.halt(names)

    def sweep(self):
        """Whatever a part that failed has left running."""
        left = [line.split(":")[1] for line in self.run("zoneadm", "list", "-np").splitlines()]
        if left:
            self.halt(left)

    def all(self):
        try:
            for part in (self.boot, self.rate, self.idle):
                part()
        finally:
            self.sweep()
