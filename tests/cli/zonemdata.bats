# Guest metadata: the server, supervisors, and guests that speak on their second
# port. The guest is a wire between its ports (tests/guest/bridge.c): what a test
# says on the console comes to the server as a guest's words.
bats_require_minimum_version 1.5.0
load zones

# A file system of a test's own that can be frozen, and is not for ever.
teardown() {
	[ -z "${DISK:-}" ] || fsfreeze -u "$DISK" 2>/dev/null || true
	stop_world
	[ -z "${DISK:-}" ] || unmount "$DISK"
}

unmount() {
	wait_for umount "$1" 2>/dev/null || umount -l "$1"
}

LPC="add lpc; set com1=/dev/zconsole; set com2=socket,/tmp/vm.ttyb; end"

# mzone NAME: a zone with a metadata port, running
mzone() {
	zone "$1" bridge "$LPC"
	adm -z "$1" boot
}

# md ZONE CODE: speak on its port
md() {
	timeout -k 5 150 python3 "$HERE/mdport.py" "$ROOT/run/zhyve/$1/console.sock" "$2"
}

# The server of this world.
server() {
	pgrep -f "/mdata -R $ROOT\$" || true
}

# gone PID: soon
gone() {
	wait_for ended "$1"
}

# write_json ZONE: standard input becomes its metadata.json, as an editor does it
write_json() {
	cat >"$ROOT/zones/$1/config/.edit"
	chmod 600 "$ROOT/zones/$1/config/.edit"
	mv "$ROOT/zones/$1/config/.edit" "$ROOT/zones/$1/config/metadata.json"
}

# takes FIELD KB: the server, of its status, is below
takes() {
	local kb limit=$2
	# AddressSanitizer keeps what was freed
	! grep -q __asan_init "$BUILD/cmd/zoneadmd/mdata" || limit=1048576
	kb=$(awk -v f="$1:" '$1 == f { print $2 }' "/proc/$(server)/status")
	[ "$kb" -lt "$limit" ] || {
		echo "$1 of the server: $kb kB, wanted less than $limit"
		return 1
	}
}

@test "a guest asks, and is told; puts, and it is there" {
	mzone a
	md a '
p.talk(b"\n", b"invalid command\n")
p.talk(b"NEGOTIATE V2\n", b"V2_OK\n")
p.talk(b"NEGOTIATE V1\n", b"FAILURE\n")
p.get("sdc:zonename", "a")
p.get("sdc:nics", "[]")
p.none("sdc:alias")
p.is_(p.ask("KEYS"), ("SUCCESS", b""))
p.put("color", "bl\u00fce\n".encode())
p.get("color", "bl\u00fce\n")
p.put("root_pw", b"secret")
p.is_(p.ask("KEYS"), ("SUCCESS", b"color\nroot_pw"))
p.delete("color")
p.delete("color")
p.none("color")
p.talk(b"GET root_pw\n", b"SUCCESS\nsecret\n.\n")
p.talk(b"KEYS\n", b"SUCCESS\nroot_pw\n.\n")
p.talk(b"PUT a b\n", b"FAILURE\n")
'
	python3 - "$ROOT/zones/a/config/metadata.json" <<-'END'
		import json, sys
		j = json.load(open(sys.argv[1]))
		assert j == {"customer_metadata": {}, "internal_metadata": {"root_pw": "secret"}}, j
	END
	# the numbers of it
	adm stat -j | python3 -c '
import json, sys
m = json.load(sys.stdin)[0]["metadata"]
assert m["requests"] > 10 and m["puts"] == 2 and m["deletes"] == 2 and m["out"] > 300, m'
	adm stat | grep -q '^a .* [1-9][0-9]*$'
	[ "$(stat -c %a "$ROOT/zones/a/config" "$ROOT/zones/a/config/metadata.json" | tr '\n' ' ')" = "700 600 " ]
}

