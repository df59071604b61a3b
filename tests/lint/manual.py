#!/usr/bin/env python3
"""The manual pages agree with the program's tables, both directions.

    manual.py SOURCE-ROOT KEYS-PROGRAM PAGE...            TAP
    manual.py SOURCE-ROOT KEYS-PROGRAM PAGE... --update   rewrite their rows

In the pages, text between a line '.\\" SECTION' and '.\\" end' belongs to a
section that the program knows. The rows of "keys" and "aliases" are the
program's own lines; in "options", "devices" and "lpc" a person writes and the
names must be the same; "unbuilt" is the list of device names.
"""
import pathlib
import re
import subprocess
import sys

ROWS = ("keys ", "aliases")


def program_sections(exe):
    text = subprocess.run([exe], check=True, capture_output=True, text=True).stdout
    return {name: body for name, _, body in
            (part.partition("\n") for part in text.split("\x01")[1:])}


def page_sections(path):
    pattern = re.compile(r'^\.\\" ((?:keys )?[a-z][\w.-]*)\n((?:.*\n)*?)^\.\\" end\n', re.M)
    return {m.group(1): m.group(2) for m in pattern.finditer(path.read_text())}


def first_words(text):
    return {line.split()[0] for line in text.splitlines() if line and line[0] not in " U"}


def wanted(name, body):
    if name == "options":
        return set(re.findall(r"^  -(\w)", body, re.M))
    if name == "unbuilt":
        return set(body.split())
    return first_words(body)


def found(name, body):
    if name == "options":
        return set(re.findall(r"^\.It Fl (\w)\b", body, re.M))
    if name == "unbuilt":
        return set(re.findall(r"[\w-]+", re.sub(r"\.Cm|\band\b", "", body)))
    if name == "commands":
        return set(re.findall(r"^\.It Cm ([\w-]+)", body, re.M))
    # names of an item: what stands before its argument
    names = set()
    for item in re.findall(r"^\.It Cm (.*)$", body, re.M):
        names.update(w for w in re.split(r" Ns | , N?s? ?| , |,? ", item.split(" Ns ")[0])
                     if re.fullmatch(r"[a-z][\w-]*", w))
    return names


def update(pages, sections):
    for path in pages:
        text = path.read_text()
        for name, body in sections.items():
            if name.startswith(ROWS):
                text = re.sub(r'(^\.\\" %s\n)(?:.*\n)*?(^\.\\" end\n)' % re.escape(name),
                              lambda m: m.group(1) + body + m.group(2), text, flags=re.M)
        path.write_text(text)


def main():
    root, exe = pathlib.Path(sys.argv[1]), sys.argv[2]
    pages = [root / "man" / page for page in sys.argv[3:] if page != "--update"]
    sections = program_sections(exe)
    if "--update" in sys.argv:
        update(pages, sections)
        return
    written = {}
    for path in pages:
        written.update(page_sections(path))
    names = sorted(set(sections) | set(written))
    print(f"1..{len(names)}")
    for i, name in enumerate(names, 1):
        problem = ""
        if name not in written:
            problem = "no such section in the manual"
        elif name not in sections:
            problem = "the program has no such table"
        elif name.startswith(ROWS):
            if sections[name] != written[name]:
                problem = "rows differ; run tests/lint/manual.py with --update"
        else:
            program, manual = wanted(name, sections[name]), found(name, written[name])
            if program != manual:
                problem = (f"only in the program: {sorted(program - manual)}, "
                           f"only in the manual: {sorted(manual - program)}")
        print(f"{'not ok' if problem else 'ok'} {i} - manual: {name}" +
              (f"\n# {problem}" if problem else ""))


main()
