# For the tests of zonecfg. ZONECFG: the program under test; ZHYVE_BRANDS: the
# folder of brands.
ZONECFG=${ZONECFG:-build/cmd/zonecfg/zonecfg}
export ZHYVE_BRANDS=${ZHYVE_BRANDS:-brands}
GOLDEN=${GOLDEN:-tests/golden}
# shellcheck source=tests/cli/wait.bash
. "$(dirname "${BASH_SOURCE[0]}")/wait.bash"

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir root
}

# Run zonecfg in this test's world: $status, $out, $err.
zonecfg() {
	status=0
	timeout -k 5 60 "$ZONECFG" -R root "$@" >.out 2>.err </dev/null || status=$?
	out=$(cat .out)
	err=$(cat .err)
}

# ok ARG...: succeeds and says nothing on stderr.
ok() {
	zonecfg "$@"
	[ "$status" -eq 0 ] && [ -z "$err" ] || {
		printf 'zonecfg %s\nstatus %s, stderr "%s"\n' "$*" "$status" "$err"
		return 1
	}
}

# refused STATUS TEXT ARG...: that status, nothing on stdout, this one line on
# stderr. A '*' in TEXT stands for anything.
refused() {
	local code=$1 want="zonecfg: $2"
	shift 2
	zonecfg "$@"
	# shellcheck disable=SC2053
	if [ "$status" -ne "$code" ] || [ -n "$out" ] || [[ $err != $want ]] ||
		[ "$(wc -l <.err)" -ne 1 ]; then
		printf 'zonecfg %s\nstatus %s, stdout "%s"\nstderr "%s"\nwanted %s "%s"\n' \
			"$*" "$status" "$out" "$err" "$code" "$want"
		return 1
	fi
}

# A zone NAME that can be committed; more statements may follow.
make_zone() {
	local name=$1
	shift
	ok -z "$name" "create; set zonepath=/zones/$name; $*"
}

# Everything below root/etc/zones but locks and counters.
files() {
	(cd root/etc/zones 2>/dev/null && ls -A | grep -v -e '^\.lock$' -e '^did.txt$' | tr '\n' ' ')
}
