# Zones with links, in a network of the test's own.
bats_require_minimum_version 1.5.0
load zones.bash

nta() {
	timeout -k 5 60 "$BUILD/cmd/nictagadm/nictagadm" -R "$ROOT" "$@"
}

# world SCRIPT: with a bridge br0 and a switch stub0
world() {
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	{
		echo 'set -Eeu' # no pipefail: grep -q leaves early
		# shellcheck disable=SC2016
		echo 'trap "echo \"failed: \$BASH_COMMAND (line \$LINENO)\"" ERR'
		# shellcheck disable=SC2016
		echo '. "$HERE/zones.bash"'
		declare -f nta ports zone_links no_link no_links number_of
		echo 'ip link add br0 type bridge; ip link set br0 up; nta add -l -p mtu=1400 stub0'
		echo "$1"
	} >world.sh
	export ROOT BUILD GUESTS HERE WAIT ENGINE BATS_TEST_DIRNAME
	unshare -n bash world.sh
}

# What zones have made on the host, a line each: name and bridge.
ports() {
	ip -o link show | sed -nE 's/^[0-9]+: (z[0-9]*_[^:@]*)[:@].* master ([^ ]*) .*/\1 \2/p'
}

zone_links() {
	ip -o link show | grep -E '^[0-9]+: z' || true
}
no_link() {
	[ -z "$(zone_links)" ]
}

# None is left; soon: threads of a process that was killed end one by one.
no_links() {
	wait_for no_link || {
		echo "left: $(zone_links)"
		return 1
	}
	! command -v nft >/dev/null || [ -z "$(nft list tables 2>/dev/null)" ]
}

NIC0='add net; set physical=net0; set primary=true; set global-nic=br0; set mac-addr=02:08:20:00:00:01; end'
NIC1='add net; set physical=net1; set global-nic=stub0; set mac-addr=02:08:20:00:00:02; end'
export NIC0 NIC1

# number_of ZONE: what its links are called by
number_of() {
	sed -nE 's/.* debugid="([0-9]+)".*/\1/p' "$ROOT/etc/zones/$1.xml"
}

