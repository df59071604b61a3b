# Debian's SeaBIOS and OVMF, unchanged, on the software engine.
# BHYVE: the program; GUESTS: folder with bootsect.bin and efi.efi; LINUX: folder
# made by tools/kernel.sh; ENGINE.
bats_require_minimum_version 1.5.0
SEABIOS=/usr/share/seabios
OVMF=/usr/share/OVMF

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# machine STATUS OPTION...: run until the guest ends; output in out
machine() {
	local want=$1 status=0
	shift
	timeout -k 5 200 "$BHYVE" -m 128M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" "$@" firmware </dev/null >out 2>err || status=$?
	[ "$status" -eq "$want" ] || {
		echo "exit status $status, expected $want"
		tail -c 3000 out | cat -v
		cat err
		return 1
	}
}

# fat IMAGE: an empty file system for OVMF
fat() {
	truncate -s 64M "$1"
	mformat -i "$1" -F -v ZHYVE ::
}

# script LINE...: startup.nsh on esp.img
script() {
	printf '%s\r\n' "$@" >startup.nsh
	mcopy -o -i esp.img startup.nsh ::/
}

bios_disk() {
	truncate -s 1M "$1"
	dd if="$GUESTS/bootsect.bin" of="$1" conv=notrunc status=none
}

@test "SeaBIOS boots a disk, in both sizes" {
	bios_disk disk.img
	for rom in bios.bin bios-256k.bin; do
		machine 1 -s 4,virtio-blk,disk.img -l bootrom,$SEABIOS/$rom
		grep -q "SeaBIOS (version" out
		grep -q "screen: boot" out # it holds the last characters back
		grep -q "com1: boot sector" out
	done
}

@test "SeaBIOS boots a disk on KVM" {
	[ -w /dev/kvm ] || skip "no /dev/kvm here"
	ENGINE=kvm
	bios_disk disk.img
	machine 1 -s 4,virtio-blk,disk.img -l bootrom,$SEABIOS/bios-256k.bin
	grep -q "com1: boot sector" out
}

@test "SeaBIOS finds four vCPUs and the boot order" {
	bios_disk second.img
	truncate -s 1M first.img # no boot sector: it would end the boot
	machine 1 -c 4 -s 4,virtio-blk,first.img,bootindex=2 \
		-s 5:1,virtio-blk,second.img,bootindex=1 -s 5:0,virtio-rnd \
		-l bootrom,$SEABIOS/bios-256k.bin -o log.level=debug
	grep -q "com1: boot sector" out
	grep -q "Found 4 cpu(s) max supported 4 cpu(s)" err
	grep -q "1: /pci@i0cf8/scsi@5,1/disk@0,0" err
	grep -q "2: /pci@i0cf8/scsi@4/disk@0,0" err
}

# iso FILE: starts the boot sector by SeaBIOS, the EFI program by OVMF
iso() {
	mkdir -p tree
	cp "$GUESTS/bootsect.bin" tree/boot.bin
	truncate -s 2K tree/boot.bin
	truncate -s 2M tree/efi.img
	mformat -i tree/efi.img -v EFI ::
	mmd -i tree/efi.img ::/EFI ::/EFI/BOOT
	mcopy -i tree/efi.img "$GUESTS/efi.efi" ::/EFI/BOOT/BOOTX64.EFI
	genisoimage -quiet -R -o "$1" -b boot.bin -no-emul-boot -boot-load-size 4 \
		-eltorito-alt-boot -e efi.img -no-emul-boot tree
}

@test "SeaBIOS boots a SATA disk on the port that comes first in the order" {
	bios_disk second.img
	truncate -s 1M first.img other.img
	machine 1 -s 4,ahci-hd,other.img,bootindex=2 -s 5:1,ahci,hd:first.img,hd:second.img,bootindex=1 \
		-s 5:0,virtio-rnd -l bootrom,$SEABIOS/bios-256k.bin -o log.level=debug
	grep -q "com1: boot sector" out
	grep -q "1: /pci@i0cf8/pci8086,2922@5,1/drive@1/disk@0" err
	grep -q "2: /pci@i0cf8/pci8086,2922@4/drive@0/disk@0" err
}

@test "SeaBIOS and OVMF boot a CD in a SATA drive" {
	iso cd.iso
	machine 1 -s 4,ahci-cd,cd.iso -l bootrom,$SEABIOS/bios-256k.bin
	grep -q "Booting from DVD/CD" out
	grep -q "com1: boot sector" out
	machine 1 -s 4,ahci-cd,cd.iso -l bootrom,$OVMF/OVMF_CODE_4M.fd
	grep -q "BHYVE SATA DVD ROM" out
	grep -q "ZHYVE-EFI booted" out
}

