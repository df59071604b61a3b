"""Images: import of a packed disk against 'zstd -d' to the same folder, and a
volume that begins as an image whose blocks it shares (btrfs on a loop; root)."""
import os
import statistics
import subprocess
import time

SIZE = 512  # MiB: half random, a quarter text, a quarter zeros


class ImageBench:
    def __init__(self, bench):
        self.bench = bench
        self.dir = bench.tmp / "images"
        self.dir.mkdir()
        self.imgadm = bench.b / "cmd/imgadm/imgadm"
        self.packed = self.dir / "disk.raw.zst"

    def make(self):
        raw = self.dir / "disk.raw"
        text = b"".join(b"%d a line of a log, much like others: %d\n" % (i * 7919 % 10007, i)
                        for i in range(500000))[:16 << 20]
        with open(raw, "wb") as f:
            for _ in range(SIZE // 64):
                f.write(os.urandom(32 << 20) + text + bytes(16 << 20))
        subprocess.run(["zstd", "-q", "--rm", raw, "-o", self.packed], check=True)

    def timed(self, *cmd):
        subprocess.run(["sync", "-f", self.dir], check=True)
        t0 = time.perf_counter()
        subprocess.run(cmd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return time.perf_counter() - t0

    def speed(self):
        """MiB/s; imgadm's disk is synced when it is done, so the fair rival is, too"""
        out, root = self.dir / "out.raw", self.dir / "root"
        ways = {
            "import": ([self.imgadm, "-R", root, "import", "-q", self.packed], root),
            "zstd": (["zstd", "-dqf", self.packed, "-o", out], out),
            "synced": (["sh", "-c", f"zstd -dqf {self.packed} -o {out} && sync {out}"], out),
        }
        took = {name: [] for name in ways}
        for i in range(2 * self.bench.runs + 1):
            for name, (cmd, made) in ways.items():
                seconds = self.timed(*cmd)
                if i:  # the first round warms the page cache
                    took[name].append(SIZE / seconds)
                subprocess.run(["rm", "-rf", made], check=True)
        for rival, name in (("synced", "import / zstd -d, sync"), ("zstd", "import / zstd -d")):
            # the best of each: a disk that others use, too, is slow at any moment
            ours, theirs = max(took["import"]), max(took[rival])
            middle = statistics.median(took["import"]) / statistics.median(took[rival])
            text, good = self.bench.bound_text(ours / theirs, 0.8, True)
            self.bench.missed += not good
            print(f"{name:24} zhyve {ours:12.2f}  zstd {theirs:12.2f} MiB/s  ratio "
                  f"{ours / theirs:6.3f}{text}  of medians {middle:.3f}", flush=True)

    def clone(self):
        if os.geteuid() != 0:
            return
        store = self.dir / "fs"
        script = f"""set -e
            mkdir -p {store}/var/lib/zhyve
            truncate -s 3G {store}.img
            mkfs.btrfs -q {store}.img >/dev/null
            mount -o loop {store}.img {store}/var/lib/zhyve
            {self.imgadm} -R {store} import -q -n disk {self.packed}
            {self.bench.b}/tests/bench/clone {store} disk 15"""
        got = subprocess.run(["unshare", "-m", "sh", "-c", script], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if got.returncode != 0:
            print(f"{'volume of an image':24} not measured: {got.stderr.strip()}")
            return
        self.bench.bound("volume of an image", float(got.stdout.split()[0]), "ms", 150, False)

    def all(self):
        self.make()
        self.speed()
        self.clone()
