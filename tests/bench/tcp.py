"""TCP from one guest to another on a bridge: two zones of engine=soft, guarded
links, against two guests of QEMU's TCG, the same kernel, initramfs and kind of
bridge. The bound is against QEMU as its users start it, with the CPU that it
chooses (qemu64); the row with -cpu max, the features that zhyve's guest has,
where TCG copies slowly, is for information. The host times it, between lines on
the receiver's console, and adds up the CPU time of both guests' processes: on a
machine that others use that is the figure to look at. Root; a network of its
own, and a world of its own below a temporary folder."""
import functools
import os
import pathlib
import re
import subprocess
import time

import soft
from zones import ZoneBench

MIB = 512
SIDES = ("recv", "send")
INIT = b"""#!/bin/sh
# /init of the guests of "run.py --only tcp": a link with an address, one program.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in virtio_pci virtio_net; do modprobe $m; done
side=$(sed 's/.*tcp=\\([a-z]*\\).*/\\1/' /proc/cmdline)
[ $side = recv ] && n=1 || n=2
ip addr add 10.78.0.$n/24 dev eth0
ip link set eth0 up
case $side in
recv) stream recv %d ;;
send) stream send 10.78.0.1 ;;
esac
sleep 1 # the host is reading our CPU time
poweroff -f
""" % MIB


class TcpBench(ZoneBench):
    def __init__(self, bench):
        super().__init__(bench, name="tcp")
        subprocess.run([soft.TOP / "tools/kernel.sh", soft.LINUX], check=True)
        self.initrd = bench.tmp / "tcp.initrd"
        self.initrd.write_bytes((soft.LINUX / "initrd.img").read_bytes() + soft.cpio("tcpinit", INIT) +
                                soft.cpio("bin/stream", (bench.b / "tests/bench/stream").read_bytes()))

    @staticmethod
    def line(side):
        return f"console=ttyS0 quiet panic=-1 rdinit=/tcpinit tcp={side}"

    # ---- a network of our own: that of a process which only waits
    def network(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.inside = ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net")
        commands = ["ip link set lo up", "ip link add br0 type bridge", "ip link set br0 up"]
        for side in SIDES:
            commands += [f"ip tuntap add q{side} mode tap vnet_hdr",
                         f"ip link set q{side} master br0 up"]
        for c in commands:
            subprocess.run([*self.inside, *c.split()], check=True)

    # ---- CPU time
    def zhyves(self):
        """pids of this world's guests: children of its supervisors"""
        found = []
        for parent in self.supervisors():
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                found += (task / "children").read_text().split()
        bhyve = str(self.bench.bhyve)
        return [int(pid) for pid in found if os.readlink(f"/proc/{pid}/exe") == bhyve]

    @staticmethod
    def cpu_time(pids):
        """Seconds, of all threads"""
        tasks = (t for pid in pids for t in pathlib.Path(f"/proc/{pid}/task").iterdir())
        return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9

    # ---- two zones, or two of QEMU's
    def make(self, name):
        n = 1 + SIDES.index(name)
        self.run("zonecfg", "-z", name,
                 f"create; set zonepath=/zones/{name}; add guest; set kernel={soft.LINUX / 'vmlinuz'}; "
                 f"set initrd={self.initrd}; set engine=soft; set cmdline=\"{self.line(name)}\"; end; "
                 f"add capped-memory; set guest={soft.MEM}M; end; "
                 f"add net; set physical=net0; set global-nic=external; "
                 f"set mac-addr=02:08:20:00:01:0{n}; set ips=10.78.0.{n}/24; end", before=self.inside)
        self.run("zoneadm", "-z", name, "install", before=self.inside)

    def zones(self):
        log = self.root / "zones/recv/logs/console.log"
        log.unlink(missing_ok=True)
        for side in SIDES:
            self.run("zoneadm", "-z", side, "boot", before=self.inside)
        try:
            self.guarded()
            return self.watch(log, self.zhyves())
        finally:
            self.halt(SIDES)

    def guarded(self):
        for side in SIDES:
            links = self.run("zoneadm", "-z", side, "links", before=self.inside)
            if not re.search(r"(?m)^net0 .* bpf\b", links):
                raise SystemExit(f"bench: zone {side} has no guard on its link:\n{links}")

    def qemus(self, cpu="max"):
        log = self.bench.tmp / "tcp.console"
        guests = []
        try:
            for side in SIDES:
                out = log if side == "recv" else "/dev/null"
                guests.append(subprocess.Popen([
                    *self.inside, "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", cpu,
                    "-m", soft.MEM, "-nodefaults", "-display", "none", "-no-reboot",
                    "-kernel", soft.LINUX / "vmlinuz", "-initrd", self.initrd,
                    "-append", self.line(side), "-serial", f"file:{out}",
                    "-netdev", f"tap,id=n,ifname=q{side},script=no,downscript=no,vhost=off",
                    "-device", "virtio-net-pci,netdev=n,romfile=,"
                    f"mac=02:08:20:00:02:0{1 + SIDES.index(side)}"], stdin=subprocess.DEVNULL))
            return self.watch(log, [g.pid for g in guests])
        finally:
            for g in guests:
                g.kill()
                g.wait()
            log.unlink(missing_ok=True)

    def watch(self, log, pids, limit=60):
        """MiB/s by the host's clock, MiB a second of CPU time; None: no end of it"""
        begun, t0, text = None, time.perf_counter(), ""
        while time.perf_counter() - t0 < limit:
            now = time.perf_counter()
            text = log.read_text(errors="replace") if log.exists() else ""
            if begun is None and "STREAM begin" in text:
                begun, spent = now, self.cpu_time(pids)
            m = re.search(r"STREAM end at ([0-9.]+)\r?\n", text)
            if m:
                took, guest = now - begun, float(m[1])
                spent = self.cpu_time(pids) - spent
                if abs(took - guest) > 0.02 + 0.05 * took:
                    print(f"tcp: {took:.3f} s, the guest's clock says {guest:.3f}")
                return MIB / took, MIB / spent
            time.sleep(0.002)
        print(f"tcp: no end of the stream after {limit} s:\n{text[-400:]}", flush=True)
        return None

    @staticmethod
    def finished(one, tries):
        """The rate of a run. A run of QEMU's that stalls (7.2 has been seen to) is
        told, not counted; a zone's may not."""
        for _ in range(tries):
            rate = one()
            if rate is not None:
                return rate
        raise SystemExit("bench: tcp: a stream stalled")

    def all(self):
        rates = [[], [], []]
        sides = ((self.zones, 1), (functools.partial(self.qemus, "qemu64"), 3), (self.qemus, 3))
        self.network()
        try:
            self.run("nictagadm", "add", "external", "br0", before=self.inside)
            for side in SIDES:
                self.make(side)
            for _ in range(self.bench.runs):
                for k, (one, tries) in enumerate(sides):
                    rates[k].append(self.finished(one, tries))
        finally:
            self.sweep()
            self.holder.kill()
            self.holder.wait()
        for k, name, want in ((1, "", 1.0), (2, "-cpu-max", None)):
            for i, unit in enumerate(("MiB/s", "MiB/CPU s")):
                self.bench.row(f"tcp{name or '-guest-to-guest'}" + ("-cpu-time" if i else ""),
                               [r[i] for r in rates[0]], [r[i] for r in rates[k]], unit,
                               None if i else want, True)
