# What the builders of images share: an image is a GPT disk with GRUB for BIOS
# and for UEFI in front of one ext4 file system, made without mounts, and with
# no privilege beyond mmdebstrap's user namespace.
# shellcheck shell=sh disable=SC2140,SC2154
# Sourced; 'what' names the builder, 'dir' is where the results go.
PATH=$PATH:/usr/sbin:/sbin
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(date +%s)}"
suite=bookworm
esp=40  # MiB, of the EFI system partition
start=2 # MiB: where that begins; GRUB for BIOS is before it
grub_modules="normal configfile linux search search_fs_uuid part_gpt part_msdos ext2 fat
	serial terminal echo gzio test all_video ls cat halt reboot minicmd"

fail()
{
	echo "imgadm build $what: $*" >&2
	exit 1
}

# begin MINIMUM: check the size and the programs; a folder to work in: $tmp
begin()
{
	[ "$size" -ge "$1" ] 2>/dev/null || fail "size of $size MiB: $1 at least"
	for p in mmdebstrap sfdisk mke2fs mkfs.vfat mcopy openssl; do
		command -v "$p" >/dev/null ||
			fail "$p is missing: apt-get install mmdebstrap fdisk e2fsprogs dosfstools mtools openssl"
	done
	tmp=$(mktemp -d "$dir/tmp.XXXXXX")
	chmod 755 "$tmp"
	trap clean EXIT
	trap 'exit 1' HUP INT TERM
	root_uuid=$(cat /proc/sys/kernel/random/uuid)
	esp_id=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ' | tr a-f A-F)
	# What GRUB does first: find the file system, read the menu there.
	cat >"$tmp/early.cfg" <<-TEXT
		search --no-floppy --fs-uuid --set=root $root_uuid
		set prefix=(\$root)/boot/grub
	TEXT
}

# Files of the namespace's users can be removed only from in there.
clean()
{
	[ ! -d "$tmp/root" ] || mmdebstrap --unshare-helper rm -rf "$tmp/root" || true
	rm -rf "$tmp"
}

# sources FILE: apt's, as this host has them; the archive alone otherwise
sources()
{
	found=$(sed -n 's/^URIs: //p;s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) bookworm .*/\2/p' \
		/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
	security=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) bookworm-security .*/\2/p;s/^URIs: \(.*-security\)$/\1/p' \
		/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
	echo "deb ${ZHYVE_DEBIAN_MIRROR:-${found:-http://deb.debian.org/debian}} $suite main"
	echo "deb ${ZHYVE_DEBIAN_SECURITY:-${security:-http://deb.debian.org/debian-security}} $suite-security main"
}

stage=customize # when hooks run: mmdebstrap's word
# debian ARGUMENT...: mmdebstrap into $tmp/root; GRUB's own programs make its
# images in there, and they come out to $tmp
debian()
{
	sources >"$tmp/sources.list"
	# shellcheck disable=SC2016,SC2086,SC2116
	mmdebstrap --mode=unshare --format=directory \
		--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" \
		--"$stage"-hook='mkdir -p "$1/boot/grub" "$1/boot/efi"' \
		--"$stage"-hook="upload $tmp/early.cfg /boot/grub/early.cfg" \
		--"$stage"-hook="chroot \"\$1\" grub-mkimage -O i386-pc -o /boot/grub/core.img -p /boot/grub -c /boot/grub/early.cfg biosdisk $(echo $grub_modules)" \
		--"$stage"-hook="chroot \"\$1\" grub-mkimage -O x86_64-efi -o /boot/grub/bootx64.efi -p /boot/grub -c /boot/grub/early.cfg $(echo $grub_modules)" \
		--"$stage"-hook="download /boot/grub/core.img $tmp/core.img" \
		--"$stage"-hook="download /boot/grub/bootx64.efi $tmp/bootx64.efi" \
		--"$stage"-hook="download /usr/lib/grub/i386-pc/boot.img $tmp/boot.img" \
		--"$stage"-hook='rm -rf "$1/boot/grub/core.img" "$1/boot/grub/bootx64.efi" "$1/boot/grub/early.cfg" "$1/var/cache/"*/* "$1/var/lib/apt/lists/"* "$1/var/log/"*.log' \
		"$suite" "$tmp/root" "$tmp/sources.list" >"$tmp/log" 2>&1 || {
		tail -n 20 "$tmp/log" >&2
		fail "mmdebstrap did not succeed"
	}
}

# le32 N: as four bytes, and four zeros behind them
le32()
{
	printf '%b' "$(printf '\\0%03o\\0%03o\\0%03o\\0%03o\\0\\0\\0\\0' \
		$(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)))"
}

# make_disk FOLDER: partitions, root file system of that folder, GRUB
make_disk()
{
	disk=$tmp/disk.raw
	truncate -s "${size}M" "$disk"
	sfdisk -q "$disk" <<-TEXT
		label: gpt
		first-lba: 34
		start=34, size=$((start * 2048 - 34)), type=21686148-6449-6E6F-744E-656564454649, name=bios
		start=${start}MiB, size=${esp}MiB, type=uefi, name=esp
		start=$((start + esp))MiB, type=linux, name=root
	TEXT
	# up to a MiB before the end, where the second GPT is
	mmdebstrap --unshare-helper mke2fs -q -t ext4 -d "$1" -U "$root_uuid" -L root \
		-E "root_owner=0:0,offset=$(((start + esp) * 1048576))" \
		"$disk" "$((size - start - esp - 1))M"
	truncate -s "${esp}M" "$tmp/esp"
	mkfs.vfat -F 32 -s 1 -i "$esp_id" -n ESP "$tmp/esp" >/dev/null
	mmd -i "$tmp/esp" ::/EFI ::/EFI/BOOT
	mcopy -i "$tmp/esp" "$tmp/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
	dd if="$tmp/esp" of="$disk" bs=1M seek="$start" conv=notrunc,sparse status=none
	# GRUB for BIOS: one sector before the partition table, the rest in the
	# partition at sector 34. Each says where the next begins: boot.img at
	# 0x5c, core.img's first sector in the list of blocks at its end.
	dd if="$tmp/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
	le32 34 | dd of="$disk" bs=1 seek=92 conv=notrunc status=none
	dd if="$tmp/core.img" of="$disk" bs=512 seek=34 conv=notrunc status=none
	le32 35 | dd of="$disk" bs=1 seek=$((34 * 512 + 500)) conv=notrunc status=none
}

# finish NAME VERSION DESCRIPTION: the manifest; both files appear in $dir
finish()
{
	sha=$(openssl dgst -sha256 -r "$tmp/disk.raw" | cut -d ' ' -f 1)
	cat >"$tmp/manifest.json" <<-TEXT
		{
		  "v": 2,
		  "uuid": "$(cat /proc/sys/kernel/random/uuid)",
		  "name": "$1",
		  "version": "$2",
		  "os": "linux",
		  "type": "zvol",
		  "description": "$3",
		  "published_at": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
		  "image_size": $size,
		  "requirements": { "brand": "bhyve" },
		  "files": [ { "sha256": "$sha", "size": $((size * 1048576)), "compression": "none" } ]
		}
	TEXT
	mv "$tmp/disk.raw" "$dir/disk.raw"
	mv "$tmp/manifest.json" "$dir/manifest.json"
}
