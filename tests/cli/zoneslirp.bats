# A zone's user-mode network: zoneslirp outside of the zone, with frames over a
# socket to it. LINUX: folder made by tools/kernel.sh.
load zones

# slirp NAME GUEST [STATEMENT...]: a zone with a NIC, which has those too
slirp() {
	local name=$1 guest=$2
	shift 2
	zone "$name" "$guest" "add net; set physical=net0; set global-nic=slirp; $*; end"
}

# linux NAME [STATEMENT...]: the same with Debian's kernel
linux() {
	local name=$1
	shift
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	cfg -z "$name" "create; set zonepath=/zones/$name
		add guest; set kernel=$LINUX/vmlinuz; set initrd=$LINUX/initrd.img; set engine=$ENGINE
		set cmdline=\"console=ttyS0 quiet panic=-1 zhyve.run=slirp zhyve.port=$back\"; end
		add capped-memory; set guest=256M; end
		add net; set physical=net0; set global-nic=slirp; $*; end"
	adm -z "$name" install
}

# The helpers of this test's zones, by the port that each forwards.
helpers() {
	pgrep -f "zoneslirp .*tcp:127.0.0.1:$port-" || true
}
helped() {
	[ "$(helpers | wc -l)" -eq "$1" ]
}

@test "a guest talks to the gateway; helper and zone end together" {
	port=$(free_port)
	CMDLINE=peer=slirp slirp a vnet "set hostfwd=tcp:127.0.0.1:$port-:22"
	adm -z a ready
	helped 1
	# its own user, in the zone's groups, no way out
	grep -q '^Uid:.*1[0-9]*\s' "/proc/$(helpers)/status"
	grep '^Uid:\s0' "/proc/$(helpers)/status" && return 1
	grep -q '^CapBnd:\s*0*$' "/proc/$(helpers)/status"
	grep -q '^Seccomp:\s2' "/proc/$(helpers)/status"
	grep -q zhyve-a "/proc/$(helpers)/cgroup"
	adm -z a boot
	shows " 256 " "$ROOT/zones/a/lastexited"
	becomes a installed
	grep "not ok" "$ROOT/zones/a/logs/console.log" && return 1
	[ "$(grep -c "ok [0-9]* - " "$ROOT/zones/a/logs/console.log")" -gt 50 ]
	wait_for helped 0
	grep '"event":"link"' "$ROOT/run/zhyve/events" && return 1
	adm -z a uninstall -F
	wait_for nothing_left
}

# A whole file into the guest and back out: lines of TCP with Debian's kernel.
carried() {
	local tries=0
	head -c 2M /dev/urandom >sent
	port=$(free_port) back=$(free_port)
	linux a "set hostfwd=tcp:127.0.0.1:$port-:5001; $*"
	socat -u "TCP-LISTEN:$back,bind=127.0.0.1,reuseaddr" OPEN:back,creat,trunc 3>&- &
	listener=$!
	adm -z a boot
	WAIT=200 shows "net ready" "$ROOT/zones/a/logs/console.log"
	[ -z "${KILLED:-}" ] || killed
	# the guest may not listen yet: a reset, and nothing is lost
	until socat -u OPEN:sent "TCP:127.0.0.1:$port" && WAIT=200 shows "gateway " "$ROOT/zones/a/logs/console.log"; do
		tries=$((tries + 1))
		[ "$tries" -lt 3 ]
	done
	becomes a installed
}

# The network of the zone dies and comes back.
killed() {
	local was
	was=$(helpers)
	kill -KILL "$was"
	shows '"event":"link","net":"net0",.*"cause":"up again"' "$ROOT/run/zhyve/events"
	helped 1
	[ "$(helpers)" != "$was" ]
}

@test "TCP both ways, DHCP's addresses from the configuration, with a network that was killed" {
	KILLED=1
	carried "set ips=192.0.2.77/28; set gateways=192.0.2.66; set mtu=9000; set allow-host-loopback=true"
	grep -q "lease 192.0.2.77/28 router 192.0.2.66 dns 192.0.2.67" "$ROOT/zones/a/logs/console.log"
	grep -q "gateway took it" "$ROOT/zones/a/logs/console.log"
	wait "$listener"
	cmp sent back
	wait_for helped 0
}

