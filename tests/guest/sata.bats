# Debian's kernel with its own AHCI driver on the software engine.
# BHYVE: the program; LINUX: folder made by "tools/kernel.sh DIR full"; ENGINE.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 16M disk.img
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
}

# boot OPTION...: output in out
boot() {
	local status=0
	timeout -k 5 200 "$BHYVE" -c 2 -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -o boot.kernel="$LINUX/vmlinuz" -o boot.initrd="$LINUX/initrd.img" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=sata $WORDS" "$@" linux \
		</dev/null >out 2>err || status=$?
	[ "$status" -eq 1 ] || {
		echo "exit status $status"
		tail -n 30 out
		cat err
		return 1
	}
}

@test "Linux reads and writes a SATA disk, queued, and reads a CD" {
	head -c 1000000 /dev/urandom >file
	genisoimage -quiet -R -o cd.iso file
	boot -s 4,ahci,hd:disk.img,nmrr=1,model=SOLID,cd:cd.iso
	grep -q "disk sda 32768 sectors ro=0 model=SOLID depth=32 rota=0 discard=[1-9][0-9]* lbs=512" out
	grep -q "disk sr0 .* ro=1 model=BHYVE DVD-ROM" out
	grep -q "cd $(md5sum <cd.iso | cut -d' ' -f1)" out
	grep -q "disk data same" out
	grep -q "discard done" out
	grep -q "irq .* PCI-MSI.* ahci" out
	! grep -E "log .*(exception|failed|frozen|error)" out
}

@test "sectors of 4096 bytes, on INTx" {
	WORDS=pci=nomsi boot -s 4,ahci-hd,disk.img,sectorsize=4096
	grep -q "disk sda 32768 sectors .* lbs=4096" out
	grep -q "disk data same" out
	grep -q "irq .* IO-APIC.* ahci" out
	! grep -E "log .*(exception|failed|frozen|error)" out
}
