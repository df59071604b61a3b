# The life of a VM from its JSON manifest alone, as its operator sees it: made,
# configured by metadata, updated, damaged and rolled back, sent away, deleted.
# The guest is Debian's kernel with the busybox image's init; a user-script in
# it does what its operator asks by metadata, and answers so.
# BUILD, ENGINE, ZHYVE_BRANDS, ZHYVE_ZONEADMD: as of tests/cli/zones.bash;
# LINUX: folder made by tools/kernel.sh; MDATA_GET: static program for guests,
# empty if there is none.
load ../cli/zones.bash
load common.bash

U=5b2f4f0c-8a55-4c0e-9b1e-6d5a3c1e7f42
OTHER=02:08:20:00:00:2a
FIRST=02:08:20:00:00:1a

teardown() {
	stop_world
	[ -z "${ROOT:-}" ] || ROOT=$ROOT-2 stop_world
}

# manifest VCPUS DATA-DISKS: on standard output
manifest() {
	python3 - "$@" <<-PY
		import json, sys
		vcpus, disks = map(int, sys.argv[1:])
		script = """#!/bin/sh
		work() {
		    mdata-put booted "\$(cat /proc/sys/kernel/random/boot_id)"
		    while :; do
		        if do=\$(mdata-get do 2>/dev/null); then
		            mdata-delete do
		            mdata-put did "\$(eval "\$do" 2>&1)"
		        fi
		        sleep 1
		    done
		}
		work &
		"""
		json.dump({
		    "brand": "bhyve", "uuid": "$U", "alias": "web0", "hostname": "web0",
		    "vcpus": vcpus, "ram": 160, "autoboot": True, "engine": "$ENGINE",
		    "kernel": "$LINUX/vmlinuz", "initrd": "$PWD/initrd.img",
		    "cmdline": "console=ttyS0 quiet panic=-1",
		    "resolvers": ["10.77.0.1", "fd00:77::1"],
		    "disks": [{"model": "virtio", "size": 8 + n, "boot": n == 0} for n in range(disks)],
		    "nics": [
		        {"nic_tag": "external", "mac": "$FIRST", "primary": True, "model": "virtio",
		         "ips": ["10.77.0.5/24", "fd00:77::5/64"], "gateways": ["10.77.0.1"]},
		        {"nic_tag": "internal", "mac": "$OTHER", "model": "virtio",
		         "ips": ["10.78.0.5/24", "fd00:78::5/64"]}],
		    "customer_metadata": {"user-script": script.replace("\\n\\t\\t", "\\n"), "colour": "blue"},
		}, sys.stdout)
	PY
}

# property NAME: what get has of the VM, a member of an object by a point
property() {
	vm get "$U" | python3 -c '
import functools, json, sys
v = functools.reduce(lambda d, k: d.get(k, "") if isinstance(d, dict) else "", sys.argv[1].split("."), json.load(sys.stdin))
print(v)' "$1"
}

# lost WHAT: fail, with what the guest and its platform said last
lost() {
	echo "$1"
	tail -n 30 "$ROOT/var/lib/zhyve/zones/$U/logs/console.log" \
		"$ROOT/var/lib/zhyve/zones/$U/logs/platform.log" 2>/dev/null
	return 1
}

# new_boot: now is not as the boot that was last seen
new_boot() {
	now=$(property customer_metadata.booted)
	[ -n "$now" ] && [ "$now" != "${BOOT:-}" ]
}

# booted: the guest has come up, not as the boot that was last seen
booted() {
	local now
	WAIT=400 wait_for new_boot || lost "the guest never came up" || return 1
	BOOT=$now
}

# tell COMMAND: the guest's shell runs it; ask: and its output is here
tell() {
	python3 -c 'import json, sys
json.dump({"set_customer_metadata": {"do": sys.argv[1]}, "remove_customer_metadata": ["did"]}, sys.stdout)' \
		"$1" | vm update "$U" 2>update.err || {
		lost "$(cat update.err)"
	}
}
answered() {
	got=$(property customer_metadata.did)
	[[ $got == *done ]]
}
ask() {
	local got
	tell "$1; echo; echo done" || return 1
	WAIT=400 wait_for answered || lost "no answer to: $1" || return 1
	echo "$got"
}

# says TEXT COMMAND: the guest's output of it has that line
says() {
	local got
	got=$(ask "$2")
	echo "$got" | grep -qxe "$1" || {
		printf 'the guest said to %s:\n%s\nwanted: %s\n' "$2" "$got" "$1"
		return 1
	}
}

