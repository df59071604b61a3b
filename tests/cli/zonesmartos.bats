# A SmartOS zone, its text unchanged: boots once its device and its link's
# bridge are there.
load zones

# Namespaces of the test's own: a /dev with the volume, a network with the
# bridge that the NIC tag names.
world() {
	cat >world.sh <<-'EOS'
		set -e
		mkdir dev
		mount -t tmpfs dev dev
		mkdir -p dev/net dev/pts "dev/zvol/rdsk/zones/$uuid"
		for n in null zero full random urandom tty kvm net/tun; do
			[ -e /dev/$n ] || continue
			: >dev/$n
			mount --bind /dev/$n dev/$n
		done
		ln -s /proc/self/fd dev/fd
		truncate -s 10M "dev/zvol/rdsk/zones/$uuid/disk0"
		dd if="$GUESTS/bootsect.bin" of="dev/zvol/rdsk/zones/$uuid/disk0" conv=notrunc status=none
		mount --move dev /dev
		ip link set lo up
		ip link add external type bridge
		ip link set external up
		. ./inside.sh
	EOS
	export ROOT BUILD GUESTS HERE WAIT uuid=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5
	unshare -m -n bash world.sh
}

@test "the SmartOS example boots its disk" {
	[ -f /usr/share/seabios/bios-256k.bin ] || skip "no package seabios"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	cat >inside.sh <<-'EOS'
		. "$HERE/zones.bash"
		cfg -z sm -f "$GOLDEN/zone/smartos-vm.zonecfg"
		adm -z sm install
		adm -z sm ready
		# the link, on the bridge; the second port
		ip -o link show master external | grep -q ': z[0-9]*_net0'
		[ -S "$ROOT/zones/$uuid/root/tmp/vm.ttyb" ]
		# slots were chosen and kept, the address was there
		cfg -z sm info device | grep -q 'pci_slot.*0:4:0'
		cfg -z sm info net | grep -q 'mac-addr: c2:ba:60:58:bf:78'
		adm -z sm boot
		WAIT=200 becomes sm installed
		grep -q 'com1: boot sector' "$ROOT/zones/$uuid/logs/console.log"
		grep -q 'guest entered sleep state S5' "$ROOT/zones/$uuid/lastexited"
		[ -z "$(ip -o link show master external)" ]
		[ ! -e "$ROOT/zones/$uuid/root/tmp/vm.ttyb" ]
		[ -f "/dev/zvol/rdsk/zones/$uuid/disk0" ]
		adm -z sm uninstall -F
		[ -f "/dev/zvol/rdsk/zones/$uuid/disk0" ] # it was not ours
	EOS
	world
}

@test "what is missing is named: the bridge, the volume" {
	[ -f /usr/share/seabios/bios-256k.bin ] || skip "no package seabios"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	cat >inside.sh <<-'EOS'
		. "$HERE/zones.bash"
		cfg -z sm -f "$GOLDEN/zone/smartos-vm.zonecfg"
		adm -z sm install
		ip link delete external
		! adm -z sm boot 2>err
		grep -q "there is no bridge 'external'" err
		ip link add external type bridge
		rm "/dev/zvol/rdsk/zones/$uuid/disk0"
		! adm -z sm boot 2>err
		grep -q "/dev/zvol/rdsk/zones/$uuid/disk0: " err
		is sm installed
		[ -z "$(ip -o link show master external)" ]
	EOS
	world
}
