# vmadm: manifests in, VMs out, and nothing left of what failed.
load zones

vm() {
	timeout -k 5 120 "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" "$@"
}

# refused STATUS TEXT ARG...: that exit status, nothing on stdout, exactly this
# on stderr. '*' stands for anything.
refused() {
	local code=$1 want=$2 status=0
	shift 2
	timeout -k 5 120 "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" "$@" >.out 2>.err || status=$?
	# shellcheck disable=SC2053
	if [ "$status" -ne "$code" ] || [ -s .out ] || [[ $(cat .err) != $want ]]; then
		printf 'vmadm %s\nstatus %s, stdout "%s", stderr "%s"\nwanted %s "%s"\n' \
			"$*" "$status" "$(cat .out)" "$(cat .err)" "$code" "$want"
		return 1
	fi
}

# No configuration, index entry, volume, folder or process of a VM.
no_trace() {
	local left
	left=$(find "$ROOT" -mindepth 1 ! -type d ! -path '*/images/*' ! -path '*/.mdata/*' ! -name .lock \
		! -name did.txt ! -name index ! -name events ! -name '.zhyve-*')
	left+=$(find "$ROOT" -type d -name '*-*-*-*-*')
	left+=$(cat "$ROOT/etc/zones/index" 2>/dev/null || true)
	[ -z "$left" ] || {
		echo "left: $left"
		return 1
	}
}

U=7a1ce6b0-3b5c-4c7e-9c39-5d8f2a64e0b1

# make NAME [JSON MEMBER...]: a VM that is off
make() {
	local name=$1 more=""
	shift
	for m in "$@"; do
		more+=", $m"
	done
	echo "{\"brand\": \"bhyve\", \"alias\": \"$name\", \"ram\": ${RAM:-32}, \"autoboot\": false,
		\"engine\": \"$ENGINE\", \"kernel\": \"$GUESTS/${GUEST:-idle}.elf\" $more}" | vm create
	ID=$(vm lookup -1 alias="$name")
}

image() {
	mkdir -p "$ROOT/var/lib/zhyve/images"
	head -c 3M /dev/urandom >"$ROOT/var/lib/zhyve/images/$1.raw"
	printf '{"v":2,"uuid":"%s","name":"test","version":"1","os":"linux","type":"zvol","files":[{"compression":"none","size":3145728}],"image_size":3}' \
		"$1" >"$ROOT/var/lib/zhyve/images/$1.json"
}

# pool_on KIND MKFS...: the pool's folder is a file system of its own
pool_on() {
	local kind=$1
	shift
	mkdir -p "$ROOT/var/lib/zhyve/zones"
	truncate -s 400M pool.img
	"$@" pool.img >/dev/null 2>&1 || skip "cannot be made here: $*"
	mount -t "$kind" -o loop pool.img "$ROOT/var/lib/zhyve/zones" 2>/dev/null || skip "this kernel does not mount $kind here"
}

teardown() {
	stop_world
	! mountpoint -q "${ROOT:-/nowhere}/var/lib/zhyve/zones" || umount "$ROOT/var/lib/zhyve/zones"
}

