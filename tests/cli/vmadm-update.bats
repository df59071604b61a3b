# vmadm update: what a VM has, and when it takes effect.
load vms.bash

@test "update: properties, NICs, disks, metadata" {
	make a '"disks": [{"size": 1}]' '"nics": [{"mac": "02:08:20:00:00:01"}]' '"customer_metadata": {"k": "v"}'
	vm update "$ID" ram=64 alias=b cpu_cap=150 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	[ "$(vm list -p -o ram,alias,cpu_cap,max_physical_memory)" = 64:b:150:1088 ]
	echo '{"set_customer_metadata": {"x": "y", "n": 5}, "remove_customer_metadata": ["k"], "set_tags": {"role": "web"},
		"add_nics": [{"mac": "02:08:20:00:00:02", "ips": ["dhcp"], "primary": true}],
		"update_nics": [{"mac": "02:08:20:00:00:01", "mtu": 1400}],
		"add_disks": [{"size": 2}]}' | vm update "$ID"
	vm get "$ID" >got.json
	python3 - <<'END'
import json
vm = json.load(open("got.json"))
assert vm["customer_metadata"] == {"x": "y", "n": "5"}, vm["customer_metadata"]
assert vm["tags"] == {"role": "web"}
assert [n["mac"] for n in vm["nics"]] == ["02:08:20:00:00:01", "02:08:20:00:00:02"]
assert [n.get("primary") for n in vm["nics"]] == [None, True]
assert vm["nics"][0]["mtu"] == 1400 and vm["nics"][1]["ips"] == ["dhcp"]
assert [d["size"] for d in vm["disks"]] == [1, 2]
END
	[ -f "$ROOT/var/lib/zhyve/zones/$ID/disks/disk1" ]
	disk=/dev/zvol/rdsk/zones/$ID/disk1
	refused 1 "vmadm: update: update_disks.0: size: 1 is less than 2: *dangerous_allow_shrink" \
		update "$ID" update_disks="[{\"path\": \"$disk\", \"size\": 1}]"
	vm update "$ID" update_disks="[{\"path\": \"$disk\", \"size\": 4}]"
	[ "$(stat -c %s "$ROOT/var/lib/zhyve/zones/$ID/disks/disk1")" -eq $((4 << 20)) ]
	vm update "$ID" update_disks="[{\"path\": \"$disk\", \"size\": 1, \"dangerous_allow_shrink\": true}]"
	vm update "$ID" remove_disks="[\"$disk\"]" remove_nics='["02:08:20:00:00:01"]'
	[ ! -e "$ROOT/var/lib/zhyve/zones/$ID/disks/disk1" ]
	[ "$(vm list -p -o nics.*.mac,disks.*.size)" = '02\:08\:20\:00\:00\:02:1' ]
	cfg -z "$ID" verify
	vm update "$ID" flexible_disk_size=2
	refused 1 "vmadm: update: flexible_disk_size: 2 is less than the disks together, 3" \
		update "$ID" add_disks='[{"size": 2}]'
	[ "$(vm list -p -o free_space)" = 1 ]
	# what is wrong changes nothing
	vm get "$ID" >before
	refused 1 "vmadm: update: ram: 0 is not in 1..1073741824
vmadm: update: nics: use add_nics, update_nics and remove_nics to change it" update "$ID" ram=0 nics='[]'
	refused 1 "vmadm: update: the VM has no NIC with MAC address '02:00:00:00:00:09'" \
		update "$ID" alias=c remove_nics='["02:00:00:00:00:09"]' add_disks='[{"size": 1}]'
	refused 1 "vmadm: update: *keys*" update "$ID" alias=c add_disks='[{"size": 1}]' \
		set_customer_metadata="$(python3 -c 'import json; print(json.dumps({str(i): "" for i in range(2000)}))')"
	vm get "$ID" | diff before -
	[ "$(ls "$ROOT/var/lib/zhyve/zones/$ID/disks")" = disk0 ]
}

