"""The suffix of the groups of a world below another root: FNV-1a of its path."""
import sys

h = 2166136261
for c in sys.argv[1].encode():
    h = (h ^ c) * 16777619 & 0xFFFFFFFF
print(f"{h:08x}")
