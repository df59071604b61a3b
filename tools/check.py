#!/usr/bin/env python3
"""make check: build in every way that matters, run every test, count.

Stages: release-like gcc build with the whole suite; the same under ASan and
UBSan; TSan over the threaded units; a clang build with warnings as errors; the
fuzz targets for a bounded time each. The closing line is the sum of what the
tests themselves reported: "N passed, N failed, N skipped". A stage that ran
nothing, or a test program that ended without its plan, counts as failed.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent
LOG = "meson-logs/testlog.json"
SHOWN = 40  # lines of each stream of a test that failed
TAP = re.compile(r"^(not ok|ok)\b(.*)$")
SKIP = re.compile(r"#\s*skip", re.I)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.reasons = {}

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text):
    print(text, flush=True)


def run(cmd, log, env=None, timeout=None):
    with open(log, "ab") as f:
        f.write(f"$ {' '.join(map(str, cmd))}\n".encode())
        f.flush()
        p = subprocess.Popen(cmd, cwd=TOP, stdin=subprocess.DEVNULL, stdout=f,
                             stderr=subprocess.STDOUT, start_new_session=True,
                             env={**os.environ, **(env or {})})
        try:
            return p.wait(timeout)
        except subprocess.TimeoutExpired:
            return 124
        finally:  # also when we are interrupted: nothing of it stays
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGTERM)
                try:
                    p.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()


def tail(log, n=40):
    lines = pathlib.Path(log).read_text(errors="replace").splitlines()
    for line in lines[-n:]:
        say("  | " + line)


def count_tap(text):
    """(passed, failed, skipped, plan matches)"""
    p = f = s = 0
    plan = None
    for line in text.splitlines():
        m = re.match(r"1\.\.(\d+)", line)
        if m:
            plan = int(m.group(1))
            continue
        m = TAP.match(line)
        if not m:
            continue
        if SKIP.search(m.group(2)):
            s += 1
        elif m.group(1) == "ok":
            p += 1
        else:
            f += 1
    whole = plan is not None and plan == p + f + s and "Bail out!" not in text
    return p, f, s, whole


def results(build):
    """what meson has written: a line a test; the last one may be cut"""
    for line in (TOP / build / LOG).read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def show(build, t):
    """enough of a test that failed to see why: its command, the end of what it said"""
    say(f"FAILED {build}: {t['name']} ({t['result']}, exit {t.get('returncode')}, "
        f"{t.get('duration', 0):.0f} s)")
    env = " ".join(f"{k}={shlex.quote(v)}" for k, v in t.get("env", {}).items()
                   if os.environ.get(k) != v)
    say(f"  $ {env} {shlex.join(t.get('command', []))}")
    out, err = (t.get(k, "").splitlines() for k in ("stdout", "stderr"))
    # what bats says of a test stands behind its "not ok", the command first
    at = [i for i, x in enumerate(out) if TAP.match(x)] + [len(out)]
    bad = [out[i:j] for i, j in zip(at, at[1:]) if out[i].startswith("not ok")]
    for part in bad[:5] or [out]:
        if len(part) > SHOWN:
            part = part[:5] + ["[...]"] + part[-SHOWN:]
        for x in part:
            say("  | " + x)
    for x in err[-SHOWN:]:
        say("  | " + x)


def collect(build, tally):
    ran = 0
    for t in results(build):
        ran += 1
        p, f, s, whole = count_tap(t.get("stdout", ""))
        if p + f + s == 0 and "1.." not in t.get("stdout", ""):
            # not a TAP program: its exit status is its one test
            p, whole = int(t["result"] in ("OK", "EXPECTEDFAIL")), True
        if t["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and f == 0:
            f, whole = 1, True
        if not whole and f == 0:
            f = 1
        if f:
            show(build, t)
        for x in t.get("stdout", "").splitlines():
            if TAP.match(x) and SKIP.search(x):
                tally.reasons[re.sub(r"^(not )?ok \d+ -? ?", "", x)] = t["name"]
        tally.add(p, f, s)
    return ran


def introspect(build, what):
    return json.loads(subprocess.run(["meson", "introspect", build, "--" + what], cwd=TOP,
                                     check=True, stdout=subprocess.PIPE).stdout)


def needed(build, suites):
    """files that the tests of these suites are made of, relative to the build"""
    files = {t["id"]: t["filename"] for t in introspect(build, "targets")}
    want = {d for t in introspect(build, "tests") for d in t["depends"]
            if {x.rpartition(":")[2] for x in t["suite"]} & set(suites)}
    return sorted(os.path.relpath(f, TOP / build) for d in want for f in files[d])


def ours():
    """processes of programs of this tree's builds"""
    pids = set()
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            if os.readlink(exe).startswith(str(TOP / "build")):
                pids.add(int(exe.parts[2]))
        except OSError:
            pass
    return pids


