# A VM with NVMe disks, from its manifest: Debian's cloud kernel knows them
# without a module.
# BUILD, ENGINE, ZHYVE_BRANDS, ZHYVE_ZONEADMD: as of tests/cli/zones.bash;
# LINUX: folder made by tools/kernel.sh.
load ../cli/zones.bash
load common.bash

U=6c3f5a1d-7b44-4d1f-8a2f-7e6b4d2f8a53

@test "a VM's disks of model nvme are NVMe disks of its guest" {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	cat >vm.json <<-EOF2
		{ "brand": "bhyve", "uuid": "$U", "vcpus": 2, "ram": 256, "autoboot": true, "engine": "$ENGINE",
		  "kernel": "$LINUX/vmlinuz", "initrd": "$LINUX/initrd.img",
		  "cmdline": "console=ttyS0 quiet panic=-1 zhyve.run=nvme",
		  "disks": [ { "model": "nvme", "size": 8, "boot": true }, { "model": "nvme", "size": 16 } ] }
	EOF2
	vm create -f vm.json
	log=$ROOT/var/lib/zhyve/zones/$U/logs/console.log
	WAIT=300 becomes "$U" installed
	cat "$log"
	grep -q "disk nvme0n1 16384 sectors ro=0" "$log"
	grep -q "disk nvme1n1 32768 sectors ro=0 .* queues=2" "$log"
	grep -q "disk data same" "$log"
	grep -q "discarded but 0" "$log"
	vm delete "$U"
}
