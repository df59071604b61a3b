#!/usr/bin/env python3
"""Metadata inside a Linux guest on the software engine: ds-identify finds
SmartOS, cloud-init and our tools ask on the real ttyS1, the network comes up as
the metadata says. Prints TAP. Environment as in rig.py, and BHYVE, LINUX.
"""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import image
from rig import CUSTOMER, FACTS, check_crawl, crawled, fill, tap

LIMIT = 500
BIG = "".join(chr(33 + (i * 7 + i // 89) % 90) for i in range(250 * 1024))


class Guest:
    """One boot; words of guest-init. said[word]: what it printed."""

    def __init__(self, tmp, words, delay=0.0):
        config, sock = tmp / "config", tmp / "vm.ttyb"
        config.mkdir()
        fill(config, {**CUSTOMER, "big": BIG})
        initrd = image.build(tmp / "initrd", os.environ["LINUX"], os.environ["MDATA_GUEST"],
                             os.environ["CLOUDINIT"])
        cmd = [os.environ["BHYVE"], "-m", "1G", "-s", "0,hostbridge", "-s", "31,lpc",
               "-l", "com1,stdio", "-l", f"com2,socket,{sock}", "-U", FACTS["sdc:uuid"],
               "-B", "1,manufacturer=Joyent,product=SmartDC HVM", "-o", "engine=soft",
               "-o", "log.level=error", "-o", f"boot.kernel={os.environ['LINUX']}/vmlinuz",
               "-o", f"boot.initrd={initrd}",
               "-o", f"boot.cmdline=console=ttyS0 quiet panic=-1 mdata={','.join(words)}"]
        for i, nic in enumerate(json.loads(FACTS["sdc:nics"])):
            cmd += ["-s", f"{6 + i},virtio-net,slirp,mac={nic['mac']}"]
        vm = subprocess.Popen([*cmd, "guest"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        host = None
        try:
            time.sleep(delay)
            host = subprocess.Popen([os.environ["MDATA_HOST"], config, f"dial={sock}"],
                                    stderr=subprocess.DEVNULL)
            self.out = vm.communicate(timeout=LIMIT)[0].decode(errors="replace").replace("\r", "")
            self.status = vm.returncode  # 1: it powered off
        finally:
            vm.kill()
            vm.wait()
            if host:
                host.kill()
                host.wait()
        self.said = dict(re.findall(r"^BEGIN (\S+)\n(.*?)^END \1$", self.out, re.M | re.S))
        self.kept = json.loads((config / "metadata.json").read_text())


def wrong(guest, word):
    return f"{word}: status {guest.status}: {guest.said.get(word) or guest.out[-1500:]}"


def check_identify(guest):
    said = guest.said.get("identify", "")
    good = "status 0\n" in said and "datasource_list: [ SmartOS, None ]" in said
    return None if good else wrong(guest, "identify")


def check_tools(guest):
    want = "".join(line + "\n" for line in [
        FACTS["sdc:hostname"], *CUSTOMER, "big", "root_pw",
        guest.kept["customer_metadata"].get("from:guest", "nothing was put"),
        "mdata-get: no metadata for 'nope'", "status 1"])
    # a server that takes its time (this one is killed now and then) is waited for
    said = re.sub(r"^mdata-get: still waiting for .*\n", "", guest.said.get("tools", ""), flags=re.M)
    return None if said == want else wrong(guest, "tools")


def check_echo(guest):
    return None if guest.said.get("echo") == "web-1\n" else wrong(guest, "echo")


def check_big(guest):
    """more than Linux takes from a receiver that is never empty"""
    want = hashlib.md5(BIG.encode()).hexdigest() + "  -\n"
    return None if guest.said.get("big") == want else wrong(guest, "big")


def check_crawled(guest, word="crawl"):
    got = crawled(guest.said.get(word, "").encode())
    return check_crawl(got) if got else wrong(guest, word)


def check_network(guest):
    m = re.search(r"^NETWORK (.*)$", guest.said.get("network", ""), re.M)
    if not m:
        return wrong(guest, "network")
    nics = json.loads(FACTS["sdc:nics"])
    want = {"hostname": "web-1",
            "addresses": {n["interface"]: [n["mac"], *sorted(n["ips"])] for n in nics},
            "gateways": nics[0]["gateways"]}
    got = json.loads(m.group(1))
    return None if got == want else f"{got} instead of {want}"


def main():
    missing = [p for p in (os.environ["CLOUDINIT"] + "/done", os.environ["LINUX"] + "/vmlinuz")
               if not os.path.exists(p)]
    if missing:
        print(f"1..0 # SKIP no {missing[0]} (make check fetches it)")
        return 0
    with tempfile.TemporaryDirectory(prefix="zhyve-mdata.") as tmp:
        top = pathlib.Path(tmp)
        (top / "a").mkdir()
        (top / "b").mkdir()
        guest = Guest(top / "a", ["identify", "tools", "big", "echo", "network"])
        late = Guest(top / "b", ["hostname", "crawl"], delay=15)
    return tap([
        ("ds-identify finds SmartOS", lambda: check_identify(guest)),
        ("mdata-get, -list, -put", lambda: check_tools(guest)),
        ("a value of 250 KiB", lambda: check_big(guest)),
        ("mdata-get after an echoing terminal", lambda: check_echo(guest)),
        ("cloud-init's crawl", lambda: check_crawled(guest, "network")),
        ("hostname, names, addresses, gateways", lambda: check_network(guest)),
        ("a late server: mdata-get", lambda: None if late.said.get("hostname") == "web-1\n"
         else wrong(late, "hostname")),
        ("a late server: cloud-init", lambda: check_crawled(late)),
    ])


if __name__ == "__main__":
    sys.exit(main())
