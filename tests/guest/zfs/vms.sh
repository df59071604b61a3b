#!/bin/sh
# VMs whose pool is one of ZFS, by the installed programs, as an operator would
# have them. Prints TAP. GUESTS: folder of the test guests.
# shellcheck disable=SC2086,SC2317 # UUIDs have no blanks; check calls functions
PATH=/usr/local/sbin:$PATH
S=/dev/zvol/tank/z
n=0 failed=0

# What is a check's ends at the first command that fails.
check() {
	n=$((n + 1))
	(set -e && "$2") >log 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $n - $1"
	else
		failed=1
		sed 's/^/# /' log
		echo "not ok $n - $1"
	fi
}

is() {
	[ "$1" = "$2" ] || {
		echo "got '$1', wanted '$2'"
		return 1
	}
}

value() {
	zfs get -H -p -o value "$@" | paste -s -d ' '
}

# make NAME JSON-MEMBERS: a VM that is off; its UUID to the file NAME
make() {
	echo "{\"brand\": \"bhyve\", \"alias\": \"$1\", \"ram\": 32, \"autoboot\": false, \"engine\": \"soft\",
		\"kernel\": \"$GUESTS/idle.elf\", $2}" | vmadm create
	vmadm lookup -1 "alias=$1" >"$1"
}

nothing_left() {
	is "$(zfs list -H -o name -t all -r tank | paste -s -d ' ')" "tank tank/z"
	udevadm settle
	is "$(ls -A $S 2>/dev/null)" ""
	is "$(ls -A /tank/z)" ""
	is "$(vmadm list -H)" ""
	is "$(cat /etc/zones/index 2>/dev/null)" ""
}

setup() {
	zpool create -o ashift=12 tank /dev/vdc
	zfs create tank/z
	mkdir -p /etc/zones
	echo "zones zfs tank/z" >/etc/zones/pools
	head -c 3M /dev/urandom >disk.raw
	truncate -s 12M disk.raw
	imgadm import -n test -v 1 disk.raw
	imgadm list -H -o uuid >image
}

