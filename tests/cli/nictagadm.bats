# NIC tags: the file, and the host's bridges, in a network of the test's own.
bats_require_minimum_version 1.5.0
load zones.bash

nta() {
	timeout -k 5 60 "$BUILD/cmd/nictagadm/nictagadm" -R "$ROOT" "$@"
}

# says TEXT STATUS ARG...: nictagadm ends so, with that error.
says() {
	local want="nictagadm: $1" status=0 got
	local wanted=$2
	shift 2
	got=$(nta "$@" 2>&1 >/dev/null) || status=$?
	# shellcheck disable=SC2053
	if [ "$status" -ne "$wanted" ] || [[ $got != $want ]]; then
		printf 'nictagadm %s\nstatus %s: %s\nwanted %s: %s\n' \
			"$*" "$status" "$got" "$wanted" "$want"
		return 1
	fi
}

world() {
	export -f cfg nta says
	export BUILD ROOT
	printf 'set -eu\n%s\n' "$1" >world.sh
	unshare -n bash world.sh
}

@test "add, list, update, exists, delete" {
	world '
		ip link add br0 type bridge
		ip link add eth9 type veth peer name eth9p
		nta add admin br0
		nta add -p mtu=1400 external eth9
		nta add -l stub0
		[ "$(nta list -p)" = "admin:bridge:br0:br0:0
external:link:eth9:nt_external:1400
stub0:stub:-:nt_stub0:0" ]
		nta list | grep -q "^external *link *eth9 *nt_external *1400\$"
		nta exists admin stub0
		says "there is no NIC tag '\''lan'\''" 1 exists admin lan
		says "NIC tag admin is there already" 1 add -l admin
		nta update -p mtu=9000 stub0
		nta update external br0
		[ "$(nta list -p | tail -n 2)" = "external:bridge:br0:br0:1400
stub0:stub:-:nt_stub0:9000" ]
		nta delete admin
		nta delete external
		nta delete stub0
		[ -z "$(nta list -p)" ]
		# nothing was made on the host: nobody needed it
		[ -z "$(ip -o link show type bridge | grep -v br0 || true)" ]'
}

@test "what is wrong is said" {
	world '
		says "there is no interface '\''eth7'\''" 1 add lan eth7
		says "NIC tag '\''a-b'\'': 1 to 31 letters, digits, *" 1 add -l a-b
		says "NIC tag slirp: global-nic slirp is a user-mode network; *" 1 add -l slirp
		says "NIC tag thirteen_long: its bridge would be *" 1 add -l thirteen_long
		says "there is no NIC tag '\''lan'\''" 1 delete lan
		says "there is no NIC tag '\''lan'\''" 1 update -p mtu=1400 lan
		says "add: either -l or an interface*" 2 add lan
		says "add: -p takes mtu=N*" 2 add -l -p mtu=x lan
		says "there is no command '\''ad'\''; did you mean '\''add'\''?*" 2 ad
		mkdir -p "$ROOT/etc/zones"
		printf "lan brigde br0 0\n" >"$ROOT/etc/zones/nictags"
		says "*/etc/zones/nictags:1: kind '\''brigde'\'': bridge, link and stub can be" 1 list
		says "*/etc/zones/nictags:1: kind*" 1 add -l stub0
		[ "$(cat "$ROOT/etc/zones/nictags")" = "lan brigde br0 0" ]'
}

@test "help has every command of the manual, and one's usage" {
	nta help | awk '{ print $1 }' >program
	sed -n '/^\.Sh COMMANDS/,/^\.Sh FILES/s/^\.It Cm \([a-z]*\).*/\1/p' "$HERE/../../man/nictagadm.8" | sort -u >manual
	diff manual program
	run nta help vms
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "usage: nictagadm vms name" ]
	run nta help vm
	[ "$status" -eq 2 ]
	[ "${lines[0]}" = "nictagadm: there is no command 'vm'; did you mean 'vms'?" ]
}

@test "a tag that a zone names stays" {
	world '
		nta add -l stub0
		cfg -z web "create; set zonepath=/zones/web; add net; set physical=net0
			set global-nic=stub0; end"
		[ "$(nta vms stub0)" = web ]
		says "NIC tag stub0 is in use by zone '\''web'\''" 1 delete stub0
		nta exists stub0
		cfg -z web "remove -F net"
		[ -z "$(nta vms stub0)" ]
		nta delete stub0'
}

@test "twenty at the same time: none is lost" {
	for i in $(seq 20); do
		nta add -l "s$i" &
		pids+=" $!"
	done
	for p in $pids; do
		wait "$p"
	done
	[ "$(nta list -p | wc -l)" -eq 20 ]
}
