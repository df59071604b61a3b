"""Metadata: one server with many zones, without machines (mdata.c): the time of
a request at the server, and its memory. Root; a world of its own below a
temporary folder."""
import pathlib
import subprocess
import time


class MdataBench:
    def __init__(self, bench, many=200):
        self.bench = bench
        self.many = many
        self.root = bench.tmp / "mdata"
        (self.root / "etc/zones").mkdir(parents=True)

    def rss(self, pid):
        """KiB: now, most"""
        words = dict(line.split(":", 1) for line in
                     pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        return [int(words[k].split()[0]) for k in ("VmRSS", "VmHWM")]

    def all(self):
        server = subprocess.Popen([self.bench.b / "cmd/zoneadmd/mdata", "-f", "-R", self.root],
                                  stderr=subprocess.DEVNULL)
        while not (self.root / "run/zhyve/.mdata/sock").exists():
            if server.poll() is not None:
                raise SystemExit("mdata: the server ended")
            time.sleep(0.01)
        zones = subprocess.Popen([self.bench.b / "tests/bench/mdata_zones", self.root, str(self.many), "2000"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        zones.stdout.readline()
        words = zones.stdout.readline().split()
        self.bench.bound("mdata GET of 1 KiB", float(words[5]), "us", 1000, False)
        self.bench.bound(f"mdata {self.many} zones, most", self.rss(server.pid)[1] / 1024, "MiB", 16, False)
        time.sleep(4)
        self.bench.bound(f"mdata {self.many} zones, quiet", self.rss(server.pid)[0] / 1024, "MiB", 16, False)
        zones.stdin.close()
        zones.wait()
        server.terminate()
        server.wait()
