# What the tests of whole zones share: a network of their own around a world of
# tests/cli/zones.bash, and a guest made of Debian's kernel.
# LINUX: folder made by tools/kernel.sh; MDATA_GET: static program for guests.

# initrd PROGRAM...: initrd.img here: the modules and busybox of LINUX, the init
# of the busybox image, and programs for it.
initrd() {
	mkdir -p x/bin
	cp "$BATS_TEST_DIRNAME/../../cmd/imgadm/build/busybox.init" x/init
	cp "$MDATA_GET" x/bin/mdata-get
	[ $# -eq 0 ] || cp "$@" x/bin
	for t in put list delete; do ln -s mdata-get x/bin/mdata-$t; done
	chmod 755 x/init x/bin/*
	(cd x && find . | cpio -o -H newc --quiet | gzip -1) >extra.gz
	cat "$LINUX/initrd.img" extra.gz >initrd.img
}

vm() {
	timeout -k 5 "${VM_LIMIT:-120}" "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" "$@"
}

tags() {
	"$BUILD/cmd/nictagadm/nictagadm" -R "$ROOT" "$@"
}

# inside FUNCTION...: the script on standard input, with those functions, in a
# network with the bridge br0 that is the tag external
inside() {
	cat >inside.sh
	cat >world.sh <<-'EOS'
		set -e
		. "$HERE/zones.bash"
		. "$BATS_TEST_DIRNAME/common.bash"
		ip link set lo up
		ip link add br0 type bridge
		ip addr add 10.77.0.1/24 dev br0
		ip addr add fd00:77::1/64 dev br0 nodad
		ip link set br0 up
		tags add external br0
		. ./inside.sh
	EOS
	export ROOT BUILD LINUX ENGINE HERE WAIT LIAR MDATA_GET BATS_TEST_DIRNAME
	# shellcheck disable=SC2163 # names of functions
	export -f "$@"
	unshare -n bash world.sh
}
