#!/usr/bin/env python3
"""Speed and size against Debian's QEMU, same guest, same run, interleaved.

    run.py BUILD [--only start,memory,block,sata,nvme,net,idle,walls,soft,softnvme,uart,mdata,
                  guard,zones,vmadm,images,tcp]
           [--runs 5] [--clock cpu]

Prints medians and ratios; the wanted ratio stands beside each. Machines are
noisy: quote ratios, not single figures. Network runs need root (a tap in a
network namespace of their own). "soft" is the software engine against TCG,
soft.py; its parts are boot, cpu, softidle; "softnvme" is Linux's NVMe driver on
it. "uart" is metadata on com2, uart.py;
"mdata" its server, mdata.py; "guard" a link's guard, guard.py; "images" is
imgadm's import against zstd, and clones of images, images.py; "tcp"
is a stream between two zones, tcp.py. Those, zones.py and vmadm.py need root.
"""
import argparse
import os
import pathlib
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from guard import GuardBench
from mdata import MdataBench
from images import ImageBench
from soft import SoftBench
from softnvme import SoftNvmeBench
from tcp import TcpBench
from uart import UartBench
from vmadm import VmadmBench
from zones import ZoneBench

HERE = pathlib.Path(__file__).resolve().parent


def median(v):
    return statistics.median(v) if v else float("nan")