def stage(name, build, setup, tally, suites=None, without=None, env=None, sparse=False,
          args=(), timeout=2400):
    """sparse: build only what the tests of the suites need"""
    t0 = time.time()
    log = f"/tmp/zhyve-check-{os.getpid()}-{build}.log"
    if not (TOP / build / "build.ninja").exists():
        rc = run(["meson", "setup", build, *setup], log, env)
    else:
        rc = 0
    targets = needed(build, suites) if sparse and rc == 0 else []
    rc = rc or run(["ninja", "-C", build, *targets], log, env)
    if rc != 0:
        say(f"FAILED {name}: it does not build")
        tail(log)
        tally.add(failed=1)
        return
    cmd = ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"]
    for s in suites or []:
        cmd += ["--suite", s]
    for s in without or []:
        cmd += ["--no-suite", s]
    (TOP / build / LOG).unlink(missing_ok=True)  # of a former run
    failed, before = tally.failed, ours()
    rc = run(cmd + list(args), log, env, timeout=timeout)
    for pid in ours() - before:  # zones of a test whose time was up
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    ran = collect(build, tally) if (TOP / build / LOG).exists() else 0
    if rc == 124:
        say(f"FAILED {name}: not at its end after {timeout} s; the rest was not run")
    elif ran == 0:
        say(f"FAILED {name}: no test ran")
    elif rc != 0 and tally.failed == failed:
        say(f"FAILED {name}: exit {rc} of {' '.join(cmd)}")
    if (rc != 0 or ran == 0) and tally.failed == failed:
        tail(log)
        tally.add(failed=1)
    say(f"{name}: {ran} test programs, {time.time() - t0:.0f} s; so far {tally.line()}")
    os.unlink(log)


def fuzz_one(exe, corpus, seconds):
    work = f"/tmp/zhyve-fuzz-{os.getpid()}-{exe.name}"
    os.makedirs(work, exist_ok=True)
    try:
        p = subprocess.run([exe, f"-max_total_time={seconds}", "-rss_limit_mb=2048",
                            "-timeout=30", "-print_final_stats=1", f"-artifact_prefix={work}/",
                            work, corpus],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=seconds * 4 + 300)
    except subprocess.TimeoutExpired as e:
        return exe.name, 124, (e.stdout or b"").decode(errors="replace"), work
    return exe.name, p.returncode, p.stdout.decode(errors="replace"), work


