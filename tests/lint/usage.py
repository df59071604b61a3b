#!/usr/bin/env python3
"""What programs print of their commands and options agrees with their pages.

    usage.py SOURCE-ROOT PROGRAM PAGE [PROGRAM PAGE]...            TAP

A program tells its own options when it is called wrongly, its commands by
'help', and a command's options by 'help COMMAND'; a page has the first in its
SYNOPSIS and DESCRIPTION, the others as items below COMMANDS.
"""
import pathlib
import re
import subprocess
import sys

MAN_OPTION = re.compile(r"\bFl ((?:\w+|-[a-z]+)(?: \| (?:Fl )?\w\b)*)")


def said(*command):
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    return run.stdout


def usages(text):
    """the lines behind 'usage:', which go on as long as they are indented"""
    m = re.search(r"^usage:.*\n(?:[ \t]+.*\n)*", text, re.M)
    return m.group(0) if m else ""


def options_said(text):
    found = re.findall(r"(?<![\w'-])-(\w+)(?![\w-])", text)
    return {letter for word in found for letter in word}


def options_written(text):
    found = set()
    for words in MAN_OPTION.findall(text):
        for word in re.findall(r"-?\w+", words):
            if word != "Fl" and word[0] != "-":
                found.update(word)
    return found


def section(page, name):
    m = re.search(r"^\.Sh %s\n((?:(?!\.Sh ).*\n)*)" % name, page, re.M)
    return m.group(1) if m else ""


def commands_written(page):
    """of each command, what its items say behind its name"""
    found = {}
    depth = 0
    for line in section(page, "COMMANDS").splitlines():
        if line.startswith((".Bl", ".El")):
            depth += 1 if line.startswith(".Bl") else -1
        m = re.match(r"\.It Cm ([a-z-]+)(.*)", line)
        if m and depth == 1:
            found[m.group(1)] = found.get(m.group(1), "") + m.group(2) + "\n"
    return found


def commands_said(program):
    first = re.findall(r"^ *([a-z][a-z-]*) +\S", said(program, "help"), re.M)
    return {name: usages(said(program, "help", name)) for name in first
            if usages(said(program, "help", name))}


def differ(what, ours, theirs):
    return [f"{what}: {name} is only in the {'program' if name in ours else 'page'}"
            for name in sorted(ours ^ theirs)]


def faults(program, path):
    page = path.read_text()
    synopsis = options_written(section(page, "SYNOPSIS"))
    explained = options_written(section(page, "DESCRIPTION"))
    wrong = differ("synopsis", options_said(usages(said(program, "-?"))), synopsis)
    wrong += [f"-{name} is not explained" for name in sorted(synopsis - explained)]
    written = commands_written(page)
    if not written:
        return wrong
    ours = commands_said(program)
    wrong += differ("commands", set(ours), set(written))
    for name in sorted(set(ours) & set(written)):
        theirs = options_written(written[name])
        # a usage may begin with the program's own, as in 'zoneadm -z zone boot'
        wrong += differ(name, options_said(ours[name]) - (synopsis - theirs), theirs)
    return wrong


def main():
    root = pathlib.Path(sys.argv[1])
    pairs = list(zip(sys.argv[2::2], sys.argv[3::2]))
    print(f"1..{len(pairs)}")
    for i, (program, page) in enumerate(pairs, 1):
        wrong = faults(program, root / "man" / page)
        for line in wrong:
            print(f"# {page}: {line}")
        print(f"{'not ' if wrong else ''}ok {i} - {page}")


main()
