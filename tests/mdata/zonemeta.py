"""What a zone's guest is given beside its configuration, and whether it came.

    zonemeta.py fill CONFIG ETC-ZONES
    zonemeta.py check CONSOLE CONFIG
"""
import json
import pathlib
import re
import sys

import guest
import rig


class Said:
    """a guest's console, as guest.Guest has it"""
    def __init__(self, out, config):
        self.out = out
        self.status = None
        self.said = dict(re.findall(r"^BEGIN (\S+)\n(.*?)^END \1$", out, re.M | re.S))
        self.kept = json.loads((config / "metadata.json").read_text())


def fill(config, etc):
    path = config / "metadata.json"
    path.write_text(json.dumps(
        {"customer_metadata": {**rig.CUSTOMER, "big": "x"}, "internal_metadata": rig.INTERNAL}))
    (config / "routes.json").write_text(json.dumps({"172.16.0.0/12": "10.0.0.254"}))
    (etc / "host").write_text("datacenter_name here-1\n")


def check(console, config):
    said = Said(pathlib.Path(console).read_text(errors="replace"), config)
    uuid = None
    crawl = rig.crawled(said.said.get("network", "").encode())
    if crawl:
        uuid = crawl["metadata"]["instance-id"]
        crawl["metadata"]["instance-id"] = rig.FACTS["sdc:uuid"]
    bad = [guest.check_identify(said), guest.check_tools(said), guest.check_network(said),
           rig.check_crawl(crawl) if crawl else guest.wrong(said, "network"),
           None if crawl and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)
           else f"sdc:uuid {uuid!r}"]
    for line in filter(None, bad):
        print(line)
    return 1 if any(bad) else 0


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
    else:
        sys.exit(check(sys.argv[2], pathlib.Path(sys.argv[3])))
