"""The software engine against QEMU's TCG: boot, a suite of CPU work, idle.

Both run Debian's cloud kernel with the same initramfs, memory, and one CPU.
Times are the host's: from start to a line on the serial console, or between two
lines. The rows of the suite also carry the guest's clock, which must agree. With
--clock cpu it is the CPU time of the process instead: for machines that others
use at the same time.
"""
import gzip
import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
LINUX = TOP / "tests/.cache/linux"
MEM = "256"

# Rows of suite.c: wanted ratio of times, as a bound; None: shown only.
ROWS = {
    "integer": ("fib alu division qsort interpreter indirect sieve sha-rounds chase-16M", None),
    "strings": ("rep-movsb-1M rep-movsq-64 rep-stosq-4K memcpy-1M memcpy-short", 1.0),
    "floating point": ("nbody-double packed-float x87", 1.0),
    "system": ("syscall fork-exec page-faults pipe", None),
}
INTEGER_MEAN = 4.0


def cpio(name, data):
    """One file as an initramfs archive"""
    def entry(path, mode, body):
        head = "070701" + "".join(
            f"{v:08x}" for v in (1, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path) + 1, 0))
        raw = head.encode() + path.encode() + b"\0"
        raw += b"\0" * (-len(raw) % 4) + body
        return raw + b"\0" * (-len(body) % 4)
    return gzip.compress(entry(name, 0o100755, data) + entry("TRAILER!!!", 0, b""), 1)


class Guest:
    """A running guest; lines of its console with the time they came."""

    def __init__(self, cmd, clock="wall"):
        self.clock = self.cpu_time if clock == "cpu" else time.perf_counter
        self.p = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        self.t0 = time.perf_counter()
        self.c0 = self.clock()
        self.cmd, self.rest, self.seen = cmd, b"", b""

    def until(self, pattern, each=None, limit=300):
        """Seconds from start to the line with pattern"""
        while True:
            left = self.t0 + limit - time.perf_counter()
            if not select.select([self.p.stdout], [], [], max(left, 0))[0]:
                self.fail("not there yet after %d s" % limit)
            c = os.read(self.p.stdout.fileno(), 65536)
            now = self.clock()
            if not c:
                self.fail("ended early")
            self.rest += c
            self.seen += c
            *lines, self.rest = self.rest.split(b"\n")
            for line in lines:
                if each:
                    each(line.decode(errors="replace"), now)
                if pattern in line:
                    return now - self.c0

    def fail(self, why):
        self.end()
        raise SystemExit(f"bench: {self.cmd[0]}: {why}:\n{self.seen.decode(errors='replace')[-2000:]}")

    def end(self):
        self.p.send_signal(signal.SIGKILL)
        self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()

    def cpu_time(self):
        """Seconds, of all threads"""
        total = 0
        for task in pathlib.Path(f"/proc/{self.p.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


class SoftBench:
    def __init__(self, bench):
        self.bench = bench
        subprocess.run([TOP / "tools/kernel.sh", LINUX], check=True)
        base = (LINUX / "initrd.img").read_bytes()
        self.initrd = bench.tmp / "suite.initrd"
        self.initrd.write_bytes(base + cpio("suite", (bench.b / "tests/bench/suite").read_bytes()))

    def ours(self, words, level="error"):
        return [self.bench.bhyve, "-m", MEM, "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio",
                "-o", "engine=soft", "-o", f"log.level={level}", "-o", f"boot.kernel={LINUX / 'vmlinuz'}",
                "-o", f"boot.initrd={self.initrd}",
                "-o", f"boot.cmdline=console=ttyS0 quiet panic=-1 {words}", "bench"]

    def tcg(self, words):
        return ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-M", "q35", "-m", MEM, "-smp", "1",
                "-nodefaults", "-nographic", "-serial", "stdio", "-kernel", LINUX / "vmlinuz",
                "-initrd", self.initrd, "-append", f"console=ttyS0 quiet panic=-1 {words}"]

    def instructions(self, words):
        """Executed by a whole run, as the engine counts them"""
        out = subprocess.run(self.ours(words, "debug"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=300, check=False).stdout
        m = re.search(rb"(\d+) instructions", out)
        if not m:
            raise SystemExit(f"bench: no instruction count:\n{out.decode(errors='replace')[-2000:]}")
        return int(m[1])

    # ---- start to shell
    def boot(self):
        t = {0: [], 1: []}
        for i in range(self.bench.runs + 1):
            for k, cmd in enumerate((self.ours(""), self.tcg(""))):
                g = Guest(cmd, self.bench.clock)
                s = g.until(b"A shell on the serial console")
                g.end()
                if i:
                    t[k].append(s)
        # up to the power-off, which is a few milliseconds more
        n = self.instructions("zhyve.run=poweroff") / 1e6
        self.bench.row("boot-to-shell", t[0], t[1], "s", 4.0, False)
        self.bench.bound("boot-speed", n / statistics.median(t[0]), "MIPS", 150, True)

    # ---- the suite
    def suite(self, cmd, times, values):
        begin = {}

        def line(text, now):
            m = re.search(r"ROW (\S+) (begin|end) (\w+) at ([0-9.]+)", text)
            if not m:
                return
            name, clock = m[1], float(m[4])
            if m[2] == "begin":
                begin[name] = (now, clock)
                return
            took, guest = now - begin[name][0], clock - begin[name][1]
            if self.bench.clock == "wall" and abs(took - guest) > 0.01 + 0.05 * took:
                print(f"{name}: {took:.3f} s, the guest's clock says {guest:.3f}")
            times.setdefault(name, []).append(took)
            if values.setdefault(name, m[3]) != m[3]:
                raise SystemExit(f"bench: {name}: result {m[3]}, was {values[name]}")

        g = Guest(cmd, self.bench.clock)
        g.until(b"ROW all done", line)
        g.end()

    def cpu(self):
        times, values = ({}, {}), {}
        for _ in range(self.bench.runs):
            self.suite(self.ours("rdinit=/suite"), times[0], values)
            self.suite(self.tcg("rdinit=/suite"), times[1], values)
        empty = self.instructions("rdinit=/suite -- empty")
        for group, (names, want) in ROWS.items():
            print(f"{group}:")
            ratios = []
            for name in names.split():
                o, q = times[0][name], times[1][name]
                n = (self.instructions(f"rdinit=/suite -- {name}") - empty) / 1e6
                speed = f"{n / statistics.median(o):7.0f} MIPS"
                self.bench.row(name, o, q, "s", want, False, speed)
                ratios.append(statistics.median(o) / statistics.median(q))
            if group == "integer":
                mean = statistics.geometric_mean(ratios)
                self.bench.bound("integer, geometric mean", mean, "x", INTEGER_MEAN, False)

    # ---- a guest at its prompt
    def softidle(self):
        used = []
        for cmd in (self.ours(""), self.tcg("")):
            g = Guest(cmd)
            g.until(b"A shell on the serial console")
            time.sleep(3)
            a = g.cpu_time()
            time.sleep(10)
            used.append(100 * (g.cpu_time() - a) / 10)
            g.end()
        self.bench.bound("idle-cpu (qemu %.2f)" % used[1], used[0], "%", 1.0, False)
