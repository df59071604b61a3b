#!/usr/bin/env python3
"""Hold the arrows of the house: which folder may include which.

Prints TAP. An include of another folder that is not in the table, or of a
folder that the table does not know, fails.
"""
import pathlib
import re
import sys

# folder below src/ -> folders that it may include. Nothing points back up.
MAY = {
    "base": set(),
    "vmm": {"base"},
    "dev": {"vmm", "unet", "base"},
    "boot": {"vmm", "dev", "base"},
    "machine": {"boot", "dev", "vmm", "base"},
    "zone": {"base"},
    "jail": {"base"},
    "zoneadmd": {"zone", "ipc", "jail", "link", "store", "mdata", "base"},
    "admin": {"zone", "ipc", "jail", "link", "manifest", "store", "mdata", "base"},
    "manifest": {"zone", "base"},
    "link": {"base"},
    "unet": {"base"},
    "store": {"base"},
    "mdata": {"ipc", "base"},
    "ipc": {"base"},
}
# Rooms inside a folder: only these may look into the engines.
PRIVATE = {
    "vmm/kvm": {"vmm/kvm"},
    "vmm/soft": {"vmm/soft"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "src"
    bad = []
    files = sorted(top.rglob("*.[ch]"))
    for f in files:
        rel = f.relative_to(top)
        room = rel.parts[0]
        if room not in MAY:
            bad.append(f"{rel}: folder {room} is not in the table of arrows")
            continue
        for inc in INCLUDE.findall(f.read_text()):
            parts = inc.split("/")
            if len(parts) == 1:
                if not (f.parent / inc).exists() and not inc.endswith(".inc"):
                    continue  # generated beside it
                continue
            target = parts[0]
            if target != room and target not in MAY[room]:
                bad.append(f"{rel}: includes {inc}: {room} may not use {target}")
            sub = "/".join(parts[:2])
            mine = "/".join(rel.parts[:2])
            if sub in PRIVATE and mine not in PRIVATE[sub]:
                bad.append(f"{rel}: includes {inc}: {sub} is private")
    for line in bad:
        print("#", line)
    print("1..1")
    print(f"{'not ok' if bad or not files else 'ok'} 1 - arrows between folders, {len(files)} files")
    return 1 if bad or not files else 0


sys.exit(main())