@test "the host's loopback is not the guest's unless it is said" {
	carried ""
	grep -q "lease 10.0.2.15/24 router 10.0.2.2 dns 10.0.2.3" "$ROOT/zones/a/logs/console.log"
	grep -q "gateway refused" "$ROOT/zones/a/logs/console.log"
	kill "$listener"
	[ ! -s back ]
}

@test "a forward that cannot be, or a network that makes no sense, is refused at boot" {
	port=$(free_port)
	python3 -c "
import socket, time
s = socket.socket()
s.bind(('127.0.0.1', $port)); s.listen(); open('taken', 'w').close(); time.sleep(300)" 3>&- &
	taker=$!
	wait_for test -e taken
	slirp a idle "set hostfwd=tcp:127.0.0.1:$port-:22"
	refuses "*net net0: hostfwd=tcp:127.0.0.1:$port-:22: cannot listen on port $port: Address already in use" -z a boot
	is a installed
	kill "$taker"
	wait "$taker" || true
	adm -z a boot
	is a running
	adm -z a halt
	for row in "set ips=192.0.2.7/31|*net net0: address '192.0.2.7/31'*" \
		"set ips=192.0.0.7/4|*net net0: address '192.0.0.7/4': write*"; do
		cfg -z a "remove net; add net; set physical=net0; set global-nic=slirp; ${row%%|*}; end"
		refuses "${row#*|}" -z a boot
		is a installed
	done
	wait_for nothing_left
}

@test "two NICs, two zones: each its own" {
	port=$(free_port) back=$(free_port)
	slirp a idle "set primary=true; set hostfwd=tcp:127.0.0.1:$port-:22"
	cfg -z a "add net; set physical=net1; set global-nic=slirp; set hostfwd=udp:127.0.0.1:$back-:53; end"
	slirp b idle "set hostfwd=tcp:127.0.0.2:$port-:22"
	adm -z a boot
	adm -z b boot
	[ "$(pgrep -f "zoneslirp .*127.0.0.[12]:($port|$back)-" | wc -l)" -eq 3 ]
	adm -z a halt
	wait_for helped 0
	is b running
	[ "$(pgrep -f "zoneslirp .*127.0.0.[12]:($port|$back)-" | wc -l)" -eq 1 ]
}

@test "whoever is killed, nothing is left, and the others do as they should" {
	port=$(free_port)
	slirp a idle "set hostfwd=tcp:127.0.0.1:$port-:22"
	# the zone's process
	adm -z a boot
	kill -KILL "$(pgrep -P "$(supervisors a)" -x zhyve)"
	becomes a installed
	wait_for helped 0
	# the supervisor: the network stays, and is gone with the zone
	adm -z a boot
	was=$(helpers)
	kill -KILL "$(supervisors a)"
	adm -z a boot
	[ "$(helpers)" = "$was" ]
	adm -z a halt
	wait_for helped 0
	# the supervisor and the zone's process
	adm -z a boot
	zhyve=$(pgrep -P "$(supervisors a)" -x zhyve)
	kill -KILL "$(supervisors a)" "$zhyve"
	wait_for helped 0
	becomes a installed
	adm -z a boot
	adm -z a halt
	wait_for nothing_left
}

@test "the network is killed: the zone runs on, says so, gets another" {
	port=$(free_port)
	slirp a idle "set hostfwd=tcp:127.0.0.1:$port-:22"
	adm -z a boot
	kill -KILL "$(helpers)"
	shows '"event":"link","net":"net0",.*"cause":"down: zoneslirp: killed by signal 9"' "$ROOT/run/zhyve/events"
	shows "net0: the other end is gone: the link is down" "$ROOT/zones/a/logs/platform.log"
	is a running
	shows '"event":"link","net":"net0",.*"cause":"up again"' "$ROOT/run/zhyve/events"
	helped 1
	# one that a former supervisor started, while there is none
	: >"$ROOT/run/zhyve/events"
	kill -KILL "$(supervisors a)"
	kill -KILL "$(helpers)"
	wait_for helped 0
	adm -z a boot
	killed_unseen='"event":"link","net":"net0",.*"cause":"down: zoneslirp ended"'
	shows "$killed_unseen" "$ROOT/run/zhyve/events"
	shows '"cause":"up again"' "$ROOT/run/zhyve/events"
	helped 1
	adm -z a halt
	is a installed
	wait_for nothing_left
}
