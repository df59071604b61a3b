# A Debian server from its JSON manifest alone: cloud-init configures it by
# metadata, its operator comes in by ssh through the guarded link, and what an
# update says is so after the guest's own reboot.
# As vm.bats; IMAGE: folder made by tools/image.sh.
load ../cli/zones.bash
load common.bash

U=5b2f4f0c-8a55-4c0e-9b1e-6d5a3c1e7f43
FIRST=02:08:20:00:00:3a

# manifest IMAGE VCPUS DISKS
manifest() {
	python3 - "$@" <<-PY
		import json, sys
		json.dump({
		    "brand": "bhyve", "uuid": "$U", "alias": "web0", "hostname": "web0",
		    "vcpus": int(sys.argv[2]), "ram": 1024, "autoboot": True, "engine": "$ENGINE", "resolvers": ["10.77.0.1"],
		    "disks": [{"boot": True, "model": "virtio", "image_uuid": sys.argv[1], "image_size": 2048},
		        *[{"model": "virtio", "size": 64}] * (int(sys.argv[3]) - 1)],
		    "nics": [
		        {"nic_tag": "external", "mac": "$FIRST", "primary": True, "model": "virtio",
		         "ips": ["10.77.0.5/24", "fd00:77::5/64"], "gateways": ["10.77.0.1"]},
		        {"nic_tag": "internal", "model": "virtio", "ips": ["10.78.0.5/24", "fd00:78::5/64"]}],
		    "customer_metadata": {
		        "root_authorized_keys": open("key.pub").read().strip(),
		        "user-script": "#!/bin/sh\necho provisioned >/var/tmp/provisioned\n",
		        "cloud-init:user-data": "#cloud-config\nwrite_files:\n- path: /var/tmp/asked\n  content: by user-data\n"},
		}, sys.stdout)
	PY
}

# guest ADDRESS COMMAND: as root, by ssh
guest() {
	timeout -k 5 300 ssh -n -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
		-o ConnectTimeout=20 -o LogLevel=ERROR -i key "root@$1" "$2"
}

# booted ADDRESS: it lets us in, not in the boot that was last seen, and
# cloud-init is done
booted() {
	local now _
	for _ in $(seq 600); do
		now=$(guest "$1" 'cat /proc/sys/kernel/random/boot_id' 2>/dev/null) || now=
		if [ -n "$now" ] && [ "$now" != "${BOOT:-}" ]; then
			BOOT=$now
			guest "$1" 'cloud-init status --wait' | grep -q 'status: done'
			return
		fi
		sleep 1
	done
	tail -n 30 "$ROOT/var/lib/zhyve/zones/$U/logs/console.log" "$ROOT/var/lib/zhyve/zones/$U/logs/platform.log"
	return 1
}

# says TEXT ADDRESS COMMAND: a line of its output
says() {
	local got
	got=$(guest "$2" "$3")
	echo "$got" | grep -qxe "$1" || {
		printf 'the guest said to %s:\n%s\nwanted: %s\n' "$3" "$got" "$1"
		return 1
	}
}

# life VCPUS DISKS
life() {
	[ -f "$IMAGE/manifest.json" ] || skip "no Debian image in $IMAGE (make check-long makes it)"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	command -v ssh-keygen >/dev/null || skip "no ssh"
	export U FIRST IMAGE VCPUS=$1 DISKS=$2
	inside manifest guest booted says <<-'EOS'
		tags add -l internal
		ssh-keygen -q -t ed25519 -N '' -f key
		"$BUILD/cmd/imgadm/imgadm" -R "$ROOT" import -m "$IMAGE/manifest.json" "$IMAGE/disk.raw"
		image=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["uuid"])' "$IMAGE/manifest.json")
		manifest "$image" "$VCPUS" "$DISKS" >web0.json
		vm create -f web0.json
		ip addr add 10.78.0.1/24 dev nt_internal
		booted 10.77.0.5
		says web0 10.77.0.5 hostname
		says "$VCPUS" 10.77.0.5 nproc
		says "$DISKS" 10.77.0.5 'ls /sys/block | grep -c ^vd'
		says 'nameserver 10.77.0.1' 10.77.0.5 'cat /etc/resolv.conf'
		for a in 10.77.0.5/24 fd00:77::5/64 10.78.0.5/24 fd00:78::5/64; do
			says ".* inet6\? $a .*" 10.77.0.5 'ip -o addr show'
		done
		says provisioned 10.77.0.5 'cat /var/tmp/provisioned'
		says 'by user-data' 10.77.0.5 'cat /var/tmp/asked; echo'
		says web0 fd00:77::5 hostname
		vm update "$U" <<-JSON
			{"ram": 1280, "vcpus": 3, "set_customer_metadata": {"colour": "red"},
			"update_nics": [{"mac": "$FIRST", "ips": ["10.77.0.9/24", "fd00:77::9/64"]}]}
		JSON
		# the guard takes new addresses at once: by the other link
		guest 10.78.0.5 reboot || true
		booted 10.77.0.9
		says 3 10.77.0.9 nproc
		says more 10.77.0.9 'awk "/MemTotal/ { print (\$2 > 1150000 ? \"more\" : \"less\") }" /proc/meminfo'
		says red 10.77.0.9 'mdata-get colour'
		# a snapshot, damage, back
		vm stop "$U"
		vm create-snapshot "$U" before
		vm start "$U"
		booted 10.77.0.9
		guest 10.77.0.9 'rm -rf /etc/ssh /var/tmp/provisioned; sync'
		vm stop -F "$U"
		vm rollback-snapshot "$U" before
		[ "$(vm list -H -o state)" = running ] || vm start "$U"
		booted 10.77.0.9
		says provisioned 10.77.0.9 'cat /var/tmp/provisioned'
		# to another root, and up there
		vm stop "$U"
		mkdir other
		"$BUILD/cmd/nictagadm/nictagadm" -R "$PWD/other" add external br0
		vm send "$U" >stream
		vm delete "$U"
		"$BUILD/cmd/nictagadm/nictagadm" -R "$ROOT" delete internal
		"$BUILD/cmd/nictagadm/nictagadm" -R "$PWD/other" add -l internal
		first=$ROOT
		ROOT=$PWD/other
		vm receive <stream
		vm start "$U"
		booted 10.77.0.9
		says web0 10.77.0.9 hostname
		vm delete -F "$U"
		[ -z "$(find "$ROOT" -name "*$U*")" ]
		ROOT=$first
		[ -z "$(vm list -H)" ]
		[ -z "$(find "$ROOT" -name "*$U*")" ]
		nothing_left
	EOS
}

@test "a Debian server from its manifest: configured, updated, brought back, moved" {
	life 2 2
}

@test "the same with 4 vCPUs and 3 disks" {
	life 4 3
}
