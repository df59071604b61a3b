# zoneadm and the supervisor, with zones that run.
load zones

@test "configured, installed, running, halted, and back" {
	zone a idle
	is a installed
	adm -z a boot
	is a running
	shows IDLE "$ROOT/zones/a/logs/console.log"
	[ "$(adm list -n)" = a ]
	adm -z a halt
	is a installed
	grep -q '^[0-9]*\.[0-9]* -1 halted by an operator$' "$ROOT/zones/a/lastexited"
	adm -z a uninstall -F
	is a configured
	[ ! -e "$ROOT/zones/a" ]
	[ ! -e "$ROOT/run/zhyve/a" ]
	cfg -z a delete -F
}

@test "who asks for what is so already succeeds" {
	zone a idle
	adm -z a halt
	adm -z a ready
	is a ready
	adm -z a ready
	adm -z a boot
	adm -z a boot
	is a running
	adm -z a halt
	adm -z a halt
	is a installed
	refuses "zone 'a' is installed: reboot is not possible" -z a reboot
}

@test "ready builds the machine, boot only starts it" {
	zone a idle
	adm -z a ready
	pid=$(pid_of a)
	sleep 0.2 # nothing
	grep -q IDLE "$ROOT/zones/a/logs/console.log" && return 1
	adm -z a boot
	[ "$(pid_of a)" = "$pid" ]
	shows IDLE "$ROOT/zones/a/logs/console.log"
}

@test "a boot that fails says why, and leaves the zone installed" {
	zone a idle "add disk; set path=/nowhere/disk0; end"
	refuses "*nowhere/disk0: No such file or directory" -z a boot
	is a installed
	cfg -z a "remove disk; select guest; set options=-Qwrong; end"
	refuses "*" -z a boot
	is a installed
	cfg -z a "select guest; clear options; end"
	adm -z a boot
	is a running
}

@test "how a guest ended is told" {
	for row in poweroff:256:installed halt:512:installed triple:768:installed; do
		IFS=: read -r end status after <<<"$row"
		CMDLINE=end=$end zone "$end" ends
		adm -z "$end" boot
		shows "^[0-9.]* $status " "$ROOT/zones/$end/lastexited"
		becomes "$end" "$after"
		grep -q "\"zone\":\"$end\".*\"event\":\"exit\".*\"status\":\"$status\"" \
			"$ROOT/run/zhyve/events"
	done
}

@test "a guest's reset boots the zone anew, with what changed" {
	CMDLINE=end=reboot zone a ends
	adm -z a boot
	cfg -z a "select guest; set cmdline=\"end=poweroff\"; end"
	shows '"event":"exit".*"status":"256"' "$ROOT/run/zhyve/events"
	grep -q '"event":"exit".*"status":"0"' "$ROOT/run/zhyve/events"
	becomes a installed
}

@test "shutdown presses the button and waits; -r boots again" {
	CMDLINE=end=button zone a ends
	adm -z a boot
	shows "ACPI enabled" "$ROOT/zones/a/logs/console.log"
	adm -z a shutdown
	is a installed
	adm -z a boot
	was=$(pid_of a)
	becomes a running
	adm -z a shutdown -r
	is a running
	[ "$(pid_of a)" != "$was" ]
}

@test "shutdown of a guest that does not listen ends with an error, and forces nothing" {
	CMDLINE=end=deaf zone a ends
	adm -z a boot
	shows "hears nothing" "$ROOT/zones/a/logs/console.log"
	refuses "*did not power off in time*" -z a shutdown -t 1
	is a running
}

@test "reboot makes another process" {
	zone a idle
	adm -z a boot
	was=$(pid_of a)
	adm -z a reboot
	is a running
	[ "$(pid_of a)" != "$was" ]
}

@test "another supervisor goes on with the same guest" {
	zone a idle
	adm -z a boot
	zhyve=$(pid_of a)
	for _ in 1 2 3; do
		kill -KILL "$(supervisors a)"
		is a running
		adm -z a boot
		[ -n "$(supervisors a)" ]
		[ -d "/proc/$zhyve" ]
	done
	# a guest that ends now is noticed by the one that was not its parent
	kill -KILL "$zhyve"
	shows '(SIGKILL)' "$ROOT/zones/a/lastexited"
	becomes a installed
}

@test "a guest that ended unseen is cleaned up and told" {
	zone a idle
	adm -z a boot
	zhyve=$(pid_of a)
	kill -KILL "$(supervisors a)"
	kill -KILL "$zhyve"
	becomes a installed
	adm -z a boot
	is a running
	shows '"event":"exit".*no supervisor' "$ROOT/run/zhyve/events"
}

