#!/bin/sh
# The linters: format, static analysis, manual pages, shell syntax, sizes.
# Each prints a line "ok NAME" or its complaints and "not ok NAME"; the last
# line is "N passed, N failed".
cd "$(dirname "$0")/.." || exit 99
passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
run()
{
	name=$1
	shift
	if "$@" >"$out" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		head -n 60 "$out"
		echo "not ok $name"
	fi
}
format()
{
	git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
}
analyse()
{
	git ls-files 'src/*.c' 'cmd/*.c' 'brands/*.c' | xargs cppcheck -q -j2 -Isrc -D_GNU_SOURCE \
		--std=c11 --enable=warning,portability --inline-suppr \
		--suppressions-list=tools/cppcheck.suppress --error-exitcode=1
}
manuals()
{
	set -- $(git ls-files 'man/*.[0-9]')
	[ $# -gt 0 ] && mandoc -T lint -W warning "$@"
}
shells()
{
	for f in $(git ls-files '*.sh' tools/guest-init); do
		sh -n "$f" || return 1
	done
}
sizes()
{
	git ls-files 'src/*.c' 'cmd/*.c' 'brands/*.c' | xargs wc -l |
		awk '$2 != "total" && $1 > 900 { print $2 ": " $1 " lines; is a seam missing?"; bad = 1 }
			END { exit bad }'
}
run format format
run cppcheck analyse
run mandoc manuals
run shells shells
run sizes sizes
run whitespace git diff --check 4b825dc642cb6eb9a060e54bf8d69288fbee4904 HEAD -- ':!tests/fuzz/corpus' ':!tests/golden' ':!tests/cli/*-tty.bats'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