@test "the example manifest, and what get and zonecfg say of it" {
	image 00000000-0000-0000-0000-000000000000
	cat >web.json <<'END'
{
  "brand": "bhyve", "alias": "web0", "hostname": "web0", "vcpus": 2, "ram": 1024,
  "uuid": "7a1ce6b0-3b5c-4c7e-9c39-5d8f2a64e0b1", "autoboot": false,
  "create_timestamp": "2026-11-23T00:00:00.000Z",
  "resolvers": ["10.77.0.1"],
  "disks": [
    { "boot": true, "model": "virtio", "image_uuid": "00000000-0000-0000-0000-000000000000", "image_size": 2048,
      "uuid": "00000000-0000-4000-8000-000000000001" },
    { "model": "virtio", "size": 1024, "uuid": "00000000-0000-4000-8000-000000000002" }
  ],
  "nics": [
    { "nic_tag": "external", "ips": ["10.77.0.5/24"], "gateways": ["10.77.0.1"], "vlan_id": 0, "primary": true,
      "model": "virtio", "mac": "02:08:20:00:11:22" }
  ],
  "customer_metadata": {
    "root_authorized_keys": "ssh-ed25519 AAAA... operator@example",
    "user-script": "#!/bin/sh\necho provisioned > /var/tmp/provisioned"
  }
}
END
	vm create -f web.json 2>.err
	[ "$(cat .err)" = "Successfully created VM $U" ]
	vm get "$U" | grep -v -e server_uuid -e last_modified >got
	diff -u "$GOLDEN/vmadm/web.json" got
	cfg -z "$U" export >export
	diff -u "$GOLDEN/vmadm/web.cfg" export
	cfg -z "$U" verify
	echo "external stub - 0" >"$ROOT/etc/zones/nictags"
	adm -z "$U" verify
	rm "$ROOT/etc/zones/nictags"
	cmp -n 3145728 "$ROOT/var/lib/zhyve/images/00000000-0000-0000-0000-000000000000.raw" \
		"$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	[ "$(stat -c %s "$ROOT/var/lib/zhyve/zones/$U/disks/disk0")" -eq $((2048 << 20)) ]
	[ "$(stat -c %a "$ROOT/var/lib/zhyve/zones/$U")" = 700 ]
	# what zonecfg does is seen
	cfg -z "$U" "select capped-memory; set guest=2G; end; select attr name=hostname; set value=w1; end"
	[ "$(vm list -p -o ram,hostname)" = 2048:w1 ]
	vm delete "$U"
	no_trace
}

@test "every fault in one answer, and nothing made" {
	echo '{"brand":"bhyve","alas":"a","ram":"x","disks":[{"size":0},{}],"nics":[{"ips":["1.2.3"]}]}' >bad.json
	refused 1 "vmadm: create: alas: there is no such property; did you mean 'alias'?
vmadm: create: ram: \"x\" is not a whole number
vmadm: create: disks.0.size: 0 is not in 1..1073741824
vmadm: create: disks.1.size: a disk has a size, or an image_uuid
vmadm: create: nics.0.ips: \"1.2.3\" is not address/prefix, dhcp or addrconf" create -f bad.json
	run vm validate create -f bad.json
	[ "$status" -eq 1 ]
	diff -u "$GOLDEN/vmadm/faults.json" <(echo "$output")
	echo '{"brand":"bhyve"}' | vm validate create | grep -qx "VALID 'create' payload for brand bhyve."
	echo '{"ram":1}' | vm validate update bhyve | grep -qx "VALID 'update' payload for brand bhyve."
	run vm validate update kvm -f bad.json
	[ "$status" -eq 1 ]
	echo "$output" | grep -q '"bad_brand": "kvm"'
	no_trace
}

@test "bad input, told and not half done" {
	echo '{' >cut.json
	refused 1 "vmadm: create: cut.json is no JSON: line 2, column *" create -f cut.json
	refused 1 "vmadm: create: none.json: No such file or directory" create -f none.json
	refused 2 "vmadm: start: Invalid or missing UUID for start
usage: vmadm start *" start
	refused 1 "vmadm: get: there is no VM '$U'" get "$U"
	refused 2 "vmadm: there is no command 'lst'; did you mean 'list'?
usage: *" lst
	refused 2 "vmadm: list: there is no field 'alas'; did you mean 'alias'?" list -o alas
	echo '{"brand":"bhyve","autoboot":false,"disks":[{"image_uuid":"'$U'"}]}' >a.json
	refused 1 "vmadm: create: disks.0: *$U*" create -f a.json
	image 00000000-0000-0000-0000-000000000000
	echo '{"brand":"bhyve","disks":[{"image_uuid":"00000000-0000-0000-0000-000000000000","image_size":2}]}' >a.json
	refused 1 "vmadm: create: disks.0: image_size: image 00000000-0000-0000-0000-000000000000 has 3 MiB, more than 2; give at least that, or leave it out" create -f a.json
	echo '{"brand":"bhyve","disks":[{"size":1,"zpool":"none"}]}' >a.json
	refused 1 "vmadm: create: *pool*none*" create -f a.json
	head -c 9999 /dev/urandom >garbage
	refused 1 "vmadm: receive: this is nothing that 'vmadm send' wrote" receive -f garbage
	no_trace
}