@test "lists for people, scripts and programs" {
	zone a idle
	zone b idle
	adm -z b boot
	[ "$(adm list)" = "$(printf 'global\nb')" ]
	[ "$(adm list -in)" = "$(printf 'a\nb')" ]
	adm list -cpn | grep -q '^-:a:installed:/zones/a:[0-9a-f-]*:bhyve:excl$'
	adm list -pn | grep -q '^2:b:running:/zones/b:'
	adm list -cv | head -n 1 | grep -q 'ID NAME .*STATUS .*PATH .*BRAND .*IP'
	adm list -cj | python3 -c '
import json, sys
zones = json.load(sys.stdin)
assert [z["name"] for z in zones] == ["global", "a", "b"], zones
assert zones[2]["state"] == "running", zones'
	adm list -pv 2>/dev/null && false || [ $? -eq 2 ]
}

@test "wrong words are usage: exit 2" {
	zone a idle
	for words in "" "-z a" "-z a fly" "boot" "list x" "-z a install -x fast"; do
		# shellcheck disable=SC2086
		adm $words >/dev/null 2>&1 && status=0 || status=$?
		[ "$status" -eq 2 ] || {
			echo "'$words': $status"
			return 1
		}
	done
	refuses "there is no zone 'nobody'" -z nobody boot
	refuses "the global zone is the host*" -z global halt
}

@test "the matrix is printed as it is" {
	"$ZHYVE_ZONEADMD" -n >matrix
	grep -q '^installed *ready *ready+boot *already so *already so *- *leave *tell *- *- *- *$' matrix
	grep -q '^running *halt+ready *already so *halt *power button *halt+ready+boot *- *tell *nmi *pause *resume *$' matrix
}

@test "install makes disks; a failure takes back what was made" {
	cfg -z a "create; set zonepath=/zones/a; add disk; set path=/zones/a/disk0; set size=8M; end"
	adm -z a install
	[ "$(stat -c %s "$ROOT/zones/a/disk0")" -eq 8388608 ]
	[ "$(stat -c %a "$ROOT/zones/a")" = 700 ]
	refuses "zone 'a' is installed: install is not possible" -z a install
	cfg -z b "create; set zonepath=/zones/b; add disk; set path=/zones/b/disk0; end"
	refuses "*no-image*" -z b install -i raw,no-image
	is b configured
	[ ! -e "$ROOT/zones/b" ]
	head -c 100000 /dev/urandom >image
	adm -z b install -i raw,image
	cmp image "$ROOT/zones/b/disk0"
}

@test "nobody is asked where nobody is: uninstall needs -F" {
	zone a idle
	refuses "*nobody to ask*" -z a uninstall
	is a installed
	adm -z a boot
	refuses "zone 'a' is running: uninstall is not possible" -z a uninstall -F
	adm -z a halt
	adm -z a mark incomplete
	is a incomplete
	refuses "zone 'a' is incomplete: boot is not possible" -z a boot
	adm -z a uninstall -F
	is a configured
}

@test "nothing is left of a world that was used" {
	zone a idle
	adm -z a boot
	adm -z a halt
	pid=$(supervisors a)
	kill "$pid"
	wait_for ended "$pid"
	nothing_left
}

@test "clone copies disks, move takes them along" {
	zone a idle "add disk; set path=/zones/a/disk0; set size=1M; end"
	head -c 100000 /dev/urandom | dd of="$ROOT/zones/a/disk0" conv=notrunc 2>/dev/null
	cfg -z b "create -t a; set zonepath=/zones/b; select disk path=/zones/a/disk0; set path=/zones/b/disk0; end"
	adm -z b clone a
	is b installed
	cmp "$ROOT/zones/a/disk0" "$ROOT/zones/b/disk0"
	adm -z b move /elsewhere/b
	[ ! -e "$ROOT/zones/b" ]
	cmp "$ROOT/zones/a/disk0" "$ROOT/elsewhere/b/disk0"
	cfg -z b info | grep -q '/elsewhere/b/disk0'
	adm -z b boot
	is b running
	refuses "zone 'b' is running: move is not possible" -z b move /zones/b
	cfg -z c "create; set zonepath=/zones/c"
	refuses "*cloning it is not possible" -z c clone b
}

@test "a move that was killed between data and configuration is ended by the next" {
	zone a idle
	mkdir "$ROOT/other"
	chmod 755 "$ROOT/other"
	mv "$ROOT/zones/a" "$ROOT/other/a"
	adm -z a move /other/a
	adm -z a boot
	is a running
}

@test "detached here, attached there" {
	zone a idle "add disk; set path=/zones/a/disk0; set size=1M; end"
	adm -z a detach -n | grep -q 'zonepath="/zones/a"'
	is a installed
	adm -z a detach
	is a configured
	cfg -z a delete -F
	cfg -z b "create -a $ROOT/zones/a; set zonepath=/zones/a"
	adm -z b attach -n "$ROOT/zones/a/SUNWdetached.xml"
	adm -z b attach
	is b installed
	[ ! -e "$ROOT/zones/a/SUNWdetached.xml" ]
	adm -z b boot
	is b running
	cfg -z c "create; set zonepath=/zones/none"
	refuses "*zones/none*" -z c attach
}

# It is behind what there was.
follows() {
	readlink "/proc/$1/fd/"* 2>/dev/null | grep inotify
}

