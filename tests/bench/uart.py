"""Metadata over the second serial port, against QEMU's TCG: the same server on a
socket, kernel, initramfs and client. Times of the client's whole run, of which
0.1 s is its waiting for a silent line."""
import hashlib
import json
import pathlib
import subprocess
import sys

import soft

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/mdata"))
WHAT = {"get": "uart-get-64K", "put": "uart-put-64K", "get1": "uart-get-36"}


class UartBench:
    def __init__(self, bench):
        import image
        import rig
        subprocess.run([soft.TOP / "tools/kernel.sh", soft.LINUX], check=True)
        self.bench = bench
        self.config = bench.tmp / "mdata"
        self.config.mkdir()
        self.big = "".join(chr(33 + (i * 7 + i // 89) % 90) for i in range(65536))
        rig.fill(self.config, {"big": self.big})
        self.initrd = image.build(bench.tmp / "uart.initrd", soft.LINUX,
                                  bench.b / "cmd/mdata-guest/mdata-guest")

    def commands(self, sock):
        line = "console=ttyS0 quiet panic=-1 mdata=speed"
        kernel = soft.LINUX / "vmlinuz"
        ours = [self.bench.bhyve, "-m", soft.MEM, "-s", "0,hostbridge", "-s", "31,lpc",
                "-l", "com1,stdio", "-l", f"com2,socket,{sock}", "-o", "engine=soft",
                "-o", "log.level=error", "-o", f"boot.kernel={kernel}",
                "-o", f"boot.initrd={self.initrd}", "-o", f"boot.cmdline={line}", "bench"]
        qemu = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-m", soft.MEM,
                "-nodefaults", "-display", "none", "-no-reboot", "-kernel", kernel,
                "-initrd", self.initrd, "-append", line, "-serial", "stdio",
                "-chardev", f"socket,id=md,path={sock},server=on,wait=off",
                "-serial", "chardev:md"]
        return ours, qemu

    def one(self, cmd, sock, took):
        sock.unlink(missing_ok=True)
        begun, sums = {}, []

        def line(text, now):
            word, _, what = text.strip().partition(" ")
            if word == "FROM":
                begun[what] = now
            elif word == "TO":
                took.setdefault(what, []).append(now - begun[what])
            elif what.strip() == "-":
                sums.append(word)
        guest = soft.Guest(cmd)
        host = subprocess.Popen([self.bench.b / "tests/mdata/mdata_host", self.config,
                                 f"dial={sock}"], stderr=subprocess.DEVNULL)
        try:
            guest.until(b"END speed", each=line)
        finally:
            guest.end()
            host.kill()
            host.wait()
        kept = json.loads((self.config / "metadata.json").read_text())["customer_metadata"]
        if set(sums) != {hashlib.md5(self.big.encode()).hexdigest()} or kept["back"] != self.big:
            raise SystemExit(f"bench: {cmd[0]}: not what was sent")

    def all(self):
        sock = self.bench.tmp / "vm.ttyb"
        took = [{}, {}]
        for _ in range(max(self.bench.runs // 2, 1)):
            for k, cmd in enumerate(self.commands(sock)):
                self.one(cmd, sock, took[k])
        for what, name in WHAT.items():
            self.bench.row(name, [t * 1000 for t in took[0][what]],
                           [t * 1000 for t in took[1][what]], "ms", 1.0, False)
