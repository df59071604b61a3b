# Debian's kernel in lock-step: every instruction of the soft engine compared
# with a second way to run it. BHYVE: the program; LINUX: folder made by
# tools/kernel.sh; GUESTS: test guests; LONG: not empty = the whole boot.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# linux KERNEL-OPTION...: boot Debian's kernel, output in out and err
linux() {
	status=0
	timeout -k 5 "${LONG:+3}600" "$BHYVE" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine=soft -o soft.lockstep=true -o boot.kernel="$LINUX/vmlinuz" \
		-o boot.initrd="$LINUX/initrd.img" -o boot.cmdline="console=ttyS0 panic=-1 $*" \
		linux </dev/null >out 2>err || status=$?
	tail -n 20 out
	cat err
}

# compared AT-LEAST: no difference, and that many instructions were compared
compared() {
	! grep "difference" err || return 1
	n=$(sed -n 's/.*lockstep: vCPU 0: \([0-9]*\) instructions in .* compared.*/\1/p' err)
	echo "$n instructions compared"
	[ "$n" -ge "$1" ]
}

need_kernel() {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
}

# Without netlink the kernel ends at the first family, always at the same one.
@test "the first part of the boot of Debian's kernel" {
	[ -z "$LONG" ] || skip "the whole boot has it"
	need_kernel
	linux initcall_blacklist=netlink_proto_init oops=panic
	[ "$status" -eq 0 ]
	grep -q "kernel BUG at net/netlink" out
	compared 200000000
}

@test "all of the boot of Debian's kernel, to user space and its end" {
	[ -n "$LONG" ] || skip "takes minutes: check-long"
	need_kernel
	linux quiet zhyve.run=poweroff
	[ "$status" -eq 1 ]
	grep -q "ZHYVE-GUEST up" out
	compared 1000000000
}

@test "SeaBIOS to a boot sector: real mode" {
	rom=/usr/share/seabios/bios.bin
	[ -f $rom ] || skip "no SeaBIOS (package seabios)"
	truncate -s 1M disk.img
	dd if="$GUESTS/bootsect.bin" of=disk.img conv=notrunc status=none
	status=0
	timeout -k 5 300 "$BHYVE" -m 128M -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine=soft \
		-o soft.lockstep=true -s 4,virtio-blk,disk.img -l bootrom,$rom seabios \
		</dev/null >out 2>err || status=$?
	tail -n 20 err
	[ "$status" -eq 1 ]
	grep -q "com1: boot sector" out
	compared 4000000
}

@test "OVMF to its shell" {
	[ -n "$LONG" ] || skip "takes minutes: check-long"
	ovmf=/usr/share/OVMF
	[ -f $ovmf/OVMF_VARS_4M.fd ] || skip "no OVMF (package ovmf)"
	cp $ovmf/OVMF_VARS_4M.fd vars.fd
	truncate -s 64M esp.img
	mformat -i esp.img -F -v ZHYVE ::
	printf 'reset -s\r\n' >startup.nsh
	mcopy -i esp.img startup.nsh ::/
	status=0
	timeout -k 5 2000 "$BHYVE" -m 128M -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine=soft \
		-o soft.lockstep=true -s 4,virtio-blk,esp.img -l bootrom,$ovmf/OVMF_CODE_4M.fd,vars.fd \
		ovmf </dev/null >out 2>err || status=$?
	tail -n 20 err
	[ "$status" -eq 1 ]
	compared 300000000
}

@test "more than one virtual CPU is refused" {
	run "$BHYVE" -c 2 -m 64 -s 0,hostbridge -s 31,lpc -o engine=soft -o soft.lockstep=true \
		-o boot.kernel="$GUESTS/smp.elf" test
	[ "$status" -ne 0 ]
	[[ "$output" == *"one virtual CPU"* ]]
}

@test "another engine is refused" {
	[ -e /dev/kvm ] || skip "no /dev/kvm"
	run "$BHYVE" -m 64 -s 0,hostbridge -s 31,lpc -o engine=kvm -o soft.lockstep=true \
		-o boot.kernel="$GUESTS/ends.elf" test
	[ "$status" -ne 0 ]
	[[ "$output" == *"engine=soft"* ]]
}
