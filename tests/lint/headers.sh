#!/bin/sh
# Every header compiles alone, but for parts of the guard's program, which has
# one of its own kind of each function they declare. Prints TAP.
cd "$1" || exit 99
n=0 bad=0
# headers of libraries that are not in the compiler's path
libs=$(pkg-config --cflags libxml-2.0 libnl-route-3.0 2>/dev/null)
for h in $(find src -name '*.h' | sort); do
	case $h in
	src/link/guard_frame.h | src/link/guard_dhcp.h | src/link/guard_rules.h) continue ;;
	esac
	n=$((n + 1))
	if printf '#include "%s"\n' "${h#src/}" | ${CC:-cc} -std=gnu17 -D_GNU_SOURCE \
		-Wall -Wextra -Wno-unused-parameter -Wno-unused-function -Werror -Isrc $libs -xc -fsyntax-only - 2>/tmp/h.$$; then
		echo "ok $n - $h"
	else
		bad=1
		sed 's/^/# /' /tmp/h.$$
		echo "not ok $n - $h"
	fi
done
rm -f /tmp/h.$$
echo "1..$n"
exit $bad
