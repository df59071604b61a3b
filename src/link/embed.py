#!/usr/bin/env python3
"""Write a file as a C array: embed.py INPUT OUTPUT NAME."""
import sys

data = open(sys.argv[1], "rb").read()
name = sys.argv[3]
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write(f'#include "link/guard_impl.h"\n\nconst unsigned long {name}_size = {len(data)};\n'
              f"__attribute__((aligned(8))) const unsigned char {name}[] = {{\n")
    for i in range(0, len(data), 24):
        out.write("".join(f"{b}," for b in data[i:i + 24]) + "\n")
    out.write("};\n")