def fuzz(seconds, tally):
    t0 = time.time()
    build = "build-fuzz"
    log = f"/tmp/zhyve-check-{os.getpid()}-fuzz.log"
    rc = 0
    if not (TOP / build / "build.ninja").exists():
        rc = run(["meson", "setup", build, "-Dfuzzer=true", "-Db_sanitize=address,undefined",
                  "-Db_lundef=false", "-Dbuildtype=debugoptimized"], log,
                 {"CC": "clang"})
    targets = [] if rc else [
        os.path.relpath(f, TOP / build) for t in introspect(build, "targets")
        if t["type"] == "executable" and t["name"].startswith("fuzz_") for f in t["filename"]]
    rc = rc or run(["ninja", "-C", build, *targets], log)
    if rc != 0:
        say("FAILED fuzz: it does not build")
        tail(log)
        tally.add(failed=1)
        return
    exes = sorted(p for p in (TOP / build / "tests/fuzz").glob("fuzz_*")
                  if p.is_file() and os.access(p, os.X_OK))
    if not exes:
        say("FAILED fuzz: no target was built")
        tally.add(failed=1)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        jobs = [pool.submit(fuzz_one, e, TOP / "tests/fuzz/corpus" / e.name[5:], seconds)
                for e in exes]
        for j in jobs:
            name, rc, out, work = j.result()
            runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", out)
            if rc != 0 or runs is None:
                say(f"FAILED {name}: exit {rc}; artefacts in {work}")
                for x in out.splitlines()[-40:]:
                    say("  | " + x)
                tally.add(failed=1)
            else:
                subprocess.run(["rm", "-rf", work], check=False)
                tally.add(passed=1)
                say(f"{name}: {runs.group(1)} runs in {seconds} s, no crash")
    say(f"fuzz: {time.time() - t0:.0f} s; so far {tally.line()}")


def fetch(long):
    """What the tests boot: the only part that needs the network, once."""
    cache = TOP / "tests/.cache"
    subprocess.run([TOP / "tools/kernel.sh", cache / "linux"], check=False)
    subprocess.run([TOP / "tools/kernel.sh", cache / "linux-6.12", "6.12"], check=False)
    subprocess.run([TOP / "tools/kernel.sh", cache / "linux-full", "full"], check=False)
    subprocess.run([TOP / "tools/cloudinit.sh", cache / "cloudinit"], check=False)
    subprocess.run([TOP / "tools/image.sh", TOP / "build", "busybox", cache / "busybox"], check=False)
    if long:
        subprocess.run([TOP / "tools/rootfs.sh", cache / "debian"], check=False)
        subprocess.run([TOP / "tools/zfs.sh", cache / "zfs"], check=False)
        subprocess.run([TOP / "tools/image.sh", TOP / "build", "debian-12", cache / "debian-12"], check=False)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--long", action="store_true", help="longer fuzzing and engine runs")
    ap.add_argument("--fuzz-seconds", type=int, default=None)
    ap.add_argument("--only", help="stages by name, commas between")
    a = ap.parse_args()
    only = a.only.split(",") if a.only else None
    seconds = a.fuzz_seconds if a.fuzz_seconds is not None else (600 if a.long else 10)
    tally = Tally()
    t0 = time.time()
    san = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:allocator_may_return_null=1",
           "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1"}

    fetch(a.long)
    stages = {
        "gcc": lambda: stage("gcc", "build", [], tally, args=["--setup", "long"] if a.long else [],
                             timeout=7200 if a.long else 2400),
        "asan": lambda: stage("asan+ubsan", "build-asan",
                              ["-Db_sanitize=address,undefined", "-Db_lundef=false"], tally,
                              env=san, without=["linux"], args=["--timeout-multiplier", "4"]),
        "tsan": lambda: stage("tsan", "build-tsan", ["-Db_sanitize=thread", "-Db_lundef=false"],
                              tally, suites=["threads"], sparse=True, args=["--timeout-multiplier", "4"]),
        "clang": lambda: stage("clang", "build-clang", [], tally, suites=["unit"],
                               env={"CC": "clang"}),
        "fuzz": lambda: fuzz(seconds, tally),
    }
    for name, one in stages.items():
        if only is not None and name not in only:
            continue
        try:
            one()
        except Exception:  # the others are still to run, and the sum to be told
            say(f"FAILED {name}: it ended early")
            say(traceback.format_exc())
            tally.add(failed=1)
    for reason, name in sorted(tally.reasons.items()):
        say(f"skipped in {name}: {reason}")
    if tally.passed == 0:
        tally.add(failed=1)
    say(f"check: {time.time() - t0:.0f} s")
    say(tally.line())
    return 1 if tally.failed else 0


sys.exit(main())