@test "what is wrong: no answer to what is no frame, short reasons to the rest" {
	mzone a
	md a '
for bad in (b"V2 x\n", b"V2 0 00000000 x\n", b"V2 25 94451607 0f1e2d3c GET c2RjOnV1aWQ=\n",
            b"V2 24 94451606 0f1e2d3c GET c2RjOnV1aWQ=\n", b"V2 13 00000736 00051671 keys\n"):
    p.say(bad)
p.silent()
p.fails("GET", None, "Invalid GET Request")
p.fails("DELETE", b" ", "Invalid DELETE Request")
for bad in (None, b"Y29sb3I=", b"Y29sb3I= ", b"Y29sb3I= !!!!", b"ICA= YQ=="):
    p.fails("PUT", bad, "Invalid PUT Request")
p.fails("PUT", p.put_payload("sdc:uuid", b"x"), "Cannot update the \"sdc\" Namespace.")
p.fails("DELETE", b"sdc:uuid", "Cannot update the \"sdc\" Namespace.")
p.fails("PUT", p.put_payload("operator-script", b"x"), "Cannot update \"operator-script\".")
p.fails("PUT", p.put_payload("k", b"\xff"), "Keys and values must be UTF-8.")
p.fails("NEGOTIATE", b"V2", "Unknown command NEGOTIATE")
p.none("sdc:nics.0")
'
}

@test "our own words get no answer: a terminal that echoes is no storm" {
	mzone a
	md a '
import time
p.say(b"\n")
echoed = 0
end = time.monotonic() + 3
while time.monotonic() < end:
    if p.more(0.2):
        echoed += len(p.heard)
        p.say(p.heard)
        p.heard = b""
if echoed > 200:
    sys.exit(f"{echoed} bytes were said")
p.talk(b"NEGOTIATE V2\n", b"V2_OK\n")
'
}

@test "a run of empty lines has one answer" {
	mzone a
	md a '
p.talk(b"\n\n\nNEGOTIATE V2\n", b"invalid command\nV2_OK\n")
p.say(b"\n" * 50)
p.hears(b"invalid command\n")
p.silent()
'
}

@test "zones have their own metadata, and no other's" {
	mzone a
	mzone b
	md a 'p.put("mine", b"A"); p.get("sdc:zonename", "a")'
	md b 'p.none("mine"); p.put("mine", b"B"); p.get("sdc:zonename", "b")'
	md a 'p.get("mine", "A")'
	[ "$(server | wc -l)" -eq 1 ]
	# the other's end is not this one's
	adm -z b halt
	md a 'p.get("mine", "A")'
	adm -z b boot
	md b 'p.get("mine", "B")'
}

@test "an operator's edit is in the next answer, of metadata and of the configuration" {
	mzone a
	md a 'p.none("k"); p.none("sdc:alias")'
	write_json a <<<'{"customer_metadata": {"k": "1", "n": 1500, "t": true},
		"internal_metadata": {"hidden": "h", "operator-script": "#!/bin/sh"}}'
	md a '
p.get("k", "1"); p.get("n", "1500"); p.get("t", "true"); p.none("hidden")
p.get("sdc:operator-script", "#!/bin/sh")
p.is_(p.ask("KEYS"), ("SUCCESS", b"k\nn\nt"))'
	cfg -z a 'add attr; set name=alias; set type=string; set value=web01; end
		add attr; set name=internal-metadata-namespaces; set type=string; set value=foo; end'
	md a '
p.get("sdc:alias", "web01")
p.fails("PUT", p.put_payload("foo:x", b"1"), "Cannot update the \"foo\" Namespace.")'
	# half an edit is none
	printf '{"customer_metadata": {"k":' >"$ROOT/zones/a/config/metadata.json"
	md a 'p.get("k", "1"); p.fails("PUT", p.put_payload("a", b"b"), "The host cannot write the metadata.")'
	write_json a <<<'{"customer_metadata": {"k": "2"}}'
	md a 'p.get("k", "2"); p.none("n")'
}

@test "the server dies in the middle of a line and between requests: answers come" {
	mzone a
	md a 'p.put("k", b"v" * 3000)'
	md a '
import os, signal, subprocess
def kill():
    pid = int(subprocess.run(["pgrep", "-f", "/mdata -R '"$ROOT"'$"], check=True,
                             capture_output=True).stdout.split()[0])
    os.kill(pid, signal.SIGKILL)
def served():
    # another one is there: it has what the guest says
    p.get("sdc:zonename", "a")
for at in (1, 7, 40):
    ident, frame = p.frame("GET", b"k" * 1)
    frame = p.frame("GET", b"a-key-that-is-not-there", ident)[1]
    p.say(frame[:at])
    time.sleep(0.3)
    kill()
    p.say(frame[at:])
    p.is_(p.answer(ident), ("NOTFOUND", b""))
    served()
for _ in range(3):
    kill()
    p.get("k", "v" * 3000)
    p.put("n", b"1")
'
	shows "handed over again" "$ROOT/zones/a/logs/platform.log"
}