create() {
	make a "\"disks\": [{\"image_uuid\": \"$(cat image)\", \"image_size\": 16, \"compression\": \"lz4\", \"refreservation\": 4},
		{\"size\": 8}], \"customer_metadata\": {\"k\": \"old\"}"
	u=$(cat a)
	cmp -n $((12 << 20)) disk.raw $S/$u/disk0
	is "$(blockdev --getsize64 $S/$u/disk0 $S/$u/disk1 | paste -s -d ' ')" "16777216 8388608"
	is "$(value compression,refreservation tank/z/$u/disk0)" "lz4 4194304"
	# sparse
	[ "$(value referenced tank/z/$u/disk0)" -lt $((5 << 20)) ]
	is "$(value mountpoint,mounted tank/z/$u)" "/tank/z/$u yes"
	is "$(stat -c %a /tank/z/$u)" 700
	is "$(vmadm list -p -o zonepath)" "/tank/z/$u"
}

run_it() {
	u=$(cat a)
	vmadm start "$u"
	is "$(vmadm list -p -o state)" running
	[ -n "$(find /proc/[0-9]*/fd -lname "$(readlink -f $S/$u/disk0)" 2>/dev/null)" ]
	# of one moment: it may run
	printf one | dd of=$S/$u/disk1 conv=notrunc,fsync
	vmadm create-snapshot "$u" live
	printf two | dd of=$S/$u/disk1 conv=notrunc,fsync
	vmadm update "$u" set_customer_metadata='{"k": "new"}'
	vmadm create-snapshot "$u" later
	is "$(vmadm list -p -o snapshots.*.name)" live,later
	vmadm rollback-snapshot "$u" live
	is "$(vmadm list -p -o state,snapshots.*.name,customer_metadata.k)" running:live:old
	is "$(head -c 3 $S/$u/disk1)" one
	vmadm stop -F "$u"
	vmadm delete-snapshot "$u" live
	is "$(zfs list -H -o name -t snapshot -r tank)" ""
}

# What guests ask of a disk, on a zvol.
guest_io() {
	zfs create -s -V 16M tank/t
	udevadm settle
	status=0
	timeout -k 5 300 bhyve -m 32M -s 0,hostbridge -s 31,lpc -l com1,stdio -s 4,virtio-blk,/dev/zvol/tank/t,ser=ZHYVE1 \
		-o engine=soft -o boot.kernel="$GUESTS/vblk.elf" t </dev/null >tap || status=$?
	grep -v '^ok' tap || true
	is "$status" 1
	grep -q '^ok' tap
	is "$(grep -c -e '^not ok' -e '^Bail' tap)" 0
	i=0
	until zfs destroy tank/t; do
		i=$((i + 1))
		[ $i -lt 50 ]
		sleep 0.2
	done
}

change() {
	u=$(cat a)
	echo '{"add_disks": [{"size": 4}], "update_disks": [{"path": "/dev/zvol/rdsk/zones/'"$u"'/disk1", "size": 12}]}' >up.json
	vmadm update "$u" -f up.json
	is "$(blockdev --getsize64 $S/$u/disk1 $S/$u/disk2 | paste -s -d ' ')" "12582912 4194304"
	printf three | dd of=$S/$u/disk2 conv=notrunc,fsync
	echo '{"update_disks": [{"path": "/dev/zvol/rdsk/zones/'"$u"'/disk1", "compression": "gzip", "refreservation": 2}]}' |
		vmadm update "$u"
	is "$(value compression,refreservation tank/z/"$u"/disk1)" "gzip 2097152"
	vmadm update "$u" quota=1
	is "$(value refquota tank/z/"$u")" 1073741824
	vmadm update "$u" remove_disks='["/dev/zvol/rdsk/zones/'"$u"'/disk2"]'
	is "$(zfs list -H -o name -r -t volume tank/z | paste -s -d ' ')" "tank/z/$u/disk0 tank/z/$u/disk1"
}

send_receive() {
	u=$(cat a)
	vmadm send "$u" >stream
	[ "$(stat -c %s stream)" -lt 5000000 ]
	mkdir -p /other/etc/zones
	zfs create tank/o
	echo "zones zfs tank/o" >/other/etc/zones/pools
	vmadm -R /other receive -F <stream
	for d in disk0 disk1; do
		cmp $S/$u/$d /dev/zvol/tank/o/$u/$d
	done
	is "$(vmadm -R /other get "$u" | grep -c old)" 1
	vmadm -R /other delete "$u"
	is "$(zfs list -H -o name -r tank/o)" tank/o
	is "$(find /other/tank/o -mindepth 1)" ""
	zfs destroy tank/o
}

# A zone of zonecfg, and another as its clone: blocks are shared, whoever goes
# first.
zone_clone() {
	a=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5 b=2d5b8e7c-c004-4f69-bf0c-c98918e35bd5
	for z in $a $b; do
		zonecfg -z "$z" "create; set zonepath=/tank/z/$z; set uuid=$z; add guest; set kernel=$GUESTS/idle.elf; set engine=soft; end
			add capped-memory; set guest=32M; end
			add disk; set path=/dev/zvol/rdsk/zones/$z/disk0; set size=4M; end"
	done
	zoneadm -z $a install
	printf here | dd of=$S/$a/disk0 conv=notrunc,fsync
	# mounted before anything is in there
	is "$(ls /tank/z/$a)" "logs
root"
	zoneadm -z $b clone $a
	is "$(head -c 4 $S/$b/disk0)" here
	is "$(value origin tank/z/$b/disk0)" "tank/z/$a/disk0@zhyve-$b-disk0"
	zoneadm -z $a uninstall -F
	is "$(head -c 4 $S/$b/disk0)" here
	zoneadm -z $b boot
	is "$(zoneadm -z $b list -p | cut -d: -f3)" running
	zoneadm -z $b halt
	zoneadm -z $b uninstall -F
	zonecfg -z $a delete -F
	zonecfg -z $b delete -F
}

images() {
	u=$(cat a)
	imgadm create -n of-a "$u"
	for i in $(imgadm list -H -o uuid); do
		[ "$i" = "$(cat image)" ] || made=$i
	done
	cmp $S/$u/disk0 /var/lib/zhyve/images/"$made".raw
	printf second | dd of=$S/$u/disk1 conv=notrunc,fsync
	echo "{\"image_uuid\": \"$made\"}" | vmadm reprovision "$u"
	boot=$(vmadm list -p -o disks.*.path | tr ',' '\n' | grep -v /disk1)
	cmp $S/$u/"${boot##*/}" /var/lib/zhyve/images/"$made".raw
	is "$(zfs list -H -o name -r -t volume tank/z | wc -l)" 2
	is "$(head -c 6 $S/$u/disk1)" second
	imgadm delete "$made"
}

gone() {
	vmadm create-snapshot "$(cat a)" s
	vmadm delete "$(cat a)"
	nothing_left
}

# Killed while it makes a VM: delete removes what is there.
killed() {
	for t in 0.1 0.4 0.8 1.2; do
		timeout -s KILL $t sh -c 'exec vmadm create' <<-END || true
			{"brand": "bhyve", "alias": "k", "ram": 32, "autoboot": false, "engine": "soft", "kernel": "$GUESTS/idle.elf",
			 "disks": [{"image_uuid": "$(cat image)"}, {"size": 4}]}
		END
		sleep 0.5
		for u in $(vmadm list -p -o uuid); do
			vmadm delete "$u"
		done
		nothing_left
	done
}

check "a pool, an image" setup
check "create: disks of an image and blank ones, their properties, their devices at once" create
check "running: snapshot, rollback" run_it
check "virtio-blk on a zvol" guest_io
check "update: a disk more, a disk bigger, a disk less" change
check "send, receive on another root" send_receive
check "zoneadm clone, and the clone outlives its origin" zone_clone
check "an image of a VM, another image for it" images
check "delete: nothing is left" gone
check "killed while it makes a VM" killed
echo "1..$n"
exit $failed
