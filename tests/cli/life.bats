# A machine's life seen from outside: signals, log, exit status, host CPUs.
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	pick_engine
	M="-m 32 -o engine=$ENGINE"
	bhyve $M -o "boot.kernel=$GUESTS/first.elf" vm0
	[ "$status" -ne 4 ] || skip "no engine here: $err"
	[ "$status" -eq 1 ]
}

teardown() {
	[ -z "${PID:-}" ] || { kill -KILL "$PID" && wait "$PID"; } 2>/dev/null || true
}

# start WORD GUEST ARG...: run in the background until the guest prints WORD
start() {
	local word=$1 guest=$2
	shift 2
	${UNDER:-} "$BHYVE" $M -s 31,lpc -l com1,stdio -o "boot.kernel=$GUESTS/$guest.elf" \
		"$@" vm0 >.guest 2>.log </dev/null 3>&- &
	PID=$!
	says "$word" .guest
}

says() {
	wait_for has "$@" || {
		cat .guest .log
		return 1
	}
}

# The process ends with this status, soon.
ends_with() {
	local got=0
	wait_for ended "$PID" || {
		cat .guest .log
		return 1
	}
	wait "$PID" || got=$?
	PID=
	[ "$got" -eq "$1" ] || {
		echo "exit status $got, wanted $1"
		cat .guest .log
		return 1
	}
}

@test "SIGTERM, SIGHUP and SIGINT power a guest without ACPI off at once" {
	for sig in TERM HUP INT; do
		# background jobs of a script ignore SIGINT: undo that
		UNDER="python3 $BATS_TEST_DIRNAME/unignore.py"
		start IDLE idle
		kill -$sig "$PID"
		ends_with 1
		grep -q "SIG$sig" .log
	done
}

@test "SIGTERM presses the power button of a guest that listens" {
	start "waiting for the button" ends -o boot.cmdline=end=button
	kill -TERM "$PID"
	ends_with 1
	grep -q "SIGTERM: power button" .log
	! grep -q "^not ok" .guest
}

@test "the second SIGINT powers off a guest that does not answer" {
	UNDER="python3 $BATS_TEST_DIRNAME/unignore.py"
	start "hears nothing" ends -o boot.cmdline=end=deaf
	kill -INT "$PID"
	says "SIGINT: power button" .log # two at once are one
	kill -INT "$PID"
	ends_with 1
}

@test "a signal that was ignored at the start stays ignored" {
	UNDER=nohup
	start IDLE idle
	kill -HUP "$PID"
	sleep 0.3 # nothing
	kill -0 "$PID"
	kill -TERM "$PID"
	ends_with 1
}

@test "a console socket with wait holds the guest; a signal ends the wait" {
	"$BHYVE" $M -s 31,lpc -l com1,socket,sock,wait -o "boot.kernel=$GUESTS/ends.elf" \
		vm0 >.guest 2>.log </dev/null 3>&- &
	PID=$!
	says ready .log
	[ -S sock ]
	kill -TERM "$PID"
	ends_with 1
	[ ! -e sock ]
}

@test "a console socket with wait starts the guest with its client" {
	"$BHYVE" $M -s 31,lpc -l com1,socket,sock,wait -o "boot.kernel=$GUESTS/ends.elf" \
		vm0 >.guest 2>.log </dev/null 3>&- &
	PID=$!
	says ready .log
	python3 - <<-END >.guest
		import socket
		s = socket.socket(socket.AF_UNIX)
		s.connect("sock")
		data = b""
		while chunk := s.recv(4096):
		    data += chunk
		print(data.decode())
	END
	grep -q "ok 1 - running" .guest
	ends_with 1
	[ ! -e sock ]
}

@test "the log says how the machine stopped, for people and in JSON" {
	bhyve $M -o "boot.kernel=$GUESTS/first.elf" vm0
	[[ $err == *"ready vm=vm0 engine=$ENGINE cpus=1 memory=32M"* ]]
	[[ $err == *"stopped vm=vm0 reason=power-off cause="* ]]
	bhyve $M -o log.format=json -o "boot.kernel=$GUESTS/first.elf" vm0
	python3 -c '
import json, sys
lines = [json.loads(line) for line in open(".err")]
assert any(l["msg"] == "ready" and l["vm"] == "vm0" for l in lines), lines
assert lines[-1]["msg"] == "stopped" and lines[-1]["reason"] == "power-off", lines
assert "S5" in lines[-1]["cause"], lines'
}

@test "log.level=error keeps standard error empty" {
	bhyve $M -o log.level=error -o "boot.kernel=$GUESTS/first.elf" vm0
	[ "$status" -eq 1 ]
	[ -z "$err" ]
}

@test "-e stops at a port that nothing answers; the reason is in the log" {
	bhyve $M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o "boot.kernel=$GUESTS/platform.elf" -l fwcfg,qemu -e vm0
	[ "$status" -eq 4 ]
	[[ $err == *"reason=error cause=\"port "*" that nothing decodes\""* ]]
}

@test "-p pins the thread of a virtual CPU" {
	start IDLE idle -p 0:0
	grep -h Cpus_allowed_list /proc/$PID/task/*/status | grep -qP '\t0$'
}

@test "-S locks the guest's memory" {
	[ "$(ulimit -l)" = unlimited ] || [ "$(id -u)" -eq 0 ] || skip "no right to lock memory"
	start IDLE idle -S
	! grep -q libasan /proc/$PID/maps || skip "ASan makes mlock(2) do nothing"
	[ "$(awk '/^VmLck/ { print $2 }' /proc/$PID/status)" -ge 32768 ]
}

@test "nothing is left behind after a run" {
	truncate -s 1M disk
	bhyve $M -s 31,lpc -l com1,socket,sock -s 4,virtio-blk,disk \
		-s 5,virtio-console,port1=$PWD/port -o "boot.kernel=$GUESTS/first.elf" vm0
	[ "$status" -eq 1 ]
	left_behind "./disk "
}
