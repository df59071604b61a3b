"""What the guard costs a stream between two taps of a bridge: the time a frame
takes with a guard at both ends and without any, by turns. Root."""
import collections
import statistics
import subprocess


class GuardBench:
    def __init__(self, bench):
        self.bench = bench

    def all(self):
        out = subprocess.run([self.bench.b / "tests/bench/tapstream", str(self.bench.runs * 4)],
                             check=True, capture_output=True, text=True, timeout=600).stdout
        took = collections.defaultdict(list)
        for line in out.splitlines():
            size, which, ns = line.split()
            took[int(size), which].append(float(ns))
        for size in sorted({size for size, _ in took}):
            plain = statistics.median(took[size, "plain"])
            guarded = statistics.median(took[size, "guarded"])
            # a guest's stream is offloaded; single frames have the kernel's own price of a hook
            text, good = self.bench.bound_text(guarded / plain, 1.05 if size > 1514 else None, False)
            self.bench.missed += not good
            print(f"{f'guard-{size}':24} guarded {guarded:10.1f}  plain {plain:10.1f} ns/frame ratio "
                  f"{guarded / plain:6.3f}{text}", flush=True)
