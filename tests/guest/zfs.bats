# The store's ZFS back end with ZFS, and VMs on it, in a Debian guest on the
# software engine: a pool on a virtio disk, udev, the installed programs.
# BHYVE: the program; ZFS: folder made by tools/zfs.sh; BUILD, GUESTS.
# Minutes long: run by make check-long.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	[ -f "$ZFS/done" ] || skip "no Debian with ZFS in $ZFS (tools/zfs.sh makes it, as root)"
	cp --sparse=always "$ZFS/disk.img" disk.img
	truncate -s 2G pool.img
	mkdir work
}

# guest <RUN: work in the guest, and RUN there; its TAP must be that of a pass
guest() {
	local status=0
	cat >work/run
	tar -cf work.tar -C work .
	truncate -s %512 work.tar
	timeout -k 5 1700 "$BHYVE" -c 2 -m 1G -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-s 4,virtio-blk,disk.img -s 5,virtio-blk,work.tar,ro -s 6,virtio-blk,pool.img -s 7,virtio-rnd \
		-o engine=soft -o boot.kernel="$ZFS/vmlinuz" -o boot.initrd="$ZFS/initrd.img" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/sbin/zhyve-init random.trust_cpu=on" \
		zfs </dev/null >raw 2>err || status=$?
	tr -d '\r' <raw >out
	cat out
	[ "$status" -eq 1 ] || {
		echo "exit status $status, expected 1"
		cat err
		return 1
	}
	grep -q "^ZFS-GUEST up: Linux .*, ZFS " out
	grep -qx "ZFS-GUEST end: 0" out
	[ "$(grep -c -e "^not ok" -e "# SKIP" out)" -eq 0 ]
	[ "$(grep -c '^ok' out)" -eq "$(sed -n 's/^1\.\.//p' out)" ]
}

@test "the store: volumes, clones, snapshots, what is busy, what was killed" {
	cp "$POOL_TEST" work/pool_test
	guest <<-'EOS'
		zpool create -o ashift=12 -m none tank /dev/vdc
		ZHYVE_ZPOOL=tank ./pool_test 2>&1
	EOS
}

@test "VMs: created, run, rolled back, sent, cloned, made images of, deleted" {
	DESTDIR=$PWD/work/root meson install -C "$BUILD" --no-rebuild --quiet >install.log 2>&1 || {
		cat install.log
		return 1
	}
	cp "$GUESTS/idle.elf" "$GUESTS/vblk.elf" "$BATS_TEST_DIRNAME/zfs/vms.sh" work
	guest <<-'EOS'
		cp -a root/. /
		GUESTS=/work sh ./vms.sh
	EOS
}