@test "what fails late is taken back" {
	# the kernel is not there: the boot fails after all was made
	echo '{"brand":"bhyve","ram":32,"engine":"soft","kernel":"/nowhere/kernel","disks":[{"size":1}],
		"customer_metadata":{"a":"b"}}' >a.json
	refused 1 "vmadm: create: boot: */nowhere/kernel: No such file or directory" create -f a.json
	no_trace
	# the second disk is that of another VM
	make first '"disks": [{"size": 1}]' "\"uuid\": \"$U\""
	echo '{"brand":"bhyve","disks":[{"size":1},{"size":1,"path":"/dev/zvol/rdsk/zones/'$U'/disk0"}]}' >a.json
	refused 1 "vmadm: create: disks.1: *disk0*" create -f a.json
	[ "$(vm list -H | wc -l)" -eq 1 ]
	[ -f "$ROOT/var/lib/zhyve/zones/$U/disks/disk0" ]
	refused 1 "vmadm: create: there is a VM $U already" create -f <(echo '{"brand":"bhyve","uuid":"'$U'"}')
	vm delete "$U"
	no_trace
}

@test "started, stopped, rebooted, deleted" {
	make a '"disks": [{"size": 1}]'
	[ "$(vm list -H -o state,autoboot)" = "stopped           false" ]
	vm start "$ID"
	[ "$(vm list -p -o state,autoboot,zone_state)" = running:true:running ]
	refused 1 "vmadm: start: VM $ID is running already" start "$ID"
	vm info "$ID" usage | grep -q '"cpu_ns": [1-9]'
	pid=$(vm lookup -1 -j -o pid alias=a | tr -dc 0-9)
	vm reboot -F "$ID"
	[ "$(vm lookup -1 -j -o pid alias=a | tr -dc 0-9)" -ne "$pid" ]
	refused 1 "vmadm: delete: VM $ID is running; stop it first, or delete it with -F" delete "$ID"
	refused 1 "vmadm: send: zone '$ID' is running: sending it is not possible" send "$ID"
	vm stop "$ID"
	[ "$(vm list -p -o state,autoboot)" = stopped:false ]
	refused 1 "vmadm: stop: VM $ID is stopped already" stop "$ID"
	vm start "$ID"
	vm sysrq "$ID" nmi # of which this guest dies
	becomes "$ID" installed
	vm events -n "$ID" | grep -q "\"zone\":\"$ID\".*\"to\":\"running\""
	vm start "$ID"
	vm delete -F "$ID"
	no_trace
	mkdir "$ROOT/zones" # where nothing_left looks
	nothing_left
}

@test "CDs and their order, for one boot" {
	truncate -s 1M cd.iso disk.img
	make a '"disks": [{"size": 1, "boot": true}]'
	refused 1 "vmadm: start: *order 'x'*" start "$ID" order=x
	vm start "$ID" cdrom="$PWD/cd.iso",virtio disk="$PWD/disk.img"
	cmd=$ROOT/run/zhyve/$ID/zhyve.cmd
	grep -aq "0:3:0,virtio-blk,$PWD/cd.iso,ro,bootindex=1" "$cmd"
	grep -aq "0:4:0,virtio-blk,/dev/zvol/rdsk/zones/$ID/disk0,bootindex=2" "$cmd"
	grep -aq "0:5:0,virtio-blk,$PWD/disk.img,bootindex=3" "$cmd"
	vm reboot -F "$ID"
	cmd=$ROOT/run/zhyve/$ID/zhyve.cmd
	! grep -aq -e cd.iso -e bootindex "$cmd"
	grep -aq "0:4:0,virtio-blk,/dev/zvol/rdsk/zones/$ID/disk0" "$cmd"
}

