# A whole Debian system on the software engine: its own kernel and initrd, root
# on virtio-blk, systemd to a login on the serial console, a session there.
# BHYVE: the program; DEBIAN: folder made by tools/rootfs.sh; TYPED: typed.py.
# Minutes long: run by make check-long.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	[ -f "$DEBIAN/done" ] || skip "no Debian root in $DEBIAN (tools/rootfs.sh makes it, as root)"
	cp --sparse=always "$DEBIAN/disk.img" disk.img
}

# debian CPUS <SCRIPT: type at its console; output in out
debian() {
	local status=0
	tar -cf checks.tar -C "$BATS_TEST_DIRNAME/debian" checks.sh answers.c
	TYPED_LIMIT=900 python3 "$TYPED" timeout -k 5 1700 "$BHYVE" -c "$1" -m 1G \
		-s 0,hostbridge -s 31,lpc -l com1,stdio -s 4,virtio-blk,disk.img \
		-s 5,virtio-blk,checks.tar,ro -s 6,virtio-net,slirp -s 7,virtio-rnd \
		-o engine=soft -o boot.kernel="$DEBIAN/vmlinuz" -o boot.initrd="$DEBIAN/initrd.img" \
		-o boot.cmdline="console=ttyS0 root=/dev/vda rw panic=-1" debian >raw 2>&1 || status=$?
	sed 's/\x1b\[[?0-9;]*[a-zA-Z]//g;s/\r//g' <raw >out # bracketed paste, colours
	[ "$status" -eq 1 ] || {
		echo "exit status $status, expected 1"
		tail -n 60 out
		return 1
	}
}

session() {
	sed "s/^CPUS/send test \$(nproc) = $1 \&\& echo cpus-\"\"right\\\\r/" <<-'EOF' | debian "$1"
		see guest login:
		send root\r
		see Password:
		send zhyve\r
		see root@guest:~#
		CPUS
		see cpus-right
		send systemctl is-system-running --wait; systemctl --failed\r
		see 0 loaded units listed
		send cd /tmp && tar xf /dev/vdb && echo BEGIN-""ANSWERS && sh checks.sh 2>&1; echo END-""ANSWERS\r
		see END-ANSWERS
		send openssl speed -seconds 1 -bytes 8192 aes-128-cbc && echo speed-""good\r
		see speed-good
		send sync; systemctl poweroff\r
		see Power down
	EOF
	sed -n '/^BEGIN-ANSWERS/,/^END-ANSWERS/p' out | sed '1d;$d' >guest
	sh "$BATS_TEST_DIRNAME/debian/checks.sh" >host 2>&1
	diff host guest
	# FIPS 180-4, FIPS 202, FIPS 197, RFC 1321
	grep -q "^ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" guest
	grep -q "^cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" guest
	grep -q "^3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" guest
	grep -q "^ 69 c4 e0 d8 6a 7b 04 30 d8 cd b7 80 70 b4 c5 5a" guest
	grep -q "^900150983cd24fb0d6963f7d28e17f72" guest
	[ "$(grep -c "^Verified OK" guest)" -eq 2 ]
	grep -q "^37550402023$" guest # the primes below a million
	e2fsck -fn disk.img # it was unmounted
}

@test "1 vCPU: systemd to a login, compiler, openssl, python, perl, power-off" {
	session 1
}

@test "4 vCPUs: systemd to a login, compiler, openssl, python, perl, power-off" {
	session 4
}
