"""Run a program on a terminal of its own and type at it.

    typed.py PROGRAM ARGUMENT... <SCRIPT

A line "send TEXT" of the script types TEXT (escapes as in Python: \\t, \\r, \\x04);
"see TEXT" waits until TEXT was printed, behind what was waited for before. Keys
for the line editor (escapes, tabs, deletes) wait until the terminal is raw: a
prompt may be seen before that. "eof" types end of file, again and again, since a terminal that changes its mode drops
it. "hangup" closes the terminal, "touch FILE" makes a file. The end of the script waits for the program. Prints what the program printed; exits
with its status, or 99 when something was not seen in time: TYPED_LIMIT seconds.
"""
import os
import pty
import select
import sys
import termios
import time

LIMIT = int(os.environ.get("TYPED_LIMIT", "60"))
EDITING = set(b"\t\x1b\x7f\x01\x05")


def main():
    script = [line.rstrip("\n") for line in sys.stdin if line.strip()]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "vt100"
        os.execvp(sys.argv[1], sys.argv[1:])
    seen = b""
    at = 0
    eof = False

    def read(seconds):
        nonlocal seen
        if not select.select([fd], [], [], seconds)[0]:
            if eof:
                os.write(fd, b"\x04")
            return True
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        seen += data
        return bool(data)

    def fail(why):
        os.write(1, seen)
        print(f"\n{why}", file=sys.stderr)
        os.kill(pid, 9)
        sys.exit(99)

    for line in script:
        word, _, text = line.partition(" ")
        data = text.encode().decode("unicode_escape").encode("latin-1")
        if word == "eof":
            eof = True
            continue
        if word == "touch":
            open(text, "w").close()
            continue
        if word == "hangup":
            os.close(fd)
            fd = -1
            break
        if word == "send":
            end = time.time() + LIMIT
            while set(data) & EDITING and termios.tcgetattr(fd)[3] & termios.ICANON:
                if time.time() > end or not read(0.02):
                    fail("the terminal never became raw")
            os.write(fd, data)
            continue
        end = time.time() + LIMIT
        while seen.find(data, at) < 0:
            if time.time() > end or not read(0.2):
                fail(f"never saw {text!r}")
        at = seen.find(data, at) + len(data)
    end = time.time() + LIMIT
    while fd >= 0 and read(0.2):
        if time.time() > end:
            fail("the program did not end")
    done, status = os.waitpid(pid, os.WNOHANG if fd < 0 else 0)
    while not done:
        if time.time() > end:
            fail("the program did not end")
        time.sleep(0.05)
        done, status = os.waitpid(pid, os.WNOHANG)
    os.write(1, seen)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