# A guest that puts and reads a mark in each of its disks.
mark() {
	ask "for d in /dev/vd[a-z]; do echo '$1' | dd of=\$d bs=512 seek=8192 conv=sync; done; sync"
}
marks() {
	says "$(printf "$1 %.0s" $(seq "$2"))" \
		'for d in /dev/vd[a-z]; do echo "$(dd if=$d bs=512 skip=8192 count=1 2>/dev/null | head -n 1) "; done | tr -d "\n"'
}

is_stopped() {
	[ "$(property state)" = stopped ]
}

# is_off: the guest switches itself off
is_off() {
	tell 'sync; poweroff -f'
	WAIT=400 wait_for is_stopped || lost "it is $(property state), wanted: stopped"
}

# What a manifest says of addresses is so, here and in there.
reaches() {
	ping -c 1 -W 20 "10.77.0.$1" >/dev/null
	ping -c 1 -W 20 "fd00:77::$1" >/dev/null
}

# gone: no trace of the VM in this root
gone() {
	local left
	[ -z "$(vm list -H)" ]
	left=$(find "$ROOT" -name "*$U*")
	left+=$(find "$ROOT" -path '*/disks/*')
	left+=$(cat "$ROOT/etc/zones/index" 2>/dev/null || true)
	left+=$(ip -o link show master br0)
	[ -z "$left" ] || {
		echo "left: $left"
		return 1
	}
	nothing_left
}

# life VCPUS DATA-DISKS
life() {
	local away=$ROOT-2 home=$ROOT
	initrd
	tags add -l internal
	manifest "$@" >web0.json
	vm create -f web0.json
	[ "$(vm list -H -o uuid,state,alias | tr -s ' ')" = "$U running web0" ]
	booted
	says web0 hostname
	says "$1" nproc
	says "$2" 'ls -d /dev/vd[a-z] | wc -l'
	says 'nameserver 10.77.0.1' 'cat /etc/resolv.conf'
	says 'nameserver fd00:77::1' 'cat /etc/resolv.conf'
	says blue 'mdata-get colour'
	for a in 10.77.0.5/24 fd00:77::5/64 10.78.0.5/24 fd00:78::5/64; do
		says ".* inet6\? $a .*" 'ip -o addr show'
	done
	says '.*default via 10.77.0.1 .*' 'ip route'
	reaches 5

	# changed while it runs: so from the next boot on, which the guest makes
	echo "{\"ram\": 224, \"vcpus\": $(($1 + 1)), \"hostname\": \"web1\",
		\"set_customer_metadata\": {\"colour\": \"red\"},
		\"update_nics\": [{\"mac\": \"$FIRST\", \"ips\": [\"10.77.0.9/24\", \"fd00:77::9/64\"]}]}" | vm update "$U"
	says "$1" nproc
	tell 'reboot -f'
	booted
	says web1 hostname
	says "$(($1 + 1))" nproc
	says red 'mdata-get colour'
	says big '[ "$(sed -n "s/MemTotal: *//;s/ kB//;1p" /proc/meminfo)" -gt 170000 ] && echo big'
	reaches 9
	! ping -c 1 -W 1 10.77.0.5 >/dev/null

	# what a snapshot has comes back: disks and metadata
	mark good
	is_off
	vm create-snapshot "$U" before
	vm start "$U"
	booted
	marks good "$2"
	mark damaged
	marks damaged "$2"
	vm update "$U" <<<'{"set_customer_metadata": {"colour": "black"}}'
	vm rollback-snapshot "$U" before
	booted
	marks good "$2"
	says red 'mdata-get colour'
	vm delete-snapshot "$U" before
	is_off

	# to another root, where it boots again
	vm send "$U" >stream
	vm delete "$U"
	gone
	tags delete internal # its bridge is of this root
	mkdir "$away"
	ROOT=$away
	tags add external br0
	tags add -l internal
	vm receive -F -f stream
	vm start "$U"
	booted
	marks good "$2"
	says web1 hostname
	reaches 9
	! vm delete "$U"
	vm delete -F "$U"
	gone
	ROOT=$home
	gone
}

whole() {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	[ -n "$MDATA_GET" ] || skip "this build's programs for guests are not static (sanitizers)"
	export U FIRST OTHER
	echo "life $*" | inside manifest property lost new_boot booted tell answered ask says mark marks is_stopped is_off reaches gone life
}

@test "a VM's life: two disks" {
	whole 1 2
}

@test "a VM's life: 4 vCPUs, 3 disks" {
	whole 4 3
}