bytes_in() {
	adm stat -j | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["metadata"]["in"])'
}
# took N: the server has so many bytes more
took() {
	[ "$(bytes_in)" -ge $((was + $1)) ]
}

@test "the supervisor dies: the next one takes port and backlog back" {
	mzone a
	zhyve=$(pid_of a)
	md a 'p.put("k", b"1")'
	was=$(bytes_in)
	md a 'p.say(b"GET ")' # the line is unfinished
	wait_for took 4
	kill -KILL "$(supervisors a)"
	adm -z a boot
	[ -d "/proc/$zhyve" ]
	md a 'p.talk(b"k\n", b"SUCCESS\n1\n.\n"); p.get("k", "1")'
	# and both at once
	kill -KILL "$(supervisors a)" "$(server)"
	adm -z a boot
	md a 'p.get("k", "1")'
}

@test "one guest floods, another is served" {
	mzone a
	mzone b
	python3 "$HERE/mdport.py" "$ROOT/run/zhyve/a/console.sock" '
import os
p.sock.setblocking(False)
end = time.monotonic() + 8
while time.monotonic() < end:
    try:
        p.sock.send(random.choice((os.urandom(512), b"GET x\n" * 80, b"x" * 512, b"\n" * 512, p.frame("KEYS")[1] * 9)))
    except BlockingIOError:
        time.sleep(0.01)
    p.more(0)
    p.heard = b""
' &
	flood=$!
	md b '
for i in range(15):
    p.put("i", str(i).encode())
    p.get("i", str(i))
'
	wait "$flood"
	takes VmRSS 8192
	# its own port works when it is done
	md a 'p.say(b"\n")
while p.more(3):
    pass
p.heard = b""
p.get("sdc:zonename", "a")'
}

@test "a guest that does not read stops its own port only" {
	mzone a
	mzone b
	python3 -c '
import json
print(json.dumps({"customer_metadata": {"big": "b" * 200000}}))' | write_json a
	md a '
ident, frame = p.frame("GET", b"big")
p.say(frame * 3)
time.sleep(2) # nobody reads
' || true
	md b 'p.put("k", b"1"); p.get("k", "1")'
	takes VmRSS 8192
}