@test "OVMF boots BOOTX64.EFI from a SATA disk" {
	fat esp.img
	mmd -i esp.img ::/EFI ::/EFI/BOOT
	mcopy -i esp.img "$GUESTS/efi.efi" ::/EFI/BOOT/BOOTX64.EFI
	machine 1 -s 4,ahci-hd,esp.img -l bootrom,$OVMF/OVMF_CODE_4M.fd
	grep -q "BHYVE SATA DISK" out
	grep -q "ZHYVE-EFI booted" out
}

@test "SeaBIOS without a disk says so" {
	status=0
	python3 "$TYPED" "$BHYVE" -m 64M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -l bootrom,$SEABIOS/bios-256k.bin firmware <<-'EOF' >out || status=$?
		see No bootable device
		hangup
	EOF
	[ "$status" -eq 1 ]
}

@test "OVMF without variables boots BOOTX64.EFI from a virtio disk" {
	fat esp.img
	mmd -i esp.img ::/EFI ::/EFI/BOOT
	mcopy -i esp.img "$GUESTS/efi.efi" ::/EFI/BOOT/BOOTX64.EFI
	machine 1 -s 4,virtio-blk,esp.img -l bootrom,$OVMF/OVMF_CODE_4M.fd
	grep -q "ZHYVE-EFI booted" out
}

@test "OVMF comes to its shell and obeys, with two vCPUs" {
	cp $OVMF/OVMF_VARS_4M.fd vars.fd
	status=0
	python3 "$TYPED" "$BHYVE" -c 2 -m 128M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -B 1,product=Testbed -l bootrom,$OVMF/OVMF_CODE_4M.fd,vars.fd firmware <<-'EOF' >out || status=$?
		see Shell>
		send smbiosview -t 1\r
		see Testbed
		see Shell>
		send reset -s\r
	EOF
	[ "$status" -eq 1 ]
	! cmp -s vars.fd $OVMF/OVMF_VARS_4M.fd
}

@test "OVMF's variables outlive the machine" {
	cp $OVMF/OVMF_VARS.fd vars.fd
	fat esp.img
	script "setvar ZhyveTest -guid 7a687976-0000-4000-8000-746573740000 -bs -rt -nv =0x5a6b7c" "reset -s"
	machine 1 -s 4,virtio-blk,esp.img -l bootrom,$OVMF/OVMF_CODE.fd,vars.fd
	script "setvar ZhyveTest -guid 7a687976-0000-4000-8000-746573740000" "reset -s"
	machine 1 -s 4,virtio-blk,esp.img -l bootrom,$OVMF/OVMF_CODE.fd,vars.fd
	grep -qi "7C 6B 5A 00" out
}

@test "OVMF boots Debian's kernel to user space" {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	fat esp.img
	mcopy -i esp.img "$LINUX/vmlinuz" "$LINUX/initrd.img" ::/
	script 'fs0:' 'vmlinuz console=ttyS0 quiet panic=-1 zhyve.run=poweroff initrd=\initrd.img'
	machine 1 -c 2 -m 256M -s 4,virtio-blk,esp.img -l bootrom,$OVMF/OVMF_CODE_4M.fd
	grep -q "ZHYVE-GUEST up: Linux .* 2 cpu" out
}

@test "one machine at a time has a variable file" {
	cp $OVMF/OVMF_VARS.fd vars.fd
	python3 -c '
import fcntl, struct, subprocess, sys
f = open("vars.fd", "r+b")
fcntl.fcntl(f, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
sys.exit(subprocess.run(sys.argv[1:]).returncode)' \
		"$BHYVE" -m 64M -s 0,hostbridge -s 31,lpc -o engine="$ENGINE" \
		-l bootrom,$OVMF/OVMF_CODE.fd,vars.fd firmware 2>err && return 1
	grep -q "^bhyve: -l bootrom,.*,vars.fd: in use by another process" err
	[ "$(wc -l <err)" -eq 1 ]
}

@test "SeaBIOS boots an NVMe disk, in the boot order" {
	bios_disk second.img
	truncate -s 1M first.img # no boot sector: it would end the boot
	machine 1 -s 4,nvme,first.img,bootindex=2 -s 5,nvme,second.img,bootindex=1 -l bootrom,$SEABIOS/bios-256k.bin
	grep -q "com1: boot sector" out
}

@test "OVMF boots BOOTX64.EFI from an NVMe disk, in the boot order" {
	fat other.img # its script would end the machine without a word
	printf 'reset -s\r\n' >startup.nsh
	mcopy -i other.img startup.nsh ::/
	fat esp.img
	mmd -i esp.img ::/EFI ::/EFI/BOOT
	mcopy -i esp.img "$GUESTS/efi.efi" ::/EFI/BOOT/BOOTX64.EFI
	machine 1 -s 4,nvme,other.img,bootindex=2 -s 5,nvme,esp.img,bootindex=1 -l bootrom,$OVMF/OVMF_CODE_4M.fd
	grep -q "ZHYVE-EFI booted" out
}
