# Debian's cloud kernel, which has its NVMe driver built in, on the software
# engine.
# BHYVE: the program; LINUX: folder made by tools/kernel.sh; ENGINE.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 16M disk.img
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
}

# the initramfs' content as a file system
root_image() {
	mkdir tree
	(cd tree && gzip -dc "$LINUX/initrd.img" | cpio -idm --quiet)
	mke2fs -q -t ext4 -d tree root.img 32M
}

# boot CPUS CMDLINE OPTION...: output in out
boot() {
	local cpus=$1 words=$2 status=0
	shift 2
	timeout -k 5 200 "$BHYVE" -c "$cpus" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -o boot.kernel="$LINUX/vmlinuz" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=nvme $words" "$@" linux \
		</dev/null >out 2>err || status=$?
	[ "$status" -eq 1 ] || {
		echo "exit status $status"
		tail -n 30 out
		cat err
		return 1
	}
}

@test "Linux without an initrd has its root on one, and writes another with 4 vCPUs" {
	root_image
	boot 4 "root=/dev/nvme0n1 rw init=/init" -s 4,nvme,root.img,ser=ROOT -s 5,nvme,disk.img,ser=DATA
	grep "^disk\|^root\|^log\|^irq" out
	grep -q "disk nvme0n1 65536 sectors ro=0 serial=ROOT" out
	grep -q "disk nvme1n1 32768 sectors ro=0 serial=DATA queues=4 lbs=512 discard=[1-9][0-9]* cache=write back" out
	grep -q "root /dev/root ext4" out
	grep -q "disk data same" out
	grep -q "cached data same" out
	grep -q "discard done" out
	grep -q "discarded but 0" out
	! grep -E "log .*(timeout|failed|I/O error|abort|reset|dbbuf)" out
}

@test "one queue, blocks of 4096 bytes, interrupts by the pin" {
	boot 2 "pci=nomsi" -o boot.initrd="$LINUX/initrd.img" -s 4,nvme,ram=16 \
		-s 5,nvme,disk.img,sectsz=4096,maxq=1,qsz=8,ioslots=1,dsm=disable
	grep "^disk\|^log\|^irq" out
	grep -q "disk nvme1n1 32768 sectors .* queues=1 lbs=4096 discard=0" out
	grep -q "disk data same" out
	grep -q "irq .* IO-APIC.* nvme1q0, nvme1q1\|irq .* IO-APIC.*nvme1" out
	! grep -E "log .*(timeout|I/O error|abort|reset|dbbuf)" out
}

@test "a read-only disk is one for the guest" {
	boot 1 "" -o boot.initrd="$LINUX/initrd.img" -s 4,nvme,disk.img,ro
	grep -q "disk nvme0n1 32768 sectors ro=1" out
	! grep -E "log .*(timeout|I/O error|abort|reset|dbbuf)" out
}

# The second disk's line: commands, writes to doorbells
counts() {
	sed -n 's/.*nvme 0:5:0: \([0-9]*\) commands, \([0-9]*\) writes.*/\1 \2/p' err
}

@test "Linux's doorbells in memory spare it the way out" {
	local commands rings plain
	boot 2 "" -o log.level=debug -o boot.initrd="$LINUX/initrd.img" -s 4,nvme,ram=16 -s 5,nvme,disk.img
	grep -q "disk data same" out
	! grep -E "log .*(timeout|I/O error|abort|reset|dbbuf)" out
	read -r commands rings < <(counts)
	boot 2 "" -o log.level=debug -o boot.initrd="$LINUX/initrd.img" -s 4,nvme,ram=16 -s 5,nvme,disk.img,dbcs=false
	read -r _ plain < <(counts)
	echo "# $commands commands: $rings writes to doorbells, $plain without" >&3
	[ "$((rings * 4))" -lt "$((plain * 3))" ]
}
