# make demo, on a terminal: without /dev/kvm, and ended in every way.
# DEMO: tools/demo.sh; BUILD: the build folder; DEMO_CACHE: folder made by
# tools/image.sh; TYPED: typed.py.
bats_require_minimum_version 1.5.0
load ../cli/wait

setup() {
	[ "$(id -u)" -eq 0 ] || skip "zones need root"
	[ -f "$DEMO_CACHE/manifest.json" ] || skip "no image in $DEMO_CACHE (tools/image.sh makes it, with the network)"
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir tmp
	export TMPDIR=$PWD/tmp
}

# Neither a folder nor a supervisor.
nothing_left() {
	[ -z "$(ls tmp)" ]
	! pgrep -f "$TMPDIR/zhyve-demo" >/dev/null
}

# typed PROGRAM... <SCRIPT: as typed.py, to the files out and status
typed() {
	status=0
	python3 "$TYPED" "$@" >out 2>&1 || status=$?
	echo "exit status $status"
	cat out
}

@test "boots to a shell on a host without /dev/kvm" {
	unshare -m true 2>/dev/null || skip "this user may not make mount namespaces"
	cat >no-kvm <<-'EOF'
		set -e
		mkdir dev
		mount -t tmpfs dev dev
		for n in null zero full random urandom tty ptmx; do
			: >dev/$n
			mount --bind /dev/$n dev/$n
		done
		mkdir dev/pts
		mount --rbind /dev/pts dev/pts
		ln -s /proc/self/fd dev/fd
		mount --move dev /dev
		[ ! -e /dev/kvm ]
		exec "$@"
	EOF
	typed unshare -m sh no-kvm "$DEMO" "$BUILD" <<-'EOF'
		see list of built-in commands
		see demo#
		send echo $((6 * 7))-$(nproc)-cpus\r
		see 42-2-cpus
		send poweroff -f\r
		see Zone halted
		see VM is down: guest entered sleep state S5
	EOF
	[ "$status" -eq 0 ]
	grep -q "engine soft.*/dev/kvm" out
	wait_for nothing_left
}

@test "closing the terminal powers the guest off" {
	typed "$DEMO" "$BUILD" <<-'EOF'
		see list of built-in commands
		see demo#
		hangup
	EOF
	[ "$status" -eq 129 ]
	wait_for nothing_left
}

@test "SIGTERM presses the power button for the shell's guest" {
	cat >ended <<-'EOF'
		"$@" 3<&0 <&3 &
		until [ -e go ]; do sleep 0.2; done
		kill -TERM $!
		wait $!
	EOF
	DEMO_GRACE=120 typed sh ended "$DEMO" "$BUILD" <<-'EOF'
		see list of built-in commands
		see demo#
		touch go
		see Power down
	EOF
	[ "$status" -eq 143 ]
	wait_for nothing_left
}

@test "a guest that does not listen is ended too" {
	DEMO_GRACE=2 DEMO_SCRIPT="printf 'nobody %s\n' listens; sleep 100000" typed "$DEMO" "$BUILD" <<-'EOF'
		see nobody listens
		hangup
	EOF
	[ "$status" -eq 129 ]
	wait_for nothing_left
}