@test "the port's own sockets, and who may talk to the server" {
	mzone a
	# the guest's port has its one client already
	python3 - "$ROOT/zones/a/root/tmp" <<-'END'
		import os, socket, sys
		os.chdir(sys.argv[1])
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(20)
		s.connect("vm.ttyb")
		said = b"".join(iter(lambda: s.recv(100), b""))
		assert b"in use by another client" in said, said
	END
	[ "$(stat -c '%a %F' "$ROOT/run/zhyve/.mdata/sock")" = "600 socket" ]
	[ "$(stat -c %a "$ROOT/run/zhyve/.mdata")" = 700 ]
	pid=$(server)
	grep -q '^Uid:.4260840000.4260840000.4260840000.4260840000$' "/proc/$pid/status"
	[ "$(grep -c '^Cap.*:.0*$' "/proc/$pid/status")" -eq 5 ]
	grep -q '^Seccomp:.2$' "/proc/$pid/status"
	grep -q '^NoNewPrivs:.1$' "/proc/$pid/status"
	[ -z "$(ls -A "/proc/$pid/root")" ]
	[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

@test "nothing stays: neither server nor socket, and uninstall takes the metadata" {
	mzone a
	md a 'p.put("k", b"1")'
	pid=$(server)
	adm -z a halt
	gone "$pid"
	[ ! -e "$ROOT/run/zhyve/.mdata/sock" ]
	# it is there for the next boot
	adm -z a boot
	md a 'p.get("k", "1")'
	adm -z a halt
	adm -z a uninstall -F
	[ ! -e "$ROOT/zones/a" ]
}

@test "a server that cannot be started is no reason not to boot" {
	mkdir -p root/run/zhyve
	: >root/run/zhyve/.mdata
	mzone a
	is a running
	shows "metadata server: " "$ROOT/zones/a/logs/platform.log"
	rm root/run/zhyve/.mdata
	md a 'p.get("sdc:zonename", "a")'
}

@test "200 zones, one server, under 16 MiB" {
	mkdir -p root/etc/zones
	"$BUILD/cmd/zoneadmd/mdata" -R "$ROOT"
	mkfifo hold
	"$BUILD/tests/bench/mdata_zones" "$ROOT" 200 0 <hold >said 3>&- &
	zones=$!
	exec 4>hold
	shows "200 zones served" said
	takes VmHWM 16384
	pid=$(server)
	exec 4>&-
	wait "$zones"
	gone "$pid"
}

@test "only one server serves a world" {
	mkdir root/etc
	"$BUILD/cmd/zoneadmd/mdata" -R "$ROOT"
	pid=$(server)
	"$BUILD/cmd/zoneadmd/mdata" -R "$ROOT"
	"$BUILD/cmd/zoneadmd/mdata" -f -R "$ROOT"
	[ "$(server)" = "$pid" ]
	kill "$pid"
	gone "$pid"
	[ ! -e "$ROOT/run/zhyve/.mdata/sock" ]
	run "$BUILD/cmd/zoneadmd/mdata" -R "$ROOT/nowhere"
	[ "$status" -eq 1 ]
	[[ $output == "mdata: root $ROOT/nowhere: No such file or directory" ]]
}

@test "what guests change is in the zone's log, by name" {
	mzone a
	md a 'p.put("secret-plan", b"its value")'
	shows "metadata: PUT secret-plan" "$ROOT/zones/a/logs/platform.log"
	run ! grep -q "its value" "$ROOT/zones/a/logs/platform.log"
}

@test "a supervisor that dies at a step of ready or boot: the next boot has metadata" {
	zone a bridge "$LPC"
	export ZHYVE_ZONEADMD=$BUILD/cmd/zoneadmd/zoneadmd-faults ZHYVE_FAULT_ONCE=$PWD/once
	for step in ready-opened ready-spawned ready-recorded ready-built boot-run boot-done; do
		: >once
		ZHYVE_FAULT=$step adm -z a boot || true
		adm -z a boot
		md a 'p.get("sdc:zonename", "a")'
		adm -z a halt
	done
}

@test "a moved zone keeps its metadata, a clone has its own" {
	mzone a
	md a 'p.put("k", b"1")'
	adm -z a halt
	adm -z a move /zones/there
	cfg -z b "create -t a; set zonepath=/zones/b"
	adm -z b clone a
	adm -z a boot
	md a 'p.get("k", "1")'
	adm -z b boot
	md b 'p.none("k"); p.get("sdc:zonename", "b")'
}

@test "a server that hangs stops no boot, no console and no halt" {
	mzone a
	md a 'p.get("sdc:zonename", "a")'
	pid=$(server)
	kill -STOP "$pid"
	mzone b
	is b running
	adm -z a reboot
	adm stat | grep -q '^b '
	adm -z b halt
	is b installed
	adm -z b boot
	kill -CONT "$pid"
	md a 'p.get("sdc:zonename", "a")'
	md b 'p.get("sdc:zonename", "b")'
	[ "$(server)" = "$pid" ]
}

# What is below a's zonepath can be read, and no write of it comes to an end.
@test "a disk that hangs stops the metadata of its zone, and of no other" {
	command -v fsfreeze >/dev/null && command -v mkfs.ext4 >/dev/null || skip "no fsfreeze, or no mkfs.ext4"
	truncate -s 64M disk
	mkfs.ext4 -q disk
	mkdir -p "$ROOT/zones/a"
	mount -o loop disk "$ROOT/zones/a" 2>/dev/null || skip "no loop devices"
	DISK=$ROOT/zones/a
	chmod 700 "$DISK"
	mzone a
	mzone b
	md a 'p.put("before", b"1")'
	fsfreeze -f "$DISK"
	# its answer is heard by nobody: the console's log hangs as well
	python3 - "$ROOT/run/zhyve/a/console.sock" "$HERE" <<'PY'
import sys
sys.path.insert(0, sys.argv[2])
import mdport
p = mdport.Port(sys.argv[1])
p.say(p.frame("PUT", p.put_payload("k", b"1"))[1])
PY
	for i in 1 2 3; do
		md b "p.put('k', b'$i'); p.get('k', '$i'); p.delete('k')"
	done
	# another request of a's, and a server that is asked to end, does
	pid=$(server)
	kill "$pid"
	md b 'p.put("k", b"4")'
	[ "$(server)" != "$pid" ]
	run ! grep -q '"k"' "$DISK/config/metadata.json"
	fsfreeze -u "$DISK"
	shows '"k": "1"' "$DISK/config/metadata.json"
	md a 'p.get("k", "1"); p.get("before", "1")'
}