class Bench:
    def __init__(self, build, runs, accel):
        self.b = pathlib.Path(build).resolve()
        self.bhyve = self.b / "cmd/bhyve/bhyve"
        self.guests = self.b / "tests/guest"
        self.runs = runs
        self.accel = accel
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="zhyve-bench."))
        self.missed = 0

    def ours(self, guest, extra=(), cmdline="", mem="128"):
        engine = "kvm" if self.accel == "kvm" else "soft"
        return [self.bhyve, "-m", mem, "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio",
                "-o", f"engine={engine}", "-o", "log.level=error", "-o", f"boot.kernel={self.guests / guest}",
                "-o", f"boot.cmdline={cmdline}", *extra, "bench"]

    def qemu(self, guest, extra=(), cmdline="", mem="128", machine="q35"):
        return ["qemu-system-x86_64", "-accel", self.accel, "-M", machine, "-m", mem,
                "-nodefaults", "-nographic", "-serial", "stdio",
                "-kernel", self.guests / guest, "-append", cmdline or "x",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *extra]

    @staticmethod
    def bound_text(value, want, higher_is_better):
        """ 'wanted <= x  met', and whether it is"""
        if want is None:
            return "", True
        good = value >= want if higher_is_better else value <= want
        sign = ">=" if higher_is_better else "<="
        return f"  wanted {sign} {want:.3f}  {'met' if good else 'MISSED'}", good

    def row(self, name, ours, qemu, unit, want, higher_is_better, more=""):
        """want: the wanted ratio ours/qemu, as a bound; None: no bound"""
        o, q = median(ours), median(qemu)
        text, good = self.bound_text(o / q, want, higher_is_better)
        self.missed += not good
        print(f"{name:24} zhyve {o:12.2f}  qemu {q:12.2f} {unit:6} ratio {o / q:6.3f}"
              f"{text}{'  ' + more if more else ''}", flush=True)

    def bound(self, name, value, unit, want, higher_is_better):
        text, good = self.bound_text(value, want, higher_is_better)
        self.missed += not good
        print(f"{name:24} zhyve {value:12.2f} {unit:6}{text}", flush=True)

    # ---- exec to the first guest instruction, and exit
    def start(self):
        rom = self.tmp / "tiny.rom"
        image = bytearray(b"\x90" * 65536)
        # f000:fff0: mov $0,%al; out %al,$0xf4; hlt
        image[0xfff0:0xfff0 + 5] = bytes([0xb0, 0, 0xe6, 0xf4, 0xf4])
        rom.write_bytes(image)
        a = self.ours("first.elf")
        b = ["qemu-system-x86_64", "-accel", self.accel, "-M", "microvm", "-m", "128",
             "-nodefaults", "-nographic", "-bios", rom, "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        t = {0: [], 1: []}
        for i in range(self.runs * 3 + 1):
            for k, cmd in enumerate((a, b)):
                t0 = time.perf_counter()
                subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=60, check=False)
                if i:
                    t[k].append((time.perf_counter() - t0) * 1000)
        self.row("start-to-exit", t[0], t[1], "ms", 1 / 8, False)

    # ---- resident memory outside guest RAM; wake-ups of an idle guest
    def idle_pair(self):
        disk = self.tmp / "d.img"
        with open(disk, "wb") as f:
            f.truncate(64 << 20)
        a = self.ours("idle.elf", ["-s", f"4,virtio-blk,{disk}", "-s", "6,virtio-net,tap0"])
        b = self.qemu("idle.elf", ["-object", "memory-backend-memfd,id=m,size=128M",
                                   "-drive", f"if=none,id=d,format=raw,file={disk}",
                                   "-device", "virtio-blk-pci,drive=d,disable-legacy=on",
                                   "-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no",
                                   "-device", "virtio-net-pci,netdev=n,disable-legacy=on,romfile="],
                      machine="q35,memory-backend=m")
        return a, b

    def with_tap(self, cmd):
        """in a network namespace of its own, with a tap0 that is up"""
        line = " ".join(shlex.quote(str(c)) for c in cmd)
        return ["unshare", "-n", "sh", "-c",
                "ip tuntap add tap0 mode tap vnet_hdr && ip link set tap0 up && exec " + line]

    def with_blast(self, cmd):
        """as with_tap(), with the host sending on the tap once the guest is ready"""
        line = " ".join(shlex.quote(str(c)) for c in cmd)
        blast = self.b / "tests/bench/blast"
        return ["unshare", "-n", "sh", "-c",
                "ip tuntap add tap0 mode tap vnet_hdr && ip link set tap0 up && "
                f"{{ {line} 2>&1; }} | while read -r l; do echo \"$l\"; "
                f"case $l in *READY*) {blast} tap0 3 & ;; esac; done"]

    def observe(self, cmd, seconds):
        p = subprocess.Popen(self.with_tap(cmd), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seen = b""
        while b"IDLE" not in seen:
            c = os.read(p.stdout.fileno(), 4096)
            if not c:
                raise SystemExit(f"bench: {cmd[0]} ended early:\n{seen.decode(errors='replace')}")
            seen += c
        time.sleep(1)
        rss = self.rss_outside_ram(p.pid)
        w0 = self.switches(p.pid)
        time.sleep(seconds)
        w1 = self.switches(p.pid)
        p.send_signal(signal.SIGKILL)
        p.wait()
        return rss, (w1 - w0) / seconds

    @staticmethod
    def rss_outside_ram(pid):
        total, skip = 0, False
        for line in open(f"/proc/{pid}/smaps"):
            if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
                skip = "/memfd:" in line
            elif line.startswith("Rss:") and not skip:
                total += int(line.split()[1])
        return total / 1024

    @staticmethod
    def switches(pid):
        n = 0
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for line in open(task / "status"):
                if line.startswith("voluntary_ctxt_switches"):
                    n += int(line.split()[1])
        return n

    def memory(self):
        a, b = self.idle_pair()
        ours = [self.observe(a, 0.1)[0] for _ in range(3)]
        qemu = [self.observe(b, 0.1)[0] for _ in range(3)]
        self.bound("memory-outside-ram", median(ours), "MiB", 4.0, False)
        self.row("memory-outside-ram", ours, qemu, "MiB", 0.11, False)

    def idle(self):
        a, b = self.idle_pair()
        o, q = self.observe(a, 5)[1], self.observe(b, 5)[1]
        print(f"{'idle-wakeups':24} zhyve {o:12.2f}  qemu {q:12.2f} per_s   wanted 0  "
              f"{'met' if o == 0 else 'MISSED'}")
        self.missed += o != 0

    # ---- data paths
    @staticmethod
    def results(cmd):
        out = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=120).stdout.decode(errors="replace")
        r = {n: float(v) for n, v in re.findall(r"RESULT (\S+) (\d+)", out)}
        if not r:
            raise SystemExit(f"bench: no result from {cmd[0]}:\n{out[-2000:]}")
        return r

    def compare(self, a, b):
        got = [{}, {}]
        for i in range(self.runs + 1):
            for k, cmd in enumerate((a, b)):
                for n, v in self.results(cmd).items():
                    if i:  # the first pair warms the page cache
                        got[k].setdefault(n, []).append(v)
        for n in got[0]:
            self.row(n, got[0][n], got[1].get(n, []), "per_s", 1.0, True)

    def disk(self):
        disk = self.tmp / "bench.img"
        if disk.exists():
            return disk
        with open(disk, "wb") as f:
            for _ in range(512):
                f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())  # no write-back while measuring
        return disk

    def sata(self):
        disk = self.disk()
        self.compare(
            self.ours("satabench.elf", ["-s", f"4,ahci-hd,{disk}"]),
            self.qemu("satabench.elf", ["-drive", f"if=none,id=d,format=raw,aio=io_uring,file={disk}",
                                        "-device", "ide-hd,drive=d,bus=ide.0"]))

    def block(self):
        disk = self.disk()
        self.compare(
            self.ours("blkbench.elf", ["-s", f"4,virtio-blk,{disk}"]),
            self.qemu("blkbench.elf", ["-drive", f"if=none,id=d,format=raw,aio=io_uring,file={disk}",
                                       "-device", "virtio-blk-pci,drive=d,disable-legacy=on"]))

    def nvme(self):
        disk = self.disk()
        self.compare(
            self.ours("nvmebench.elf", ["-s", f"4,nvme,{disk}"]),
            self.qemu("nvmebench.elf", ["-drive", f"if=none,id=d,format=raw,aio=io_uring,file={disk}",
                                        "-device", "nvme,drive=d,serial=bench"]))

    def net(self):
        q = ["-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no",
             "-device", "virtio-net-pci,netdev=n,disable-legacy=on,romfile="]
        self.compare(self.with_tap(self.ours("netbench.elf", ["-s", "6,virtio-net,tap0"])),
                     self.with_tap(self.qemu("netbench.elf", q)))
        self.compare(self.with_blast(self.ours("netbench.elf", ["-s", "6,virtio-net,tap0"],
                                               cmdline="mode=rx")),
                     self.with_blast(self.qemu("netbench.elf", q, cmdline="mode=rx")))

    def walls(self):
        """A zone's walls alone, nothing to compare with (root)."""
        out = subprocess.run([self.b / "tests/bench/spawn"], stdout=subprocess.PIPE, check=True)
        print(f"{'walls':24} {out.stdout.decode().strip()}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("build")
    ap.add_argument("--only")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--accel", default="kvm", choices=["kvm", "tcg"])
    ap.add_argument("--clock", default="wall", choices=["wall", "cpu"],
                    help="of the parts of soft")
    a = ap.parse_args()
    bench = Bench(a.build, a.runs, a.accel)
    bench.clock = a.clock
    only = a.only.split(",") if a.only else []
    for name in ("start", "memory", "idle", "block", "sata", "nvme", "net", "walls"):
        if not only or name in only:
            getattr(bench, name)()
    parts = [n for n in ("boot", "cpu", "softidle") if not only or n in only or "soft" in only]
    soft = SoftBench(bench) if parts else None
    for name in parts:
        getattr(soft, name)()
    if not only or "softnvme" in only:
        SoftNvmeBench(bench).all()
    if not only or "uart" in only:
        UartBench(bench).all()
    if not only or "mdata" in only:
        MdataBench(bench).all()
    if (not only or "guard" in only) and os.geteuid() == 0:
        GuardBench(bench).all()
    if (not only or "zones" in only) and os.geteuid() == 0:
        ZoneBench(bench).all()
    if (not only or "vmadm" in only) and os.geteuid() == 0:
        VmadmBench(bench).all()
    if not only or "images" in only:
        ImageBench(bench).all()
    if (not only or "tcp" in only) and os.geteuid() == 0:
        TcpBench(bench).all()
    subprocess.run(["rm", "-rf", bench.tmp], check=False)
    print(f"{bench.missed} wanted figures missed")
    return 0


sys.exit(main())
