# Zones whose disks are volumes of pools, named as SmartOS names them.
load zones

U=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5
V=2d5b8e7c-c004-4f69-bf0c-c98918e35bd5
D=/dev/zvol/rdsk/zones/$U
E=/dev/zvol/rdsk/zones/$V

disk() {
	echo "add disk; set path=$1; ${2:+set size=$2;} end;"
}

@test "install makes them, the zone has them, uninstall takes them away" {
	zone a idle "set uuid=$U; $(disk "$D/disk0" 4M) $(disk "/dev/zvol/dsk/zones/$U-disk1" 1M)"
	pool=$ROOT/var/lib/zhyve/zones
	[ "$(stat -c %s "$pool/$U/disks/disk0" "$pool/$U/disks/disk1" | tr '\n' ' ')" = "4194304 1048576 " ]
	[ "$(stat -c %a "$pool/$U")" = 700 ]
	adm -z a boot
	is a running
	ls -l "/proc/$(pid_of a)/fd" | grep -q "$pool/$U/disks/disk0"
	run "$BUILD/cmd/imgadm/imgadm" -R "$ROOT" create a
	[ "$status" -eq 1 ]
	[ "$output" = "imgadm: zone 'a': it is running; an image can be made of a zone that is installed and does not run" ]
	[ ! -e "$ROOT/var/lib/zhyve/images" ]
	adm -z a halt
	adm -z a uninstall -F
	[ -z "$(find "$pool" -mindepth 1)" ]
	nothing_left
}

@test "an install that fails keeps what was there, and takes back what it made" {
	mkdir -p "$ROOT/var/lib/zhyve/zones/$U/disks"
	echo mine >"$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	truncate -s 1M "$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	cfg -z a "create; set zonepath=/zones/a; set uuid=$U
		add guest; set kernel=$GUESTS/idle.elf; set engine=$ENGINE; end
		add capped-memory; set guest=32M; end
		$(disk "$D/disk0" 1M) $(disk "$D/disk1" 1M) $(disk "/dev/zvol/rdsk/nopool/$U/disk2" 1M)"
	refuses "zone 'a': there is no pool 'nopool'; $ROOT/etc/zones/pools names them" -z a install
	is a configured
	[ "$(cd "$ROOT/var/lib/zhyve/zones" && find . -type f)" = "./$U/disks/disk0" ]
	grep -q mine "$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	[ ! -e "$ROOT/zones/a" ]
}

@test "a clone has volumes of its own" {
	zone a idle "set uuid=$U; $(disk "$D/disk0" 4M)"
	echo here >"$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	truncate -s 4M "$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	cfg -z b "create; set zonepath=/zones/b; set uuid=$V
		add guest; set kernel=$GUESTS/idle.elf; set engine=$ENGINE; end
		add capped-memory; set guest=32M; end
		$(disk "$E/disk0")"
	adm -z b clone a
	cmp "$ROOT/var/lib/zhyve/zones/$U/disks/disk0" "$ROOT/var/lib/zhyve/zones/$V/disks/disk0"
	adm -z a uninstall -F
	[ "$(cd "$ROOT/var/lib/zhyve/zones" && find . -type f)" = "./$V/disks/disk0" ]
	adm -z b boot
	is b running
}

@test "a zonepath that is the place in a pool, pools by their file" {
	mkdir -p "$ROOT/etc/zones"
	echo "zones file /data/vm" >"$ROOT/etc/zones/pools"
	cfg -z a "create; set zonepath=/data/vm/$U; set uuid=$U
		add guest; set kernel=$GUESTS/idle.elf; set engine=$ENGINE; end
		add capped-memory; set guest=32M; end
		$(disk "$D/disk0" 1M)"
	adm -z a install
	[ -f "$ROOT/data/vm/$U/disks/disk0" ]
	[ -d "$ROOT/data/vm/$U/logs" ]
	adm -z a boot
	adm -z a halt
	adm -z a uninstall -F
	[ -z "$(find "$ROOT/data/vm" -mindepth 1)" ]
	echo "zones fil /data/vm" >"$ROOT/etc/zones/pools"
	refuses "zone 'a': $ROOT/etc/zones/pools:1: there is no kind 'fil' of pool: *" -z a install
}
