# What a running machine shows the host: consoles, signals, locks, links, what
# is left behind. BHYVE: the program; GUESTS: folder of test guests; ENGINE.
bats_require_minimum_version 1.5.0
load ../cli/wait

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 16M disk.img
}

teardown() {
	for p in $(jobs -p); do
		kill -9 "$p" 2>/dev/null || true
	done
	wait 2>/dev/null || true
}

# Start in the background: start GUEST CMDLINE OPTION...; output in out, err.
start() {
	local guest=$1 cmdline=$2
	shift 2
	"$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -o engine="$ENGINE" \
		-o boot.kernel="$GUESTS/$guest.elf" -o boot.cmdline="$cmdline" "$@" vm \
		</dev/null >out 2>err 3>&- &
	pid=$!
}

# Until TEXT stands in FILE.
await() {
	wait_for has "$@" || {
		cat "$2" out err
		return 1
	}
}

finish() {
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq "$1" ] || {
		echo "exit status $status, expected $1"
		cat out err
		return 1
	}
}

@test "SIGTERM presses the power button" {
	start ends end=button -l com1,stdio
	await "waiting for the button" out
	kill -TERM "$pid"
	finish 1
	grep -q "ok 2 - PWRBTN_STS" out
}

@test "SIGTERM powers off a guest that never enabled ACPI" {
	start ends end=hang -l com1,stdio
	await "1\.\.1" out
	kill -TERM "$pid"
	finish 1
}

@test "the log says why the machine stopped" {
	start ends end=triple -l com1,stdio
	finish 3
	grep -q "triple" err
}

@test "com1 on a UNIX socket, boot held until a client is there" {
	start ends end=poweroff -l com1,socket,com.sock,wait
	wait_for test -S com.sock
	sleep 0.3 # nothing
	kill -0 "$pid"
	socat -u UNIX-CONNECT:com.sock - >client
	finish 1
	grep -q "ok 1 - running" client
	[ ! -e com.sock ]
}

@test "com1 over TCP" {
	port=$(free_port)
	start ends end=hang -l com1,tcp=127.0.0.1:$port
	wait_for socat -T1 - TCP:127.0.0.1:$port </dev/null >client 2>/dev/null
	kill -TERM "$pid"
	finish 1
}

@test "com1 on a pseudo-terminal" {
	socat PTY,link=pty,rawer PIPE:/dev/null >/dev/null 2>&1 3>&- &
	wait_for test -e pty
	start ends end=poweroff -l com1,"$(readlink -f pty)"
	finish 1
}

@test "virtio-console carries data both ways" {
	start vcon "" -l com1,stdio -s 5,virtio-console,org.zhyve.1="$PWD/con.sock"
	await "port 1 event 7" out
	(
		echo hello from the host
		wait_for has "HELLO FROM THE HOST" client >&2
	) | socat - UNIX-CONNECT:con.sock >client
	finish 1
	has "HELLO FROM THE HOST" client
	! grep -q "^not ok" out
	[ ! -e con.sock ]
}

@test "two writers cannot have one image" {
	start ends end=hang -l com1,stdio -s 4,virtio-blk,disk.img
	await "1\.\.1" out
	run ! "$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -s 4,virtio-blk,disk.img -o engine="$ENGINE" \
		-o boot.kernel="$GUESTS/ends.elf" other
	[ "$status" -eq 4 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ ${lines[0]} == *disk.img*"in use"* ]]
	run ! "$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -s 4,virtio-blk,disk.img,ro -o engine="$ENGINE" \
		-o boot.kernel="$GUESTS/ends.elf" other
	[ "$status" -eq 4 ]
	kill -9 "$pid"
	wait "$pid" || true
	# the lock goes with the process
	start ends end=poweroff -l com1,stdio -s 4,virtio-blk,disk.img
	finish 1
}

@test "kill -9 leaves a socket that the next start takes over" {
	start ends end=hang -l com1,socket,com.sock
	wait_for test -S com.sock
	kill -9 "$pid"
	wait "$pid" || true
	[ -S com.sock ]
	start ends end=poweroff -l com1,socket,com.sock
	finish 1
}

@test "a second machine does not steal a live socket" {
	start ends end=hang -l com1,socket,com.sock
	wait_for test -S com.sock
	run ! "$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -l com1,socket,com.sock -o engine="$ENGINE" \
		-o boot.kernel="$GUESTS/ends.elf" other
	[ "$status" -eq 4 ]
	[[ $output == *com.sock* ]]
	[ -S com.sock ]
}

@test "more memory than the host has is refused before the start" {
	run ! "$BHYVE" -m 4T -s 0,hostbridge -s 31,lpc -o engine="$ENGINE" \
		-o boot.kernel="$GUESTS/ends.elf" vm
	[ "$status" -eq 4 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ ${lines[0]} == *"-m 4T"* ]]
}

@test "memory above 4 GiB" {
	start tables cpus=1 -m 6G -l com1,stdio -s 4,virtio-blk,disk.img
	finish 1
	grep -q "# 100000000 + " out
	! grep -q "^not ok" out
}

@test "memory beyond the host's with overcommit" {
	start ends end=poweroff -m 64G -l com1,stdio -o memory.overcommit=true
	finish 1
}

@test "pinned to one host CPU" {
	start ends end=hang -l com1,stdio -p 0:1
	await "1\.\.1" out
	found=
	for t in /proc/"$pid"/task/*; do
		grep -q "^Cpus_allowed_list:[[:space:]]*1$" "$t/status" && found=1
	done
	[ -n "$found" ]
	kill -TERM "$pid"
	finish 1
}

@test "a tap in a network of its own carries frames" {
	command -v unshare >/dev/null && unshare -n true 2>/dev/null ||
		skip "this user may not make network namespaces"
	cat >inner <<-'EOF'
		ip tuntap add tap0 mode tap && ip link set tap0 up || exit 99
		exec "$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine="$ENGINE" \
			-s 6,virtio-net,tap0 -o boot.kernel="$GUESTS/vnet.elf" vm
	EOF
	export BHYVE GUESTS ENGINE
	status=0
	unshare -n sh inner </dev/null >out 2>err || status=$?
	cat out err
	[ "$status" -eq 1 ]
	grep -q "^1\.\." out
	! grep -q "^not ok" out
}

@test "no thread or file of a stopped machine stays" {
	before=$(ls | sort)
	start ends end=poweroff -l com1,stdio -s 4,virtio-blk,disk.img -s 7,virtio-rnd
	finish 1
	[ "$(ls | grep -vx -e out -e err | sort)" = "$(echo "$before" | grep -vx -e out -e err)" ]
}

# Voluntary context switches of the main loop so far.
switches() {
	awk '/^voluntary/ { print $2 }' "/proc/$pid/task/$pid/status"
}

@test "a masked periodic PIT does not wake the main loop" {
	start pit "" -l com1,stdio
	await "MASKED" out
	before=$(switches)
	after=$before looks=0
	# the last look while it rests: behind that it is busy, and soon gone
	for _ in $(seq 600); do
		now=$(switches 2>/dev/null) || break
		! grep -q AGAIN out || break
		after=$now
		looks=$((looks + 1))
		sleep 0.1
	done
	[ "$looks" -ge 3 ]
	echo "$((after - before)) wake-ups in about 2 s at 1 kHz"
	finish 1
	cat out
	! grep -q "^not ok" out
	[ $((after - before)) -lt 200 ]
}
