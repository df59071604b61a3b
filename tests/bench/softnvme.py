"""Linux's NVMe driver on the software engine against QEMU's TCG.

dd with direct reads: 4 KiB by one process, by 16 at a time, 128 KiB in sequence.
Rates are by the host's clock, from one line on the console to the next.
"""
from soft import SoftBench, Guest

SCRIPT = """
d=/dev/nvme0n1
r() { dd if=$d of=/dev/null iflag=direct "$@" 2>/dev/null; }
r bs=128k count=64
echo AT$((0))
r bs=4k count=4000
echo AT$((1))
for i in $(seq 16); do r bs=4k count=400 skip=$((i * 1000)) & done; wait
echo AT$((2))
r bs=128k count=2000
echo AT$((3))
"""
ROWS = (("nvme-linux-4k-qd1", 4000, "per_s"), ("nvme-linux-4k-qd16", 6400, "per_s"),
        ("nvme-linux-128k", 250, "MiB/s"))


class SoftNvmeBench(SoftBench):
    def rates(self, cmd):
        g = Guest([str(c) for c in cmd])
        g.until(b"A shell on the serial console")
        g.p.stdin.write(SCRIPT.encode())
        g.p.stdin.flush()
        at = [g.until(b"AT%d" % i) for i in range(4)]
        g.end()
        return [n / (b - a) for (_, n, _), a, b in zip(ROWS, at, at[1:])]

    def all(self):
        disk = self.bench.disk()
        ours = self.ours("")
        ours[-1:-1] = ["-s", f"4,nvme,{disk}"]
        qemu = self.tcg("") + ["-drive", f"if=none,id=d,format=raw,aio=io_uring,file={disk}",
                               "-device", "nvme,drive=d,serial=bench"]
        got = ([], [])
        for _ in range(self.bench.runs):
            got[0].append(self.rates(ours))
            got[1].append(self.rates(qemu))
        for i, (name, _, unit) in enumerate(ROWS):
            self.bench.row(name, [r[i] for r in got[0]], [r[i] for r in got[1]], unit, 1.0, True)
