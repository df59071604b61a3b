# For all tests of the command line. BHYVE: the program under test; GOLDEN:
# tests/golden; GUESTS: the folder with the test guests.
BHYVE=${BHYVE:-build/cmd/bhyve/bhyve}
GOLDEN=${GOLDEN:-tests/golden}
GUESTS=${GUESTS:-build/tests/guest}
# shellcheck source=tests/cli/wait.bash
. "$(dirname "${BASH_SOURCE[0]}")/wait.bash"

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# ENGINE: what the environment says, else KVM where it may be opened.
pick_engine() {
	[ -z "${ENGINE:-}" ] || return 0
	ENGINE=soft
	if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		ENGINE=kvm
	fi
}

# Run bhyve: $status, $out (stdout), $err (stderr), both also as files.
bhyve() {
	status=0
	timeout -k 5 60 "$BHYVE" "$@" >"$BATS_TEST_TMPDIR/.out" \
		2>"$BATS_TEST_TMPDIR/.err" </dev/null || status=$?
	out=$(cat "$BATS_TEST_TMPDIR/.out")
	err=$(cat "$BATS_TEST_TMPDIR/.err")
}

# refused TEXT ARG...: exit status 4, nothing on stdout, exactly this one line
# on stderr. A '*' in TEXT stands for anything.
refused() {
	local want="bhyve: $1"
	shift
	bhyve "$@"
	# shellcheck disable=SC2053
	if [ "$status" -ne 4 ] || [ -n "$out" ] || [[ $err != $want ]] ||
		[ "$(wc -l <"$BATS_TEST_TMPDIR/.err")" -ne 1 ]; then
		printf 'bhyve %s\nstatus %s, stdout "%s"\nstderr "%s"\nwanted "%s"\n' \
			"$*" "$status" "$out" "$err" "$want"
		return 1
	fi
}

# Nothing may be left in the test's folder but what is named.
left_behind() {
	local rest
	rest=$(find . -mindepth 1 ! -name .out ! -name .err | sort | tr '\n' ' ')
	[ "$rest" = "$1" ] || {
		echo "left behind: $rest"
		return 1
	}
}
