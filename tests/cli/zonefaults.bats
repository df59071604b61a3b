# kill -9 at every step, of whoever is at work; a full disk; two operators.
load zones

setup_file() {
	export ZHYVE_ZONEADMD=${ZHYVE_FAULTY:-${BUILD:-$PWD/build}/cmd/zoneadmd/zoneadmd-faults}
}

# at STEP ARG...: zoneadm, and its supervisor dies at that step, once
at() {
	local step=$1
	shift
	: >once
	ZHYVE_FAULT=$step ZHYVE_FAULT_ONCE=$PWD/once adm "$@" >said 2>&1 || true
}

steps() {
	"$ZHYVE_ZONEADMD" -F | grep "$1"
}

# Whatever happened: boot works, halt works, nothing is left.
works() {
	adm -z a boot || {
		echo "after $1: boot"
		cat "$ROOT/zones/a/logs/platform.log" said
		return 1
	}
	is a running
	adm -z a halt
	is a installed
	dismiss
	nothing_left || {
		echo "after $1"
		cat "$ROOT/zones/a/logs/platform.log" said
		return 1
	}
}

@test "the supervisor dies at each step of its start, of ready and boot" {
	zone a idle
	for step in $(steps '^start-\|^ready-\|^boot-'); do
		at "$step" -z a boot
		[ ! -e once ] || {
			echo "step $step was never reached"
			return 1
		}
		works "$step"
	done
}

@test "the supervisor dies at each step of halt" {
	zone a idle
	for step in $(steps '^halt-'); do
		for command in halt reboot; do
			: >once
			ZHYVE_FAULT=$step ZHYVE_FAULT_ONCE=$PWD/once adm -z a boot >said 2>&1
			adm -z a $command >said 2>&1 || true
			[ ! -e once ] || {
				echo "step $step was never reached"
				return 1
			}
			works "$command at $step"
		done
	done
}

@test "the zone's process dies at each step of ready and boot" {
	zone a idle
	for step in $(steps 'ready-[srbd]\|^boot-' | grep -v 'ready-begun'); do
		at "$step:zhyve" -z a boot
		[ ! -e once ] || {
			echo "step $step was never reached"
			return 1
		}
		becomes a installed # its end is noticed, of one that ran as well
		works "$step:zhyve"
	done
}

@test "the operator's program dies while it waits" {
	zone a idle
	for ms in 0.001 0.01 0.02 0.04 0.08; do
		"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a boot &
		sleep $ms
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		adm -z a boot
		is a running
		"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a halt &
		sleep $ms
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		adm -z a halt
		is a installed
	done
	dismiss
	nothing_left
}

@test "install is killed at any moment: uninstall and install work" {
	cfg -z a "create; set zonepath=/zones/a; add disk; set path=/zones/a/disk0; set size=1M; end"
	for ms in 0.001 0.002 0.004 0.006 0.008 0.01 0.02; do
		"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a install &
		sleep $ms
		kill -KILL $! 2>/dev/null || true
		wait $! 2>/dev/null || true
		[ "$(state a)" = configured ] || adm -z a uninstall -F
		is a configured
	done
	adm -z a install
	is a installed
}

# One supervisor of a, with one child.
one_of_each() {
	local one
	one=$(supervisors a)
	[ "$(echo "$one" | wc -w)" -eq 1 ] && [ "$(pgrep -P "$one" | wc -l)" -eq 1 ]
}

@test "two operators at once" {
	zone a idle
	for _ in 1 2 3; do
		for command in boot boot ready halt boot; do
			adm -z a $command >/dev/null 2>&1 &
		done
		wait
		adm -z a boot
		is a running
		wait_for one_of_each # those that were too late end
		adm -z a halt
	done
	for i in 1 2 3 4; do
		cfg -z "z$i" "create; set zonepath=/zones/z$i" &
	done
	wait
	for i in 1 2 3 4; do
		adm -z "z$i" install &
		adm -z "z$i" install 2>/dev/null &
	done
	wait
	[ "$(adm list -cpn | grep -c ':installed:')" -eq 5 ]
}

teardown() {
	stop_world
	! mountpoint -q small || umount -l small
}

@test "a full disk loses no configuration and stops no guest" {
	mkdir small
	mount -t tmpfs -o size=256k tmpfs small || skip "no tmpfs here"
	ROOT=$PWD/small
	zone a idle
	adm -z a boot
	cat root/etc/zones/a.xml 2>/dev/null >before || cp small/etc/zones/a.xml before
	dd if=/dev/zero of=small/fill bs=4k 2>/dev/null || true
	cfg -z a "set autoboot=true; add attr; set name=big; set type=string; set value=$(printf 'x%.0s' $(seq 8000)); end" 2>/dev/null || true
	cfg -z a verify
	adm list -n | grep -q '^a$'
	adm -z a halt || true
	rm small/fill
	adm -z a halt
	is a installed
	adm -z a boot
	is a running
	adm -z a halt
	dismiss
	# the metadata server of this root ends some seconds after its last zone
	wait_for umount small 2>/dev/null
	ROOT=$PWD/root
}

@test "a zone that runs out of its memory says so" {
	grep -q '^memory.*1$' /proc/cgroups || skip "no memory controller"
	zone a idle
	cfg -z a "select capped-memory; set physical=1M; end"
	! adm -z a boot 2>err
	grep -q "out of memory" err
	is a installed
}
