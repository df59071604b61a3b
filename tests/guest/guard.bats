# The verifier of Debian's own kernel takes the guard's BPF programs.
# BHYVE: the program; LINUX: folder made by tools/kernel.sh; ENGINE; INIT:
# tests/link/guard_init, the guest's only process.
bats_require_minimum_version 1.5.0

@test "the guard's programs load" {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -p root/dev root/proc root/sys
	cp "$INIT" root/init
	mknod root/dev/console c 5 1 2>/dev/null || skip "root makes /dev/console"
	(cd root && find . | cpio -o -H newc --quiet >../initrd.img)
	timeout -k 5 300 "$BHYVE" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine="$ENGINE" \
		-o boot.kernel="$LINUX/vmlinuz" -o boot.initrd=initrd.img \
		-o boot.cmdline="console=ttyS0 quiet panic=-1" guard </dev/null >out 2>err || [ $? -eq 1 ]
	cat out err
	grep -q "GUARD loads" out
	# where the hooks are no modules
	case $(cat "$LINUX/version") in
	6.1.*) grep -q "GUARD not attached: lo: this kernel has no hooks" out ;;
	*) grep -q "GUARD attached" out ;;
	esac
}
