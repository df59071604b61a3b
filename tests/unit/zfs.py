#!/usr/bin/env python3
"""zfs(8) without ZFS, for tests of the store: what it answers, in which words,
what it refuses. Its state is beside the name it is run by: sets.json, and in
dev/ what udev would make. The file busy: how many times something is busy;
late: tenths of a second until udev has made a link, -1 if it does not run.
"""
import json, os, shutil, subprocess, sys

here = os.path.dirname(sys.argv[0])
words = sys.argv[1:]
with open(here + "/asked", "a") as f:
    print(*words, file=f)


def read(name, default):
    try:
        with open(f"{here}/{name}") as f:
            return json.load(f)
    except FileNotFoundError:
        return default


sets = read("sets.json", {"tank/z": {"type": "filesystem", "txg": 1}})


def die(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def save():
    with open(here + "/sets.json", "w") as f:
        json.dump(sets, f)


def txg():
    return max(s["txg"] for s in sets.values()) + 1


def need(name, text="cannot open"):
    if name not in sets:
        die(f"{text} '{name}': dataset does not exist")
    return sets[name]


def new(name, **what):
    if name in sets:
        die(f"cannot create {'snapshot ' if '@' in name else ''}'{name}': dataset already exists")
    if "%" in name:
        die(f"cannot create snapshot '{name}': invalid character '%' in name")
    if "@" not in name:
        need(name.rpartition("/")[0], "cannot create")
    sets[name] = {"txg": txg(), **what}


def busy(sentence):
    left = read("busy", 0)
    if left:
        with open(here + "/busy", "w") as f:
            print(left - 1, file=f)
        die(sentence)


def below(name):
    return [s for s in sets if s == name or s.startswith((name + "/", name + "@"))]


def snapshots(name):
    return sorted((s for s in sets if s.startswith(name + "@")), key=lambda s: sets[s]["txg"])


def clones(snap):
    return sorted(s for s in sets if sets[s].get("origin") == snap)


def device(name, there):
    """A file for the zvol, and later its link."""
    path = f"{here}/dev/{name}"
    if not there:
        if os.path.lexists(path):
            os.unlink(path)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    node = f"{here}/zd{sets[name]['txg']}"
    with open(node, "a") as f:
        f.truncate(sets[name]["volsize"])
    late = read("late", 0)
    if late > 0:
        subprocess.Popen(["sh", "-c", 'sleep "$1"; [ -L "$3" ] || ln -s "$2" "$3"', "udev", str(late / 10), node, path],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elif late == 0 and not os.path.lexists(path):
        os.symlink(node, path)


def gone(name):
    """A mountpoint that is not inherited stays, as an empty folder."""
    if "mountpoint" in sets[name]:
        shutil.rmtree(sets[name]["mountpoint"])
        os.mkdir(sets[name]["mountpoint"])
    if sets.pop(name)["type"] == "volume":
        device(name, False)
    for snap in [s for s in sets if sets[s].get("deferred") and not clones(s)]:
        del sets[snap]


def options(args, known):
    got, rest, i = {}, [], 0
    while i < len(args):
        if args[i].startswith("-") and args[i][1:] in known:
            i += 1
            got.setdefault(args[i - 1], []).append(args[i])
        elif args[i].startswith("-"):
            got[args[i]] = [True]
        else:
            rest.append(args[i])
        i += 1
    props = dict(p.split("=", 1) for p in got.get("-o", []) if "=" in p)
    return got, props, rest


def numbers(props):
    return {k: int(v) if v.isdigit() else v for k, v in props.items()}


def do_list(args):
    got, _, (name,) = options(args, "odtsS")
    columns = got["-o"][0].split(",")
    kind = got.get("-t", [None])[0]
    need(name)
    if "-r" in got or "-d" in got or kind:
        names = [s for s in below(name) if sets[s]["type"] == kind]
    else:
        names = [name]
    if "-d" in got:
        names = [s for s in names if s.count("/") <= name.count("/") + (kind != "snapshot")]
    names.sort(key=lambda s: (sets[s]["txg"], s), reverse="-S" in got)
    for s in names:
        row = {"used": 77, "creation": 1700000000, "refreservation": 0, **sets[s],
            "name": s, "createtxg": sets[s]["txg"], "clones": ",".join(clones(s))}
        print(*(row.get(c, "-") for c in columns), sep="\t")


def do_create(args):
    got, props, (name,) = options(args, "oVb")
    if "-V" not in got:
        new(name, type="filesystem", **props)
        os.makedirs(props["mountpoint"])
        return
    block = int(got.get("-b", [8192])[0])
    size = -(-int(got["-V"][0]) // block) * block
    if numbers(props).get("refreservation", 0) > 1 << 30:
        die(f"cannot create '{name}': out of space")
    new(name, type="volume", volsize=size, volblocksize=block, **numbers(props))
    device(name, True)


def do_snapshot(args):
    got, _, (snap,) = options(args, "")
    name, _, tag = snap.partition("@")
    need(name)
    now = txg()
    for s in below(name) if "-r" in got else [name]:
        if "@" not in s:
            new(f"{s}@{tag}", type="snapshot")
            sets[f"{s}@{tag}"]["txg"] = now
            if "mountpoint" in sets[s]:
                shutil.copytree(sets[s]["mountpoint"], f"{here}/kept/{s}@{tag}")


def do_clone(args):
    _, props, (snap, name) = options(args, "o")
    need(snap)
    old = sets[snap.partition("@")[0]]
    new(name, type="volume", origin=snap, volsize=old["volsize"], volblocksize=old["volblocksize"], **numbers(props))
    device(name, True)


def do_rename(args):
    old, name = args
    need(old)
    if name in sets:
        die(f"cannot rename '{old}': dataset already exists")
    for s in below(old):
        sets[name + s[len(old):]] = sets.pop(s)
    device(old, False)
    device(name, True)


def do_destroy(args):
    got, _, (name,) = options(args, "")
    if "@" in name:
        base, _, tag = name.partition("@")
        need(base)
        found = [s for s in below(base) if s.endswith("@" + tag) and ("-r" in got or s == name)]
        if not found:
            die("could not find any snapshots to destroy; check snapshot names.")
    else:
        need(name)
        found = below(name)
        if len(found) > 1 and "-r" not in got:
            die(f"cannot destroy '{name}': {sets[name]['type']} has children")
    for s in found:
        outside = [c for c in clones(s) if c not in found]
        if outside and "-d" in got:
            sets[s]["deferred"] = True
            return
        if outside:
            die(f"cannot destroy '{name}': {sets[name]['type']} has dependent clones\n" + "\n".join(outside))
    busy(f"cannot destroy '{name}': dataset is busy")
    for s in found:
        if s in sets:
            gone(s)


def do_promote(args):
    (name,) = args
    origin = need(name).get("origin")
    if origin is None:
        die(f"cannot promote '{name}': not a cloned filesystem")
    base = origin.partition("@")[0]
    older = [s for s in snapshots(base) if sets[s]["txg"] <= sets[origin]["txg"]]
    for s in older:
        moved = name + s[len(base):]
        sets[moved] = sets.pop(s)
        for c in [c for c in sets if sets[c].get("origin") == s]:
            sets[c]["origin"] = moved
    del sets[name]["origin"]
    sets[base]["origin"] = name + origin[len(base):]


def do_rollback(args):
    _, _, (snap,) = options(args, "")
    need(snap)
    later = [s for s in snapshots(snap.partition("@")[0]) if sets[s]["txg"] > sets[snap]["txg"]]
    if any(clones(s) for s in later):
        die(f"cannot rollback to '{snap}': clones of previous snapshots exist")
    busy(f"cannot rollback '{snap}': dataset is busy")
    for s in later:
        del sets[s]
    at = sets[snap.partition("@")[0]].get("mountpoint")
    if at is not None:
        shutil.rmtree(at)
        shutil.copytree(f"{here}/kept/{snap}", at)


def do_set(args):
    prop, name = args
    (key, value), = numbers(dict([prop.split("=", 1)])).items()
    s = need(name)
    if key == "volsize" and value % s["volblocksize"]:
        die(f"cannot set property for '{name}': 'volsize' must be a multiple of volume block size (8K)")
    s[key] = 0 if value == "none" else value


globals()["do_" + words[0]](words[1:])
save()