@test "two NICs: names, alias, MTU, bridges; nothing after the end" {
	world '
		zone web idle "add vcpu; set ncpus=2; end; $NIC0; $NIC1"
		adm -z web boot
		is web running
		did=$(number_of web)
		[ "$(ports)" = "z${did}_net0 br0
z${did}_net1 nt_stub0" ]
		ip link show "z${did}_net0" | grep -q "alias zone web net net0"
		ip link show "z${did}_net1" | grep -q "[<,]UP[,>].* mtu 1400"
		bridge fdb show br br0 | grep -q "02:08:20:00:00:01 dev z${did}_net0 master br0 static"
		bridge -d link show dev "z${did}_net0" | grep -q "learning off flood off"
		# the host has no address there: zones on a stub reach each other
		[ -z "$(ip -o addr show dev nt_stub0)$(ip -o addr show dev "z${did}_net1")" ]
		ip -d link show "z${did}_net0" | grep -q "vnet_hdr on .*multi_queue numqueues 2"
		# the supervisor knows neither netlink nor BPF
		for pid in $(supervisors web); do
			! grep -Eq "libnl|libbpf|libnft" "/proc/$pid/maps"
		done
		adm -z web halt
		no_links
		# the switch stays for the next one, and goes with the tag
		ip link show nt_stub0 >/dev/null
		adm -z web uninstall -F
		cfg -z web delete -F
		nta delete stub0
		! ip link show nt_stub0 2>/dev/null
		dismiss'
	nothing_left
}

@test "links shows them; apply changes what runs, and says what must wait" {
	world '
		zone web idle "$NIC0; $NIC1; add net; set physical=net2; set global-nic=slirp; end"
		! adm -z web links 2>err
		grep -q "zone .web. does not run" err
		adm -z web boot
		adm -z web links | grep -Eq "^net0 +z[0-9]+_net0 +br0 +0 +1500 up +02:08:20:00:00:01 "
		# nothing was dropped: nothing is said of why
		adm -z web links net1 >out
		! grep -Eq "because *$" out
		adm -z web links -p net1 >out
		[ "$(wc -l <out)" -eq 1 ]
		grep -Eq "^net1:z[0-9]+_net1:nt_stub0:0:1400:up:02\\\\:08\\\\:20\\\\:00\\\\:00\\\\:02:(bpf|nft):[0-9]+:" out
		! adm -z web links net7 2>err
		grep -q "runs without a net .net7." err
		[ -z "$(adm -z web apply)" ]
		cfg -z web "select net physical=net0; set maxbw=100; set allow-mac-spoofing=true; end
			select net physical=net2; set strict=true; end
			select net physical=net1; set vlan-id=5; end; set cpu-shares=7; set autoboot=true" 2>said
		grep -q "zoneadm -z web apply" said
		adm -z web apply -n >out
		printf "to apply: net net0: allow-mac-spoofing\nto apply: net net0: maxbw\n" >want
		printf "needs a reboot: rctl zone.cpu-shares: added\nneeds a reboot: net net1: vlan-id\n" >>want
		echo "needs a reboot: net net2: strict" >>want
		diff <(sort want) <(sort out)
		name=z$(number_of web)_net0
		bridge -d link show dev "$name" | grep -q "learning off"
		adm -z web apply >out
		grep -qx "applied: net net0: maxbw" out
		bridge -d link show dev "$name" | grep -q "learning on"
		adm -z web reboot
		[ -z "$(adm -z web apply -n)" ]
		adm -z web links -p net1 | grep -q "^net1:[^:]*:nt_stub0:5:"
		adm -z web halt; no_links; dismiss'
	nothing_left
}

@test "refused, and named: tag, bridge, MAC of another zone, MTU" {
	world '
		refuse() {
			! adm -z "$1" boot 2>err
			grep -qF "$2" err || { cat err; return 1; }
			is "$1" installed
		}
		zone one idle "$NIC0"
		adm -z one boot
		# a zone of another root, which nobody can compare
		mkdir other
		(
			ROOT=$PWD/other
			zone two idle "$NIC0"
			refuse two "net net0: mac 02:08:20:00:00:01 is in use on bridge br0 by zone '\''one'\'', net net0"
			dismiss
		)
		[ "$(ports | wc -l)" -eq 1 ]
		zone two idle "$NIC1"
		cfg -z two "select net physical=net1; set physical=net0; end"
		cfg -z two "select net physical=net0; set global-nic=lan; end"
		refuse two "net net0: global-nic: there is no bridge '\''lan'\'', and no NIC tag of that name"
		cfg -z two "select net physical=net0; set global-nic=lo; end"
		refuse two "net net0: global-nic: '\''lo'\'' is no bridge"
		ip link add gone type bridge
		nta add lost gone
		ip link delete gone
		cfg -z two "select net physical=net0; set global-nic=lost; end"
		refuse two "net net0: global-nic: NIC tag lost is bridge gone, which is not there"
		cfg -z two "select net physical=net0; set global-nic=stub0; set mtu=9000; end"
		refuse two "net net0: mtu 9000: global-nic stub0 has 1400"
		# the second of two NICs: nothing of the first stays
		cfg -z two "select net physical=net0; clear mtu; end
			add net; set physical=net1; set global-nic=lo; set primary=true; set mac-addr=02:08:20:00:00:07; end"
		refuse two "net net1: global-nic: '\''lo'\'' is no bridge"
		[ "$(ports | wc -l)" -eq 1 ]
		adm -z one halt; no_links; dismiss'
	nothing_left
}

@test "a name that is taken or too long: another one, kept" {
	world '
		zone web idle "$NIC0; add net; set physical=fifteen-letters; set mac-addr=02:08:20:00:00:05; end"
		did=$(number_of web)
		ip link add "z${did}_net0" type veth peer name other
		adm -z web boot
		name=$(adm -z web links -p net0 | cut -d: -f2)
		[[ $name == z_* ]]
		ip link show "$name" | grep -q "alias zone web net net0"
		long=$(adm -z web links -p fifteen-letters | cut -d: -f2)
		[[ $long == z_* ]] && [ "$long" != "$name" ]
		# another supervisor knows it
		kill -KILL "$(supervisors web)"
		[ "$(adm -z web links -p net0 | cut -d: -f2)" = "$name" ]
		# one that is gone hides none of the others
		ip link delete "$long"
		! adm -z web links -p >out 2>err
		grep -q "there is no interface $long" err
		grep -q "^net0:$name:" out
		adm -z web ready
		ip link delete other
		adm -z web halt; no_links; dismiss'
	nothing_left
}

@test "ten zones boot at the same time" {
	world '
		for i in $(seq 10); do
			zone "z$i" idle "add net; set physical=net0; set global-nic=stub0
				set mac-addr=02:08:20:00:01:$(printf %02x "$i"); end" &
			pids+=" $!"
		done
		for p in $pids; do wait "$p"; done
		pids=
		for i in $(seq 10); do
			adm -z "z$i" boot &
			pids+=" $!"
		done
		for p in $pids; do wait "$p"; done
		[ "$(ports | sort -u | wc -l)" -eq 10 ]
		[ "$(ip -o link show type bridge | grep -c nt_stub0)" -eq 1 ]
		pids=
		for i in $(seq 10); do
			adm -z "z$i" halt &
			pids+=" $!"
		done
		for p in $pids; do wait "$p"; done
		no_links; dismiss'
	nothing_left
}

@test "kill -9 of the supervisor, and of the zone's process, no link stays" {
	export ZHYVE_ZONEADMD=$BUILD/cmd/zoneadmd/zoneadmd-faults
	world '
		zone web idle "$NIC0; $NIC1"
		# those at which links differ; zonefaults has them all
		for step in ready-hook ready-opened ready-spawned ready-sent ready-done boot-running \
			halt-begun halt-killed halt-cleaned ready-spawned:zhyve ready-sent:zhyve boot-run:zhyve; do
			: >once
			export ZHYVE_FAULT=$step ZHYVE_FAULT_ONCE=$PWD/once
			adm -z web boot >/dev/null 2>&1 || true
			adm -z web halt >/dev/null 2>&1 || true
			[ ! -e once ] || { echo "never at $step"; exit 1; }
			adm -z web halt 2>/dev/null
			no_links || { echo "after $step"; exit 1; }
			dismiss
		done'
	nothing_left
}

# A zonelink that dies at the step that the file 'step' names; more options of
# it, another supervisor.
breakable() {
	mkdir bin
	cp "$BUILD/cmd/zoneadmd/${2:-zoneadmd}" bin/zoneadmd
	ln -s "$BUILD"/cmd/zoneadmd/zonesnap "$BUILD"/cmd/zoneadmd/mdata bin/
	cat >bin/zonelink <<-EOF
		#!/bin/sh
		[ ! -e $PWD/step ] || [ "\$1" != make ] || export ZHYVE_FAULT="\$(cat $PWD/step)"
		exec $BUILD/cmd/zoneadmd/zonelink-faults "\$@" ${1:-}
	EOF
	chmod +x bin/zonelink
	export ZHYVE_ZONEADMD=$PWD/bin/zoneadmd
}

@test "kill -9 of zonelink and of the zone's process: no link stays" {
	breakable
	world '
		zone web idle "$NIC0; $NIC1"
		for step in $("$BUILD/cmd/zoneadmd/zonelink-faults" -F); do
			echo "$step" >step
			! adm -z web boot 2>err
			grep -q "zonelink: killed by signal 9\|zonelink ended" err || { cat err; exit 1; }
			is web installed
			no_links || { echo "after $step"; exit 1; }
		done
		rm step
		adm -z web boot
		kill -KILL "$(pid_of web)"
		becomes web installed
		adm -z web halt 2>/dev/null # it is; that waits for the supervisor
		no_links; dismiss'
	nothing_left
}

@test "where the guard is nftables: its tables go, whoever was killed" {
	command -v nft >/dev/null || skip "no nft"
	breakable "-g nft" zoneadmd-faults
	world '
		nft list tables >/dev/null || exit 0 # not in this kernel
		zone web spoof "$NIC0; $NIC1; select net physical=net0; set ips=10.9.0.5/24; end
			select net physical=net1; set ips=10.9.1.5/24; end"
		adm -z web boot
		adm -z web links -p | grep -q ":nft:"
		[ "$(nft list tables | wc -l)" -eq 2 ]
		spoofed() { adm -z web links -p net0 | grep -q ":macspoofed=[1-9]"; }
		wait_for spoofed
		cfg -z web "select net physical=net0; set maxbw=100; end" 2>/dev/null
		adm -z web apply
		adm -z web halt
		no_links
		# zonelink dies: the supervisor has the names tried
		for step in $("$BUILD/cmd/zoneadmd/zonelink-faults" -F); do
			echo "$step" >step
			! adm -z web boot 2>/dev/null
			no_links || { echo "after $step"; exit 1; }
		done
		rm step
		# the supervisor dies: the next one cleans
		for step in ready-begun ready-opened ready-spawned ready-built boot-done halt-killed halt-cleaned; do
			dismiss
			: >once
			ZHYVE_FAULT=$step ZHYVE_FAULT_ONCE=$PWD/once adm -z web boot >/dev/null 2>&1 || true
			adm -z web halt >/dev/null 2>&1 || true
			adm -z web halt 2>/dev/null
			[ ! -e once ] || { echo "never at $step"; exit 1; }
			no_links || { echo "after $step"; exit 1; }
		done
		# and both, of a zone that runs
		adm -z web boot
		pid=$(pid_of web)
		kill -KILL "$(supervisors web)" "$pid"
		adm -z web halt 2>/dev/null
		no_links; dismiss'
	nothing_left
}

@test "where the guard is nftables: a VLAN wants a bridge that filters" {
	command -v nft >/dev/null || skip "no nft"
	breakable "-g nft"
	world '
		nft list tables >/dev/null || exit 0 # not in this kernel
		zone web idle "$NIC0; select net physical=net0; set vlan-id=5; end"
		! adm -z web boot 2>err
		grep -q "net net0: vlan-id 5: .*cannot push a tag.*vlan_filtering 1.*clear vlan-id" err || { cat err; exit 1; }
		is web installed
		no_links; dismiss'
	nothing_left
}

# learners: processes that learn addresses for a link named z*_net0
learners() {
	pgrep -r S,R,D -x "z$(number_of web)_net0" || true
}

@test "where the guard is nftables: who learns addresses is there, and goes" {
	command -v nft >/dev/null || skip "no nft"
	breakable "-g nft"
	export -f learners
	world '
		nft list tables >/dev/null || exit 0 # not in this kernel
		zone web idle "$NIC0; select net physical=net0; set ips=dhcp; end"
		adm -z web boot
		adm -z web links -p | grep -q ":nft:"
		one=$(learners)
		[ "$(echo "$one" | wc -w)" -eq 1 ]
		# behind its walls: one capability, seccomp, nothing open but its own
		grep "^CapEff:.*0000000000001000$" "/proc/$one/status"
		grep "^CapBnd:.*0000000000000000$" "/proc/$one/status"
		grep "^Seccomp:.*2$" "/proc/$one/status"
		[ "$(ls "/proc/$one/fd" | wc -l)" -eq 2 ]
		# another one takes its place with another configuration
		cfg -z web "select net physical=net0; set strict=true; end" 2>/dev/null
		adm -z web apply
		becomes_other() { two=$(learners); [ "$(echo "$two" | wc -w)" -eq 1 ] && [ "$two" != "$one" ]; }
		for _ in $(seq "$WAIT"); do ! becomes_other || break; sleep 0.1; done
		becomes_other
		kill -KILL "$two"
		cfg -z web "select net physical=net0; set strict=false; end" 2>/dev/null
		adm -z web apply
		one=$(learners)
		[ "$(echo "$one" | wc -w)" -eq 1 ]
		# none with addresses that are given
		cfg -z web "select net physical=net0; set allow-ip-spoofing=true; end" 2>/dev/null
		adm -z web apply
		for _ in $(seq "$WAIT"); do [ -n "$(learners)" ] || break; sleep 0.1; done
		[ -z "$(learners)" ]
		cfg -z web "select net physical=net0; set allow-ip-spoofing=false; end" 2>/dev/null
		adm -z web apply
		[ -n "$(learners)" ]
		kill -KILL "$(pid_of web)"
		becomes web installed
		adm -z web halt 2>/dev/null
		no_links
		for _ in $(seq "$WAIT"); do [ -n "$(learners)" ] || break; sleep 0.1; done
		[ -z "$(learners)" ]
		dismiss'
	nothing_left
}

@test "a link becomes the port of a bridge when it is needed, unless it has addresses" {
	world '
		ip link add eth8 type veth peer name eth8p
		ip link add eth9 type veth peer name eth9p
		ip addr add 192.0.2.1/24 dev eth9
		nta add external eth8
		nta add admin eth9
		zone web idle "$NIC1; select net physical=net1; set global-nic=external; end"
		zone adm idle "$NIC0; select net physical=net0; set global-nic=admin; end"
		adm -z web boot
		[ "$(ports)" = "z$(number_of web)_net1 nt_external" ]
		ip -o link show eth8 | grep -q "master nt_external"
		! adm -z adm boot 2>err
		grep -q "NIC tag admin: link eth9 has address 192.0.2.1/24" err
		! ip link show nt_admin 2>/dev/null
		! nta delete external 2>err
		grep -q "NIC tag external is in use by zone .web." err
		adm -z web halt; no_links; dismiss'
	nothing_left
}

# The guest takes another's address, and sends frames of a type of its own.
@test "what is dropped: counters, events, the log; also to the next supervisor" {
	world '
		told() {
			adm -z web events -n | grep -c "\"event\":\"link\",\"net\":\"net0\",\"cause\":\".*$1" || true
		}
		zone web spoof "$NIC0"
		adm -z web boot
		adm -z web links -p | grep -q ":bpf:" || { adm -z web halt; exit 0; }
		shows "zoneadmd: link net0: .*mac [0-9]" "$ROOT/zones/web/logs/platform.log"
		shows "zoneadmd: link net0: .*restricted [0-9]" "$ROOT/zones/web/logs/platform.log"
		[ "$(told "mac [0-9]*")" -gt 0 ]
		adm -z web links -p >out
		grep -Eq ":macspoofed=[1-9][0-9]*,restricted=[1-9]" out
		[ "$(cut -d: -f14 out)" -eq 0 ] # sent: none went through
		# at most one a second
		adm -z web events -n | sed -nE "/\"event\":\"link\"/s/.*T([0-9:]*)\..*/\1/p" | uniq -c | sort -rn >rate
		[ "$(awk "NR == 1 { print \$1 }" rate)" -le 2 ]
		# protection off: it goes through at once, and nobody is told
		cfg -z web "select net physical=net0; set allow-mac-spoofing=true; set allow-restricted-traffic=true
			set allow-ip-spoofing=true; set allow-dhcp-spoofing=true; end" 2>/dev/null
		adm -z web apply >/dev/null
		sent() { [ "$(adm -z web links -p | cut -d: -f14)" -gt 0 ]; }
		wait_for sent
		cfg -z web "select net physical=net0; clear allow-mac-spoofing; clear allow-ip-spoofing; clear allow-dhcp-spoofing
			clear allow-restricted-traffic; end" 2>/dev/null
		adm -z web apply >/dev/null
		# another supervisor hears of it as well
		kill -KILL "$(supervisors web)"
		n=$(told mac)
		adm -z web boot 2>/dev/null # it is: that starts a supervisor
		more() { [ "$(told mac)" -gt "$n" ]; }
		wait_for more
		grep -q "goes on with process" "$ROOT/zones/web/logs/platform.log"
		adm -z web halt; no_links; dismiss'
	nothing_left
}
