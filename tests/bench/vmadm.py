"""vmadm: a list of 500 VMs, one VM's properties, a VM made of an image. Root; a
world of its own below a temporary folder. Whether the image is shared or copied
is the file system's matter, and is said."""
import json
import os
import resource
import statistics
import subprocess
import time

IMAGE = "00000000-0000-4000-8000-000000000001"


class VmadmBench:
    def __init__(self, bench, many=500):
        self.bench = bench
        self.many = many
        self.root = bench.tmp / "vmadm"
        images = self.root / "var/lib/zhyve/images"
        images.mkdir(parents=True)
        self.image(images)
        self.env = dict(os.environ, ZHYVE_BRANDS=str(bench.b / "brands"),
                        ZHYVE_ZONEADMD=str(bench.b / "cmd/zoneadmd/zoneadmd"))

    @staticmethod
    def image(images):
        """2 GiB, of which 64 MiB are there"""
        with open(images / f"{IMAGE}.raw", "wb") as f:
            f.write(os.urandom(64 << 20))
            f.truncate(2 << 30)
        (images / f"{IMAGE}.json").write_text(json.dumps(
            {"v": 2, "uuid": IMAGE, "name": "bench", "version": "1", "os": "linux", "type": "zvol",
             "files": [{"compression": "none", "size": 2 << 30}], "image_size": 2048}))

    def run(self, *args, stdin=""):
        return subprocess.run([self.bench.b / "cmd/vmadm/vmadm", "-R", self.root, *args], env=self.env,
                              check=True, input=stdin, capture_output=True, text=True, timeout=300)

    def now(self):
        if self.bench.clock != "cpu":
            return time.perf_counter()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def took(self, fn):
        """median of milliseconds"""
        times = []
        for i in range(self.bench.runs):
            t0 = self.now()
            fn(i)
            times.append((self.now() - t0) * 1000)
        return statistics.median(times)

    def make(self, i):
        self.run("create", stdin=json.dumps(
            {"brand": "bhyve", "alias": f"vm{i}", "ram": 1024, "vcpus": 2, "autoboot": False,
             "resolvers": ["10.0.0.1"], "disks": [{"size": 1024, "boot": True}, {"size": 10}],
             "nics": [{"nic_tag": "external", "ips": [f"10.1.{i // 250}.{i % 250 + 1}/16"]}],
             "customer_metadata": {"user-script": "true"}}))

    def many_vms(self):
        for i in range(self.many):
            self.make(i)
        assert len(self.run("lookup", "alias=~^vm").stdout.splitlines()) == self.many
        self.bench.bound(f"vmadm list of {self.many}", self.took(lambda i: self.run("list")), "ms", 100, False)
        one = self.run("lookup", "-1", "alias=vm7").stdout.strip()
        self.bench.bound("vmadm get", self.took(lambda i: self.run("get", one)), "ms", 20, False)

    def shared(self):
        """Can this file system share a file's blocks?"""
        a = self.root / "var/lib/zhyve/images" / f"{IMAGE}.raw"
        return subprocess.run(["cp", "--reflink=always", a, self.root / "try"],
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def from_image(self):
        manifest = json.dumps({"brand": "bhyve", "autoboot": False, "disks": [{"image_uuid": IMAGE}]})
        shared = self.shared()
        (self.root / "try").unlink(missing_ok=True)
        took = self.took(lambda i: self.run("create", stdin=manifest))
        if shared:
            self.bench.bound("vmadm create, shared image", took, "ms", 150, False)
        else:
            print(f"vmadm create, image copied: {took:.0f} ms (this file system shares no blocks)")
        for uuid in self.run("lookup").stdout.split():
            self.run("delete", uuid)

    def all(self):
        self.from_image()
        self.many_vms()