@test "update: refreservation and compression of disks" {
	blocks() {
		local n
		n=$(stat -c %b "$ROOT/var/lib/zhyve/zones/$ID/disks/disk0")
		[ $((n / 2)) -ge "$1" ] && [ $((n / 2)) -lt "$2" ]
	}
	change() {
		vm update "$ID" update_disks="[{\"path\": \"/dev/zvol/rdsk/zones/$ID/disk0\", $1}]"
	}
	refused_change() {
		refused 1 "$1" update "$ID" update_disks="[{\"path\": \"/dev/zvol/rdsk/zones/$ID/disk0\", $2}]"
	}
	make a '"disks": [{"size": 8}]'
	blocks 0 512
	change '"refreservation": 4'
	[ "$(vm list -p -o disks.0.refreservation)" = 4 ]
	blocks 4096 5000
	refused_change "vmadm: update: update_disks.0: refreservation: 9 is more than the size, 8" '"refreservation": 9'
	refused_change "vmadm: update: update_disks.0: refreservation: 4 is more than the size, 3" \
		'"size": 3, "dangerous_allow_shrink": true'
	change '"size": 16, "refreservation": 12'
	blocks 12288 13000
	# what cannot be had changes nothing
	refused_change "vmadm: update: update_disks.0: */disk0: cannot keep 1073741824 MiB free for it (refreservation): *" \
		'"size": 1073741824, "refreservation": 1073741824' || df -h . >&2
	blocks 12288 13000
	change '"refreservation": 1'
	blocks 1024 2000
	vm start "$ID"
	change '"refreservation": 3'
	blocks 3072 4000
	refused_change "vmadm: update: update_disks.0: refreservation: VM $ID is running: stop it before less is set aside" '"refreservation": 1'
	vm stop -F "$ID"
	change '"refreservation": null'
	blocks 0 512
	[ "$(vm list -p -o disks.0.refreservation)" = - ]
	# what a pool cannot is told, and kept
	change '"compression": "lz4"' 2>.err
	[ "$(vm list -p -o disks.0.compression)" = lz4 ]
	[ "$(tail -n 1 .err)" = "Successfully updated VM $ID" ]
	[ "$(wc -l <.err)" -eq 1 ] || grep -qx "vmadm: update: update_disks.0: compression is only kept: pool 'zones' does not compress: $ROOT/var/lib/zhyve/zones is not on btrfs" .err
	refused_change "vmadm: update: update_disks.0.compression: \"fast\" is not *" '"compression": "fast"'
	touch disk.img
	vm update "$ID" add_disks="[{\"path\": \"$PWD/disk.img\", \"nocreate\": true}]"
	refused 1 "vmadm: update: update_disks.0: compression: $PWD/disk.img is no volume of this VM" \
		update "$ID" update_disks="[{\"path\": \"$PWD/disk.img\", \"compression\": \"lz4\"}]"
	vm delete "$ID"
	no_trace
}

@test "quota: what a pool holds, what is only kept" {
	make a '"quota": 1'
	vm update "$ID" quota=2 2>.err
	[ "$(head -n 1 .err)" = "vmadm: update: quota is only kept: pool 'zones' is of plain files and limits no zone" ]
	[ "$(vm list -p -o quota)" = 2 ]
	vm update "$ID" quota=0 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	vm delete "$ID"
	pool_on btrfs mkfs.btrfs -q
	mkdir -p "$ROOT/etc/zones"
	echo "zones btrfs /var/lib/zhyve/zones" >"$ROOT/etc/zones/pools"
	place=$ROOT/var/lib/zhyve/zones
	limit() {
		btrfs qgroup show -rf --raw "$place/$ID" 2>/dev/null | awk '/^0\// { print $4 }'
	}
	make a '"quota": 1' '"disks": [{"size": 8}]'
	vm update "$ID" quota=2 2>.err
	[ "$(head -n 1 .err)" = "vmadm: update: quota is only kept: quotas of btrfs are off in pool 'zones'; 'btrfs quota enable $place' turns them on" ]
	btrfs quota enable "$place"
	btrfs quota rescan -w "$place" >/dev/null
	vm update "$ID" quota=2 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	[ "$(limit)" -eq $((2056 << 20)) ]
	vm update "$ID" add_disks='[{"size": 4, "refreservation": 4}]'
	[ "$(limit)" -eq $((2060 << 20)) ]
	vm create-snapshot "$ID" s1
	vm rollback-snapshot "$ID" s1
	[ "$(limit)" -eq $((2060 << 20)) ]
	vm update "$ID" remove_disks="[\"/dev/zvol/rdsk/zones/$ID/disk1\"]"
	[ "$(limit)" -eq $((2056 << 20)) ]
	vm update "$ID" quota=0
	[ "$(limit)" = none ]
	make b '"quota": 1' '"disks": [{"size": 8}]'
	[ "$(limit)" -eq $((1032 << 20)) ]
}

