"""In the guest: interfaces named by cloud-init, and given what its network
configuration says; what is there then, as JSON on the line NETWORK."""
import json
import subprocess

import crawl
from cloudinit.distros.networking import LinuxNetworking
from cloudinit.net import network_state


def ip(*args):
    return subprocess.run(["ip", *args], check=True, capture_output=True, text=True).stdout


config = crawl.source.network_config
LinuxNetworking().apply_network_config_names(config)
for nic in network_state.parse_net_config_data(config).iter_interfaces():
    name = nic["name"]
    if nic["mtu"] == 1500:  # what the device itself allows
        ip("link", "set", name, "mtu", str(nic["mtu"]))
    ip("link", "set", name, "up")
    for subnet in nic["subnets"]:
        ip("addr", "add", f"{subnet['address']}/{subnet['prefix']}", "dev", name, "nodad"
           if ":" in subnet["address"] else "noprefixroute")
    for subnet in nic["subnets"]:
        if subnet.get("gateway"):
            ip("route", "add", "default", "via", subnet["gateway"], "dev", name, "onlink")
with open("/proc/sys/kernel/hostname", "w") as f:
    f.write(crawl.source.metadata["local-hostname"])
addresses = {}
for link in json.loads(ip("-j", "addr")):
    if link["ifname"] != "lo":
        addresses[link["ifname"]] = [link["address"]] + sorted(
            f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global")
print("NETWORK " + json.dumps({
    "hostname": open("/proc/sys/kernel/hostname").read().strip(), "addresses": addresses,
    "gateways": [r["gateway"] for f in ("-4", "-6") for r in json.loads(ip(f, "-j", "route"))
                 if r["dst"] == "default"]}))
