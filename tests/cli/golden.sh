#!/bin/bash
# Golden files of config.dump: the first line is "$ " and the arguments as a
# shell reads them, the rest is the tree they make.
#   golden.sh FILE...            compare
#   golden.sh --update FILE...   write what the program says now
set -u
BHYVE=${BHYVE:-build/cmd/bhyve/bhyve}
update=
[ "${1:-}" = --update ] && update=1 && shift
failed=0
for file in "$@"; do
	line=$(head -n 1 "$file")
	eval "set -- ${line#\$ }"
	got=$("$BHYVE" -o config.dump=1 "$@" 2>&1)
	status=$?
	text=$(printf '%s\n%s\n' "$line" "$got" | grep -v '^config\.dump=')
	if [ "$status" -ne 1 ]; then
		printf '%s: exit status %s: %s\n' "$file" "$status" "$got"
		failed=1
	elif [ -n "$update" ]; then
		printf '%s\n' "$text" >"$file"
	else
		printf '%s\n' "$text" | diff -u "$file" - || failed=1
	fi
done
exit $failed
