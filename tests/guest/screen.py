"""Run a program that paints an 80x25 screen with escape codes, until it shows something.

    screen.py SECONDS WANTED REFUSED PROGRAM ARGUMENT...

WANTED and REFUSED are regular expressions over the screen's lines. Prints the last
screen. Exits 0 when WANTED was there, 1 when REFUSED was, 2 when the program ended before,
99 when the time was up. The program is asked to end (SIGTERM) and waited for.
"""
import os
import re
import select
import subprocess
import sys
import time

ROWS, COLUMNS = 25, 80
PIECE = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])|([^\x1b])|(\x1b.{0,15}$)", re.S)


class Screen:
    def __init__(self):
        self.clear()
        self.row = self.column = 0
        self.rest = b""

    def clear(self):
        self.cell = [[" "] * COLUMNS for _ in range(ROWS)]

    def feed(self, data):
        data, self.rest = self.rest + data, b""
        for m in PIECE.finditer(data):
            if m.group(4):
                self.rest = m.group(4)  # cut in the middle: the next data completes it
            elif m.group(3):
                self.character(m.group(3))
            elif m.group(2) == b"H":
                place = [int(x or 1) - 1 for x in m.group(1).split(b";")] + [0, 0]
                self.row, self.column = min(place[0], ROWS - 1), place[1]
            elif m.group(2) == b"J":
                self.clear()

    def character(self, c):
        if c == b"\r":
            self.column = 0
        elif c == b"\n":
            self.row = min(self.row + 1, ROWS - 1)
        elif c >= b" " and self.column < COLUMNS:
            self.cell[self.row][self.column] = c.decode("latin-1")
            self.column += 1

    def text(self):
        return "\n".join("".join(r).rstrip() for r in self.cell)


def watch(program, screen, end, wanted, refused):
    out = program.stdout.fileno()
    while time.time() < end:
        if select.select([out], [], [], 1)[0]:
            data = os.read(out, 65536)
            if not data:
                return 2
            screen.feed(data)
        if re.search(refused, screen.text(), re.M):
            return 1
        if re.search(wanted, screen.text(), re.M):
            return 0
    return 99


def main():
    seconds, wanted, refused = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    screen = Screen()
    program = subprocess.Popen(sys.argv[4:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    result = watch(program, screen, time.time() + seconds, wanted, refused)
    program.terminate()
    try:
        program.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
    print(screen.text().rstrip())
    return result


sys.exit(main())
