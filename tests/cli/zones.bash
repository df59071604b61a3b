# For tests with zones that run: a world of the test's own below root/.
# BUILD: the build folder; ENGINE: what runs the guests.
BUILD=${BUILD:-$PWD/build}
ENGINE=${ENGINE:-soft}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export ZHYVE_BRANDS=${ZHYVE_BRANDS:-$BUILD/brands}
export ZHYVE_ZONEADMD=${ZHYVE_ZONEADMD:-$BUILD/cmd/zoneadmd/zoneadmd}
GUESTS=${GUESTS:-$BUILD/tests/guest}
# shellcheck source=tests/cli/wait.bash
. "$HERE/wait.bash"

setup() {
	[ "$(id -u)" -eq 0 ] || skip "zones need root"
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir root
	ROOT=$PWD/root
}

# Whatever a test did: no process of its world stays.
teardown() {
	stop_world
}

stop_world() {
	[ -n "${ROOT:-}" ] || return 0
	local z
	for z in $(adm list -cn 2>/dev/null); do
		unset ZHYVE_FAULT
		adm -z "$z" halt >/dev/null 2>&1 || true
	done
	pids=$(supervisors)
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
}

cfg() {
	timeout -k 5 60 "$BUILD/cmd/zonecfg/zonecfg" -R "$ROOT" "$@"
}
adm() {
	timeout -k 5 120 "$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" "$@"
}

# Process ids of this world's supervisors, of one zone's if it is named: leaders
# of their sessions, not what they have forked or what has just started them.
supervisors() {
	local pid stat
	for pid in $(pgrep -f "zoneadmd[a-z-]* -z ${1:-[^ ]*} -R $ROOT\$"); do
		read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
		# shellcheck disable=SC2086
		set -- "${1:-}" ${stat##*) }
		[ "$5" -ne "$pid" ] || echo "$pid"
	done
}

# zone NAME GUEST [STATEMENT...]: configured and installed
zone() {
	local name=$1 guest=$2
	shift 2
	cfg -z "$name" "create; set zonepath=/zones/$name
		add guest; set kernel=$GUESTS/$guest.elf; set engine=$ENGINE; ${CMDLINE:+set cmdline=\"$CMDLINE\";} end
		add capped-memory; set guest=32M; end; $*"
	adm -z "$name" install
}

# state NAME: as list has it
state() {
	adm list -cp | awk -F: -v z="$1" '$2 == z { print $3 }'
}

# is NAME STATE
is() {
	local got
	got=$(state "$1")
	[ "$got" = "$2" ] || {
		echo "zone $1 is '$got', wanted '$2'"
		cat "$ROOT/zones/$1/logs/platform.log" 2>/dev/null
		return 1
	}
}

# becomes NAME STATE: soon
becomes() {
	wait_for is "$1" "$2" >/dev/null || is "$1" "$2"
}

# shows TEXT FILE: the file gets that text, soon
shows() {
	wait_for has "$@" || {
		tail -n 100 "$2"
		return 1
	}
}

# The supervisors of this world end, as if they had nothing to do.
dismiss() {
	local pid
	for pid in $(supervisors); do
		kill "$pid" 2>/dev/null || true
	done
	wait_for dismissed
}
dismissed() {
	[ -z "$(supervisors)" ]
}

# The process that is the zone.
pid_of() {
	pgrep -P "$(supervisors "$1")" -x zhyve
}

# refuses TEXT ARG...: zoneadm exits 1 and says it. '*' stands for anything.
refuses() {
	local want="zoneadm: $1" got status=0
	shift
	got=$(adm "$@" 2>&1 >/dev/null) || status=$?
	# shellcheck disable=SC2053
	if [ "$status" -ne 1 ] || [[ $got != $want ]]; then
		printf 'zoneadm %s\nstatus %s: %s\nwanted: %s\n' "$*" "$status" "$got" "$want"
		return 1
	fi
}

# Nothing of the world's zones is left: processes, groups, sockets, records.
nothing_left() {
	local left hash
	left=$(find "$ROOT/run" "$ROOT/zones" \( -name '*.sock' -o -name state -o \
		-name snapshot.xml -o -name zhyve.cmd -o -name exit -o -name '.*.new' \) 2>/dev/null || true)
	hash=${HASH:=$(python3 "$HERE/fnv.py" "$ROOT")}
	left+=$(find /sys/fs/cgroup -maxdepth 5 -type d -name "zhyve-*-$hash" 2>/dev/null)
	left+=$(pgrep -f "zoneadmd[a-z-]* -z [^ ]* -R $ROOT\$" || true)
	[ -z "$left" ] || {
		echo "left behind: $left"
		return 1
	}
}
