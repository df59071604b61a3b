# Snapshots of VMs: of those that are off, and of those that run.
load vms.bash

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

# numbers FILE...: what is written there, a line each
numbers() {
	python3 -c 'import struct, sys
for f in sys.argv[1:]:
    p = set(struct.unpack("<512Q", open(f, "rb").read(4096)))
    print(p.pop() if len(p) == 1 else "torn")' "$@"
}

moved() {
	[ "$(od -An -tu8 -N8 "$D/disk2")" != "$was" ]
}

# It goes on writing.
moves() {
	local was
	was=$(od -An -tu8 -N8 "$D/disk2")
	wait_for moved || {
		echo "the guest stands still at $was"
		return 1
	}
}

# Of every snapshot: whole pages, the first disk at most one ahead.
moments() {
	local s a b files=()
	for s in "$ROOT/var/lib/zhyve/zones/.snapshots/$ID"/*/; do
		files+=("$s/data/disks/disk0" "$s/data/disks/disk2")
	done
	numbers "${files[@]}" | paste - - >pairs
	[ "$(wc -l <pairs)" -gt 0 ]
	while read -r a b; do
		[ "$a" -eq "$b" ] || [ "$a" -eq $((b + 1)) ] || {
			cat pairs
			return 1
		}
	done <pairs
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
	a=$(numbers "$ROOT/var/lib/zhyve/zones/.snapshots/$ID/s2/data/disks/disk0")
	vm stop -F "$ID"
	vm rollback-snapshot "$ID" s2
	[ "$(numbers "$D/disk0")" -eq "$a" ]
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
		kill -9 $maker $([[ $after != @(03|12|21) ]] || supervisors "$ID") 2>/dev/null || true
		wait $maker 2>/dev/null || true
		moves # at the latest when the pause's lease is over: ten seconds
		vm create-snapshot "$ID" "n$after"
	done
	[ -z "$(find "$ROOT/var/lib/zhyve/zones/.snapshots/$ID" -name '*.new')" ]
	moments
	vm delete -F "$ID"
	no_trace
}
