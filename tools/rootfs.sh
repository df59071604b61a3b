#!/bin/sh
# Make a Debian root file system for tests: systemd, a serial login, a compiler,
# python, perl, openssl, and Debian's cloud kernel with its own initrd.
#   rootfs.sh DIR
# DIR then holds disk.img (ext4, no partitions), vmlinuz, initrd.img. The user
# is root, its password zhyve. A complete DIR is left as it is. Needs root and
# the network; nothing is mounted beyond what mmdebstrap mounts in a namespace
# of its own.
set -eu
dir=$1
[ -n "$(find "$dir/done" -newer "$0" 2>/dev/null)" ] && exit 0
[ "$(id -u)" -eq 0 ] || {
	echo "rootfs: must be root to own the files of the guest" >&2
	exit 1
}
mirror=$(sed -n 's/^URIs: //p;s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) bookworm .*/\2/p' \
	/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
# The same packages make the same image: times, UUID, hash seed and salt are
# fixed, and logs and caches that tell the time go.
export SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000
password=$(openssl passwd -6 -salt zhyve zhyve)
export password
uuid=7a687976-6500-4000-8000-64656269616e
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$tmp"
packages=systemd-sysv,udev,kmod,login,passwd,util-linux,coreutils,iproute2
packages=$packages,gcc,libc6-dev,python3,perl,openssl,dbus
packages=$packages,initramfs-tools,zstd,linux-image-cloud-amd64
# $1 is mmdebstrap's: the new root.
# shellcheck disable=SC2016
unshare -m mmdebstrap --mode=root --variant=apt --include="$packages" \
	--aptopt='Acquire::Languages "none"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='echo "root:$password" | chroot "$1" chpasswd -e' \
	--customize-hook='echo guest >"$1/etc/hostname"' \
	--customize-hook='echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
	--customize-hook='echo uninitialized >"$1/etc/machine-id"' \
	--customize-hook='rm -rf "$1/var/cache/"*/* "$1/var/lib/apt/lists/"* "$1/var/log/"*' \
	--customize-hook='rm -f "$1/etc/shadow-" "$1/etc/passwd-" "$1/etc/group-" "$1/etc/gshadow-"' \
	bookworm "$tmp/root" "${mirror:-http://deb.debian.org/debian}" >"$tmp/log" 2>&1 || {
	tail -n 20 "$tmp/log" >&2
	exit 1
}
cp "$tmp/root"/boot/vmlinuz-* "$tmp/vmlinuz"
cp "$tmp/root"/boot/initrd.img-* "$tmp/initrd.img"
find "$tmp/root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
truncate -s 1536M "$tmp/disk.img"
mke2fs -q -t ext4 -d "$tmp/root" -U "$uuid" -E hash_seed="$uuid",root_owner=0:0 \
	-L zhyve-test "$tmp/disk.img"
# mke2fs takes over when files were made here; nothing but this can set that.
used=$(dumpe2fs -h "$tmp/disk.img" 2>/dev/null |
	awk -F: '/^Inode count/ { c = $2 } /^Free inodes/ { f = $2 } END { print c - f }')
for field in atime ctime crtime; do
	seq "$used" | sed "s/.*/sif <&> $field @$SOURCE_DATE_EPOCH\nsif <&> ${field}_extra 0/"
done >"$tmp/times"
debugfs -w -f "$tmp/times" "$tmp/disk.img" >/dev/null 2>&1
for f in vmlinuz initrd.img disk.img; do
	mv "$tmp/$f" "$dir/$f"
done
touch "$dir/done"