@test "events are followed, over a rotation too" {
	zone a idle
	zone b idle
	"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a events >seen 3>&- &
	follower=$!
	wait_for follows $follower
	adm -z b boot
	adm -z a boot
	shows '"to":"running"' seen
	# the next writer finds a full file
	head -c 1100000 /dev/zero | tr '\0' '\n' >>"$ROOT/run/zhyve/events"
	adm -z a halt
	shows '"from":"shutting_down","to":"installed"' seen
	[ -e "$ROOT/run/zhyve/events.0" ]
	kill $follower
	[ "$(grep -c '"zone":"b"' seen)" -eq 0 ]
	adm events -n | python3 -c '
import json, sys
for line in sys.stdin:
    if line.strip():
        e = json.loads(line)
        assert e["time"].endswith("Z") and e["zone"] in ("a", "b"), e'
}

@test "what zones use" {
	zone a idle
	adm -z a boot
	adm stat -j | python3 -c '
import json, sys
(z,) = json.load(sys.stdin)
assert z["name"] == "a" and z["memory"] > 0 and z["cpu_ns"] > 0, z'
	adm stat | grep -q '^a  *[0-9]'
}

@test "the host starts and stops" {
	zone a idle "set autoboot=true"
	CMDLINE=end=button zone b ends "set autoboot=true"
	zone c idle
	adm boot -a
	is a running
	is b running
	is c installed
	adm shutdown -a -t 1
	is a installed
	is b installed
}

@test "the manual has every command and no other" {
	page=$HERE/../../man/zoneadm.8
	adm help | awk '{ print $1 }' | sort >program
	sed -n '/^\.\\" zoneadm/,/^\.\\" end/s/^\.It Cm \([a-z]*\).*/\1/p' "$page" | sort -u >manual
	diff program manual
}

@test "a script for hosts without systemd" {
	zone a idle "set autoboot=true"
	printf '#!/bin/sh\nexec "%s" -R "%s" "$@"\n' "$BUILD/cmd/zoneadm/zoneadm" "$ROOT" >adm
	chmod +x adm
	export ZONEADM=$PWD/adm ZONES_TIMEOUT=1
	sh "$BUILD/cmd/zones/zones" start
	is a running
	sh "$BUILD/cmd/zones/zones" status | grep -q '^ *1 a  *running'
	sh "$BUILD/cmd/zones/zones" stop
	is a installed
	status=0
	sh "$BUILD/cmd/zones/zones" fly 2>/dev/null || status=$?
	[ "$status" -eq 2 ]
}

# allowed ZONE: the CPUs of its process
allowed() {
	sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$(pid_of "$1")/status"
}

@test "a dedicated CPU is no other zone's" {
	grep -q '^cpuset.*1$' /proc/cgroups || skip "no cpuset controller"
	cpus=$(nproc)
	for i in $(seq $((cpus + 1))); do
		zone "z$i" idle 'add dedicated-cpu; set ncpus=1; end'
	done
	for i in $(seq "$cpus"); do
		adm -z "z$i" boot
		allowed "z$i" >>seen
	done
	cat seen
	[ "$(sort -u seen | grep -c '^[0-9]*$')" -eq "$cpus" ]
	! adm -z "z$((cpus + 1))" boot 2>err
	grep -q "dedicated-cpu: 1 CPUs are wanted, and 0 are not dedicated" err
	# one is halted, and its CPU free again
	adm -z z1 halt
	adm -z "z$((cpus + 1))" boot
	[ "$(allowed "z$((cpus + 1))")" = "$(head -n 1 seen)" ]
}

@test "the facts for a guest are made, and nothing is written" {
	zone web idle "add net; set physical=net0; set ips=192.0.2.7/24; end
		add attr; set name=alias; set type=string; set value=www; end"
	mkdir -p "$ROOT/zones/web/config"
	echo '{"198.51.100.0/24": "192.0.2.1"}' >"$ROOT/zones/web/config/routes.json"
	echo 'datacenter_name here' >"$ROOT/etc/zones/host"
	"$BUILD/cmd/zoneadmd/zonesnap" -m -z web -R "$ROOT" | tr -c '[:print:]' '\n' >facts
	for want in facts sdc:uuid sdc:alias www sdc:hostname here \
		'[{"interface":"net0","ip":"192.0.2.7","ips":["192.0.2.7/24"],"netmask":"255.255.255.0","model":"virtio","primary":true}]' \
		'[{"linklocal":false,"dst":"198.51.100.0/24","gateway":"192.0.2.1"}]'; do
		grep -qF -- "$want" facts
	done
	[ ! -e "$ROOT/run/zhyve/web/snapshot.xml" ]
	echo '{"x": "192.0.2.1"}' >"$ROOT/zones/web/config/routes.json"
	! "$BUILD/cmd/zoneadmd/zonesnap" -m -z web -R "$ROOT" 2>err >out
	[ ! -s out ]
	grep -qxF "routes.json: 'x' is no network, as 172.16.0.0/12" err
}