@test "SATA: a disk and a CD of the VM, and a CD for one boot" {
	[ -f "$LINUX-full/vmlinuz" ] || skip "no Debian kernel in $LINUX-full (tools/kernel.sh fetches it)"
	for cd in own once; do
		head -c 300000 /dev/urandom >"$cd"
		genisoimage -quiet -R -o "$cd.iso" "$cd"
	done
	echo "{\"brand\": \"bhyve\", \"alias\": \"a\", \"ram\": 192, \"autoboot\": false, \"engine\": \"$ENGINE\",
		\"kernel\": \"$LINUX-full/vmlinuz\", \"initrd\": \"$LINUX-full/initrd.img\",
		\"cmdline\": \"console=ttyS0 quiet panic=-1 zhyve.run=sata\",
		\"disks\": [{\"size\": 8, \"model\": \"ahci\"}, {\"path\": \"$PWD/own.iso\", \"model\": \"ahci\", \"media\": \"cdrom\"}]}" |
		vm create
	ID=$(vm lookup -1 alias=a)
	vm start "$ID" cdrom="$PWD/once.iso",ahci
	WAIT=1200 becomes "$ID" installed
	log=$ROOT/var/lib/zhyve/zones/$ID/logs/console.log
	grep -q "disk sda 16384 sectors ro=0 model=BHYVE SATA DISK depth=32" "$log"
	grep -q "disk data same" "$log"
	for cd in own once; do
		grep -q "cd $(md5sum <$cd.iso | cut -d' ' -f1)" "$log"
	done
	vm start "$ID"
	WAIT=1200 becomes "$ID" installed
	[ "$(grep -c " cd [0-9a-f]* " "$log")" -eq 3 ]
}

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

@test "snapshots: damage, rollback" {
	make a '"disks": [{"size": 1}]' '"customer_metadata": {"k": "old"}'
	disk=$ROOT/var/lib/zhyve/zones/$ID/disks/disk0
	printf good | dd of="$disk" conv=notrunc status=none
	vm create-snapshot "$ID" s1
	printf bad! | dd of="$disk" conv=notrunc status=none
	vm update "$ID" set_customer_metadata='{"k": "new"}'
	vm create-snapshot "$ID" s2
	[ "$(vm list -p -o snapshots.*.name)" = s1,s2 ]
	refused 1 "vmadm: rollback-snapshot: VM $ID has no snapshot 's3'" rollback-snapshot "$ID" s3
	vm start "$ID"
	vm rollback-snapshot "$ID" s1
	[ "$(vm list -p -o state,snapshots.*.name,customer_metadata.k)" = running:s1:old ]
	[ "$(head -c 4 "$disk")" = good ]
	vm stop -F "$ID"
	vm delete-snapshot "$ID" s1
	[ "$(vm list -p -o snapshots.*.name)" = - ]
	vm delete "$ID"
	no_trace
}

# twins: a VM that writes one number to its disks 0 and 2, the first one first.
# Between them is one that takes a while to clone.
twins() {
	GUEST=twins make t '"disks": [{"size": 16}, {"size": 64}, {"size": 16}]'
	D=$ROOT/var/lib/zhyve/zones/$ID/disks
	python3 - "$D/disk1" <<'END'
import os, sys
f = os.open(sys.argv[1], os.O_RDWR)
for i in range(8000):
    os.pwrite(f, b"x" * 4096, i * 8192)
os.fsync(f)
END
	vm start "$ID"
	moves
}

# number FILE: what is written there; nothing if it is torn
number() {
	python3 -c 'import struct, sys
p = set(struct.unpack("<512Q", open(sys.argv[1], "rb").read(4096)))
len(p) == 1 and print(p.pop())' "$1"
}

# It goes on writing.
moves() {
	local was now _
	was=$(od -An -tu8 -N8 "$D/disk2")
	for _ in $(seq "$WAIT"); do
		now=$(od -An -tu8 -N8 "$D/disk2")
		[ "$now" = "$was" ] || return 0
		sleep 0.1
	done
	echo "the guest stands still at $now"
	return 1
}

