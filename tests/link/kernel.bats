# Links on Debian's own kernels, whose verifier, hooks and bridges are not this
# host's: the tests of tests/link run in a guest, and are told again here.
# BHYVE: the program; LINUX: folder made by tools/kernel.sh; ENGINE; BUILD;
# FRAMES: the table of frames.
bats_require_minimum_version 1.5.0

# into ROOT FILE...: at the same place, with the libraries it needs
into() {
	local root=$1 f
	shift
	{
		printf '%s\n' "$@"
		ldd "$@" 2>/dev/null | grep -o '/[^ :]*'
	} | sort -u | while read -r f; do
		[ -e "$root$f" ] || install -D "$f" "$root$f"
	done
}

setup_file() {
	local d="$BATS_FILE_TMPDIR" tests="$BUILD/tests/link" link="$BUILD/cmd/zoneadmd/zonelink" p
	[ -f "$LINUX/net.img" ] || return 0
	into "$d/root" "$tests/guard_test" "$tests/guard_life_test" "$tests/vlan_test" "$link" \
		/sbin/ip /sbin/bridge /bin/dash "$FRAMES"
	ln -s dash "$d/root/bin/sh" # busybox's has an ip of its own
	install "$BATS_TEST_DIRNAME/guest-init" "$d/root/init"
	for p in guard_test guard_life_test vlan_test; do
		echo "ZONELINK=$link $tests/$p"
	done >"$d/root/tests.list"
	{
		cat "$LINUX/initrd.img" "$LINUX/net.img"
		(cd "$d/root" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1)
	} >"$d/initrd.img"
	timeout -k 5 900 "$BHYVE" -c 2 -m 512M -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine="$ENGINE" \
		-o boot.kernel="$LINUX/vmlinuz" -o boot.initrd="$d/initrd.img" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1" links </dev/null >"$d/raw" 2>"$d/err" || true
	tr -d '\r' <"$d/raw" >"$d/out"
}

setup() {
	[ -f "$LINUX/net.img" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	cd "$BATS_FILE_TMPDIR" || return 1
}

# told PROGRAM: all that it has tried is well, and nothing is left out
told() {
	grep "^$1: " out || true
	grep -q "^$1: 1\.\." out || {
		tail -n 30 out err
		return 1
	}
	[ "$(grep -c "^$1: ok " out)" -eq "$(sed -n "s/^$1: 1\.\.//p" out)" ]
	[ "$(grep -ci "^$1: ok .*# skip" out)" -eq 0 ]
}

@test "the guest is that kernel and runs them to the end" {
	cat err
	grep -x "GUEST Linux $(cat "$LINUX/version")" out
	[ "$(grep -c "GUEST no module" out)" -eq 0 ]
	tail -n 3 out
	grep -x "GUEST done" out
}

@test "the table of frames: BPF in each hook, nftables" {
	told guard_test
	case $(cat "$LINUX/version") in
	6.1.*) grep "guard_test: # hook: clsact" out ;;
	*) grep "guard_test: # hook: tcx" out ;;
	esac
}

@test "a guard's life, and its attacher's death" {
	told guard_life_test
}

@test "a bridge that filters VLANs" {
	told vlan_test
}
