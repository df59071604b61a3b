#!/usr/bin/env python3
"""sniff.py LINK OUT: count marked frames on a link; OUT has one line for each
kind of mark, replaced whenever a count changes. Writes OUT first when it
listens."""
import os
import socket
import sys

link, out = sys.argv[1:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((link, 0))
counts = {b"LIE!": 0, b"TRUTH": 0}


def write():
    with open(out + ".new", "w") as f:
        for mark, n in counts.items():
            f.write(f"{mark.decode()} {n}\n")
    os.rename(out + ".new", out)


write()
while True:
    frame = s.recv(65536)
    for mark in counts:
        if mark in frame:
            counts[mark] += 1
            write()