# Of every snapshot: whole pages, the first disk at most one ahead.
moments() {
	local s a b
	for s in "$ROOT/var/lib/zhyve/zones/.snapshots/$ID"/*/; do
		[ -d "$s/data/disks" ]
		a=$(number "$s/data/disks/disk0") b=$(number "$s/data/disks/disk2")
		[ "$a" -eq "$b" ] || [ "$a" -eq $((b + 1)) ] || {
			echo "$s: $a $b"
			return 1
		}
	done
}

moments_on() {
	pool_on "$@"
	twins
	for i in 1 2 3 4 5 6 7 8 9 10; do
		vm create-snapshot "$ID" "s$i"
	done
	[ "$(find "$ROOT/var/lib/zhyve/zones/.snapshots/$ID" -mindepth 1 -maxdepth 1 | wc -l)" -eq 10 ]
	moments
	moves
	refused 1 "vmadm: create-snapshot: zone $ID has a snapshot 's1' already" create-snapshot "$ID" s1
	a=$(number "$ROOT/var/lib/zhyve/zones/.snapshots/$ID/s2/data/disks/disk0")
	vm stop -F "$ID"
	vm rollback-snapshot "$ID" s2
	[ "$(number "$D/disk0")" -eq "$a" ]
	vm delete "$ID"
	no_trace
}

@test "a snapshot of a VM that runs has all its disks at one moment: btrfs" {
	moments_on btrfs mkfs.btrfs -q
}

@test "a snapshot of a VM that runs has all its disks at one moment: xfs" {
	moments_on xfs mkfs.xfs -q -m reflink=1
}

@test "a snapshot of a VM that runs, where no blocks can be shared" {
	pool_on ext4 mkfs.ext4 -q
	make a '"disks": [{"size": 1}]'
	vm start "$ID"
	refused 1 "vmadm: create-snapshot: VM $ID is running: stop it first, or keep its disks on btrfs, zfs, or xfs with reflinks: files of pool 'zones' in $ROOT/var/lib/zhyve/zones cannot share blocks (Operation not supported)" \
		create-snapshot "$ID" s1
	[ ! -e "$ROOT/var/lib/zhyve/zones/.snapshots/$ID" ]
	vm stop -F "$ID"
	vm create-snapshot "$ID" s1
}

@test "whoever is killed over a snapshot: the guest goes on, the next one works" {
	pool_on xfs mkfs.xfs -q -m reflink=1
	twins
	for after in 03 06 09 12 15 18 21 25 30 40; do
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" create-snapshot "$ID" "k$after" 2>/dev/null &
		maker=$!
		sleep "0.0$after"
		# shellcheck disable=SC2046
		kill -9 $maker $([ $((10#$after % 2)) -eq 0 ] || supervisors "$ID") 2>/dev/null || true
		wait $maker 2>/dev/null || true
		moves
		vm create-snapshot "$ID" "n$after"
	done
	[ -z "$(find "$ROOT/var/lib/zhyve/zones/.snapshots/$ID" -name '*.new')" ]
	moments
	vm delete -F "$ID"
	no_trace
}

@test "sent to another root, received, and it boots" {
	image 00000000-0000-0000-0000-000000000000
	make a '"disks": [{"image_uuid": "00000000-0000-0000-0000-000000000000", "image_size": 64}, {"size": 8}]' \
		'"nics": [{"nic_tag": "x", "mac": "02:08:20:00:00:01"}]' '"customer_metadata": {"k": "v\n\"w\""}' '"tags": {"t": 1}'
	vm send "$ID" >stream 2>/dev/null
	vm get "$ID" | grep -v -e zonedid -e last_modified >one
	# sparse: not much more than the image
	[ "$(stat -c %s stream)" -lt 3500000 ]
	mkdir other
	HERE_ROOT=$ROOT ROOT=$PWD/other
	for cut in 0 15 16 100 5000 1000000 $(($(stat -c %s stream) - 1)); do
		head -c "$cut" stream >cut
		refused 1 "vmadm: receive: *" receive -F -f cut
		no_trace
	done
	python3 - <<'END'
d = bytearray(open("stream", "rb").read())
for i, at in enumerate((9, 20, 300, 200000, len(d) - 3)):
    e = bytearray(d)
    e[at] ^= 64
    open(f"flip{i}", "wb").write(e)
open("long", "wb").write(d + b"x")
END
	for f in flip0 flip1 flip2 flip3 flip4 long; do
		refused 1 "vmadm: receive: *" receive -F -f $f
		no_trace
	done
	refused 1 "vmadm: receive: kernel: '$GUESTS/idle.elf' is something of this host: *-F*" receive -f stream
	no_trace
	vm receive -F <stream
	vm get "$ID" | grep -v -e zonedid -e last_modified | diff one -
	for d in disk0 disk1; do
		cmp "$HERE_ROOT/var/lib/zhyve/zones/$ID/disks/$d" "$ROOT/var/lib/zhyve/zones/$ID/disks/$d"
		[ "$(du -k "$ROOT/var/lib/zhyve/zones/$ID/disks/$d" | cut -f1)" -lt 4000 ]
	done
	refused 1 "vmadm: receive: *$ID*" receive -F -f stream
	vm update "$ID" remove_nics='["02:08:20:00:00:01"]'
	vm start "$ID"
	vm delete -F "$ID"
	no_trace
	ROOT=$HERE_ROOT
}

@test "reprovision: another image on the boot disk, the others stay" {
	image 00000000-0000-0000-0000-000000000000
	make a '"disks": [{"size": 8, "boot": true}, {"size": 1}]'
	echo '{"image_uuid": "00000000-0000-0000-0000-000000000000"}' | vm reprovision "$ID"
	[ "$(vm list -p -o disks.*.size)" = 1,8 ]
	[ "$(vm list -p -o disks.1.boot)" = true ]
	cmp -n 3145728 "$ROOT/var/lib/zhyve/images/00000000-0000-0000-0000-000000000000.raw" \
		"$ROOT/var/lib/zhyve/zones/$ID/disks/disk2"
	[ ! -e "$ROOT/var/lib/zhyve/zones/$ID/disks/disk0" ]
	echo "{\"image_uuid\": \"$U\"}" >none.json
	refused 1 "vmadm: reprovision: *$U*" reprovision "$ID" -f none.json
	[ -e "$ROOT/var/lib/zhyve/zones/$ID/disks/disk2" ]
}

@test "list and lookup: fields, order, filters" {
	make b '"vcpus": 2' '"tags": {"role": "web", "a.b": "c"}'
	RAM=64 make a '"tags": {"role": "db"}'
	make c '"nics": [{"mac": "02:08:20:00:00:01", "ips": ["10.0.0.5/24"]}]'
	[ "$(vm list -p -o alias -s alias)" = "$(printf 'a\nb\nc')" ]
	[ "$(vm list -p -o alias -s -ram,alias)" = "$(printf 'a\nb\nc')" ]
	[ "$(vm list -p -o alias -s vcpus,-alias)" = "$(printf 'c\na\nb')" ]
	[ "$(vm list -p -o alias tags.role=web)" = b ]
	[ "$(vm list -p -o alias tags.a.b=c)" = b ]
	[ "$(vm list -p -o alias nics.*.ip=~^10)" = c ]
	[ "$(vm list -p -o alias alias=~'^[ab]$' ram=64)" = a ]
	[ "$(vm list | head -n 1)" = "UUID                                  TYPE  RAM      STATE             ALIAS" ]
	[ "$(vm list -H | wc -l)" -eq 3 ]
	[ "$(vm lookup | wc -l)" -eq 3 ]
	refused 1 "vmadm: lookup: Requested unique lookup but found 3 results." lookup -1
	refused 1 "vmadm: lookup: Requested unique lookup but found 0 results." lookup -1 alias=x
	[ "$(vm lookup -j -o alias ram=64 | tr -d ' \n')" = '[{"alias":"a"}]' ]
	refused 2 "vmadm: list: filters are field=value or field=~re
usage: *" list x
	# a guest's metadata writes nothing on a terminal but text
	vm update "$ID" set_customer_metadata='{"x": "a\u001b[2J\nb\u009bc"}'
	[ "$(vm list -p -o customer_metadata.x alias=c)" = 'a?[2J?b??c' ]
	# a damaged configuration hides nobody
	echo broken >"$ROOT/etc/zones/$ID.xml"
	[ "$(vm list -p -o uuid,state | grep -c "^$ID:stopped")" -eq 1 ]
	refused 1 "vmadm: get: *$ID.xml*" get "$ID"
	vm delete "$ID"
}

@test "zones of zonecfg are VMs, and are installed by vmadm" {
	cfg -z web "create; set zonepath=/zones/web
		add guest; set kernel=$GUESTS/idle.elf; set engine=$ENGINE; end
		add capped-memory; set guest=32M; end; add attr; set name=alias; set type=string; set value=w; end"
	[ "$(vm list -p -o zonename,state,ram,alias)" = web:configured:32:w ]
	vm install web
	[ "$(vm list -p -o state)" = stopped ]
	vm update web ram=40 alias=v
	vm start web
	[ "$(vm list -p -o zonename,state,ram,alias)" = web:running:40:v ]
	cfg -z web info capped-memory | grep -q 'guest: 40'
	vm stop web
	vm delete web
	no_trace
	[ ! -e "$ROOT/zones/web" ]
}

@test "a stream cannot reach files of the host" {
	# what send refuses already is sent by somebody else's program
	reached=0
	for what in "add disk; set path=/etc/shadow; set readonly=true; end" \
		"add device; set match=/etc/shadow; add property (name=model,value=\"virtio\"); add property (name=media,value=\"cdrom\"); end" \
		"add fs; set dir=/x; set special=/etc; set type=lofs; end" \
		"select lpc; set bootrom=/etc/shadow; end" \
		"add attr; set name=com3; set type=string; set value=/dev/mem; end" \
		"add guest; set initrd=/etc/shadow; end" \
		"add disk; set path=/dev/zvol/rdsk/zones/$U/disk0; set readonly=true; end"; do
		echo '{"brand": "bhyve", "autoboot": false, "disks": [{"size": 1}]}' | vm create
		ID=$(vm lookup -1)
		cfg -z "$ID" "$what"
		vm send "$ID" >stream
		mkdir other
		ROOT=$PWD/other refused 1 "vmadm: receive: * is something of this host: *" receive -f stream
		ROOT=$PWD/other no_trace
		rm -r other
		vm delete "$ID"
		reached=$((reached + 1))
	done
	[ "$reached" -eq 7 ]
}

@test "provisioning: somebody works on it" {
	make a
	adm -z "$ID" mark incomplete
	[ "$(vm list -p -o state)" = incomplete ]
	python3 - "$ROOT/run/zhyve/$ID/admin.lock" <<'END' &
import fcntl, struct, sys, time
f = open(sys.argv[1], "a")
fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
open("held", "w")
time.sleep(30)
END
	holder=$!
	for _ in $(seq "$WAIT"); do
		[ ! -e held ] || break
		sleep 0.1
	done
	[ "$(vm list -p -o state)" = provisioning ]
	refused 1 "vmadm: delete: another command works on zone '$ID'; try again when it is done" delete "$ID"
	kill $holder
	wait $holder || true
	vm delete "$ID"
	no_trace
}

@test "no terminal for JSON or streams" {
	for verb in create receive; do
		run python3 "$HERE/onpty.py" "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" $verb </dev/null
		[[ $output == *"standard input, which is a terminal"* ]]
	done
}

@test "input that comes late, by a descriptor that does not block" {
	make a
	cat >late.py <<'END'
import os, subprocess, sys, time
data = open(sys.argv[1], "rb").read()
r, w = os.pipe()
os.set_blocking(r, False)
p = subprocess.Popen(sys.argv[2:], stdin=r)
os.close(r)
for i in range(0, len(data), max(1, len(data) // 3)):
    time.sleep(0.2)
    os.write(w, data[i:i + max(1, len(data) // 3)])
os.close(w)
sys.exit(p.wait())
END
	echo '{"alias": "late"}' >u.json
	python3 late.py u.json "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" update "$ID"
	[ "$(vm list -p -o alias)" = late ]
	vm send "$ID" >stream
	vm delete "$ID"
	python3 late.py stream "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" receive -F
	[ "$(vm list -p -o alias)" = late ]
}

@test "UUIDs on tab" {
	make a
	# shellcheck disable=SC1091
	. "$HERE/../../cmd/vmadm/vmadm.bash"
	vmadm() {
		vm "$@"
	}
	# tab WANT WORD...: what becomes of the last word
	tab() {
		local want=$1
		shift
		COMP_WORDS=(vmadm "$@") COMP_CWORD=$#
		_vmadm
		[ "${COMPREPLY[*]}" = "$want" ] || {
			echo "$*: ${COMPREPLY[*]}"
			return 1
		}
	}
	vm create-snapshot "$ID" before
	tab stop sto
	tab "$ID" stop "${ID:0:4}"
	tab "$ID" stop -F "${ID:0:4}"
	tab "" stop "$ID" "${ID:0:4}"
	tab before rollback-snapshot "$ID" b
	tab "" create-snapshot "$ID" b
	tab nmi sysrq "$ID" ""
	tab usage info "$ID" us
	tab update validate u
	tab receive help rece
	touch manifest.json
	tab manifest.json update "$ID" -f man
}

@test "UUIDs on tab: zsh" {
	[ -n "${ZSH:=$(command -v zsh)}" ] || skip "no zsh"
	export ZSH
	make a
	vm create-snapshot "$ID" before
	mkdir bin
	ln -s "$BUILD/cmd/vmadm/vmadm" bin
	touch manifest.json
	PATH=$PWD/bin:$PATH timeout 60 "$ZSH" -f "$HERE/tab.zsh" "$HERE/../../cmd/vmadm" "vmadm sto" "vmadm -R $ROOT stop ${ID:0:4}" \
		"vmadm -R $ROOT stop -F ${ID:0:4}" "vmadm -R $ROOT stop $ID ${ID:0:4}" "vmadm -R $ROOT rollback-snapshot $ID b" \
		"vmadm sysrq $ID n" "vmadm info $ID us" "vmadm validate u" "vmadm help rece" "vmadm update $ID -f man" </dev/null >got
	diff - got <<-END
		<vmadm stop >
		<vmadm -R $ROOT stop $ID >
		<vmadm -R $ROOT stop -F $ID >
		<vmadm -R $ROOT stop $ID ${ID:0:4}>
		<vmadm -R $ROOT rollback-snapshot $ID before >
		<vmadm sysrq $ID nmi >
		<vmadm info $ID usage >
		<vmadm validate update >
		<vmadm help receive >
		<vmadm update $ID -f manifest.json >
	END
}

@test "killed while it removes a VM: the next delete ends it" {
	for after in 1 2 4 7 11 16; do
		make a "\"uuid\": \"$U\"" '"disks": [{"size": 1}, {"size": 1}]'
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" delete "$U" 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		! vm get "$U" >/dev/null 2>&1 || vm delete "$U"
		no_trace
	done
}

@test "killed while it updates a VM: old or new" {
	for after in 1 2 4 7 11 16; do
		make a "\"uuid\": \"$U\"" '"disks": [{"size": 1}]'
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" update "$U" alias=b add_disks='[{"size": 2}]' \
			set_customer_metadata='{"k": "v"}' 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		case $(vm list -p -o alias,disks.*.size) in
		a:1 | b:1,2) ;;
		*) vm get "$U" && return 1 ;;
		esac
		cfg -z "$U" verify
		vm update "$U" ram=40
		vm delete "$U"
		no_trace
	done
}

@test "killed while it makes a VM: delete removes what is there" {
	for after in 1 2 4 6 8 11 15 20 30; do
		echo "{\"brand\":\"bhyve\",\"uuid\":\"$U\",\"autoboot\":false,\"disks\":[{\"size\":1},{\"size\":1}],
			\"customer_metadata\":{\"a\":\"b\"}}" >a.json
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" create -f a.json 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		if vm get "$U" >/dev/null 2>&1; then
			vm list -H -o state | grep -q 'configured\|incomplete\|stopped'
			vm delete "$U"
		fi
		[ -z "$(vm list -H)" ]
		# whatever it left is in nobody's way
		vm create -f a.json
		vm delete "$U"
		no_trace
	done
}