@test "flexible_disk_size counts snapshots" {
	make a '"disks": [{"size": 4}]' '"flexible_disk_size": 8'
	head -c 3M /dev/urandom | dd of="$ROOT/var/lib/zhyve/zones/$ID/disks/disk0" conv=notrunc status=none
	vm create-snapshot "$ID" s1
	refused 1 "vmadm: create-snapshot: flexible_disk_size: 8 is less than the disks, 4, and their snapshots with this one, [67], together" \
		create-snapshot "$ID" s2
	refused 1 "vmadm: update: flexible_disk_size: 8 is less than the disks, 6, and their snapshots, [34], together" \
		update "$ID" add_disks='[{"size": 2}]'
	refused 1 "vmadm: update: flexible_disk_size: 5 is less than the disks, 4, and their snapshots, [34], together" \
		update "$ID" flexible_disk_size=5
	[ "$(vm list -p -o snapshots.*.name,disks.*.size)" = s1:4 ]
	vm delete-snapshot "$ID" s1
	vm create-snapshot "$ID" s2
	echo '{"flexible_disk_size": null}' | vm update "$ID"
	vm create-snapshot "$ID" s3
}

@test "update: compression on btrfs" {
	pool_on btrfs mkfs.btrfs -q
	make a '"disks": [{"size": 8, "compression": "gzip"}]'
	disk=$ROOT/var/lib/zhyve/zones/$ID/disks/disk0
	[ "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "btrfs.compression").decode())' "$disk")" = zlib ]
	vm update "$ID" update_disks="[{\"path\": \"/dev/zvol/rdsk/zones/$ID/disk0\", \"compression\": \"lz4\"}]" 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	[ "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "btrfs.compression").decode())' "$disk")" = zstd ]
}

@test "update of a VM that runs: limits at once, the rest at the next boot" {
	make a
	vm start "$ID"
	vm update "$ID" cpu_cap=50 ram=64 2>.err
	[ "$(head -n 1 .err)" = "vmadm: update: what cannot change while the VM runs takes effect at its next boot" ]
	group=$(adm stat -j >/dev/null; find /sys/fs/cgroup -maxdepth 6 -type d -name "zhyve-*-$(python3 "$HERE/fnv.py" "$ROOT")")
	grep -q 50000 $(for g in $group; do ls "$g/cpu.cfs_quota_us" "$g/cpu.max" 2>/dev/null; done)
	vm update "$ID" cpu_cap=0 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	! grep -q 50000 $(for g in $group; do ls "$g/cpu.cfs_quota_us" "$g/cpu.max" 2>/dev/null; done)
	refused 1 "vmadm: update: VM $ID is running: stop it before disks are resized or removed" \
		update "$ID" remove_disks='["/x"]'
	vm delete -F "$ID"
}

@test "a guard's switches change while the VM runs" {
	[ -c /dev/net/tun ] || skip "no taps here"
	mkdir -p "$ROOT/etc/zones"
	echo "vmt stub - 0" >"$ROOT/etc/zones/nictags"
	make a '"nics": [{"nic_tag": "vmt", "mac": "02:08:20:00:00:01", "ips": ["10.0.0.5/24"]}]'
	vm start "$ID"
	vm update "$ID" update_nics='[{"mac": "02:08:20:00:00:01", "allow_ip_spoofing": true, "maxbw": "10M"}]' 2>.err
	[ "$(cat .err)" = "Successfully updated VM $ID" ]
	[ "$(vm list -p -o nics.0.allow_ip_spoofing,nics.0.maxbw)" = true:10M ]
	adm -z "$ID" apply | grep -q 'allow-ip-spoofing' # as its boot was, and what is
	vm update "$ID" update_nics='[{"mac": "02:08:20:00:00:01", "mtu": 1400}]' 2>.err
	grep -q "next boot" .err
	vm delete -F "$ID"
	ip link del nt_vmt 2>/dev/null || true
	rm "$ROOT/etc/zones/nictags" "$ROOT/etc/zones/.nictags.lock"
	no_trace
}
