#!/bin/sh
# Make a Debian guest with ZFS for tests: Debian's cloud kernel, its zfs-dkms
# (contrib) built for it, zfsutils-linux, udev, and what zhyve's programs need.
#   zfs.sh DIR
# DIR then holds disk.img (ext4, no partitions), vmlinuz, initrd.img and version
# (of the kernel, and of ZFS). Its /sbin/zhyve-init starts udev, loads zfs, takes
# the tar on /dev/vdb apart in /work, and runs /work/run. The modules, which take
# five minutes of CPU time, are kept in DIR/modules by these versions. A complete
# DIR is left as it is. Needs root, the network and 3 GiB meanwhile; no package
# source of this system is changed.
set -eu
dir=$1
[ -n "$(find "$dir/done" -newer "$0" 2>/dev/null)" ] && exit 0
[ "$(id -u)" -eq 0 ] || {
	echo "zfs: must be root to own the files of the guest" >&2
	exit 1
}
command -v mmdebstrap >/dev/null || {
	echo "zfs: mmdebstrap is missing: apt-get install mmdebstrap" >&2
	exit 1
}
mirror=$(sed -n 's/^URIs: //p;s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) bookworm .*/\2/p' \
	/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$tmp"

# root NAME PACKAGES OPTION...: Debian with these, in $tmp/NAME
root()
{
	name=$1 packages=$2
	shift 2
	nice unshare -m mmdebstrap --mode=root --variant=apt --components=main,contrib \
		--include="$packages" --aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" bookworm "$tmp/$name" "${mirror:-http://deb.debian.org/debian}" >"$tmp/log" 2>&1 || {
		tail -n 20 "$tmp/log" >&2
		[ -z "$(ls "$tmp/$name"/var/lib/dkms/zfs/*/build/make.log 2>/dev/null)" ] ||
			tail -n 20 "$tmp/$name"/var/lib/dkms/zfs/*/build/make.log >&2
		exit 1
	}
}

cat >"$tmp/init" <<'TEXT'
#!/bin/sh
# What a machine with ZFS has when it is up, then the test; /work/run says how
# it ended.
PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export PATH HOME LC_ALL
mount -o remount,rw /
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mountpoint -q /run || mount -t tmpfs run /run
mkdir -p /dev/shm /sys/fs/cgroup /work
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
modprobe zfs
tar -x -f /dev/vdb -C /work
echo "ZFS-GUEST up: Linux $(uname -r), ZFS $(cat /sys/module/zfs/version)"
(cd /work && exec sh ./run)
echo "ZFS-GUEST end: $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
TEXT


packages=udev,kmod,mount,util-linux,coreutils,procps,iproute2,e2fsprogs,zfsutils-linux
packages=$packages,libcurl4,libjansson4,libseccomp2,liburing2,libedit2,libnftables1,libnl-route-3-200,libxml2,libxxhash0,libzstd1,libssl3,liblzma5
packages=$packages,initramfs-tools,zstd,linux-image-cloud-amd64
root guest "$packages"
version=$(ls "$tmp/guest/lib/modules")
zfs=$(awk '/^Package: zfsutils-linux$/ { f = 1 } f && /^Version:/ { print $2; exit }' "$tmp/guest/var/lib/dpkg/status")
modules=$dir/modules/$version-$zfs
if [ ! -e "$modules/zfs.ko" ]; then
	root build linux-headers-cloud-amd64,zfs-dkms,gcc,make
	if [ ! -e "$tmp/build/lib/modules/$version/updates/dkms/zfs.ko" ]; then
		echo "zfs: dkms has made no zfs.ko for $version:" >&2
		tail -n 20 "$tmp/log" >&2
		exit 1
	fi
	mkdir -p "$dir/modules"
	mv "$tmp/build/lib/modules/$version/updates/dkms" "$tmp/modules"
	rm -rf "$tmp/build" "$modules"
	mv "$tmp/modules" "$modules"
fi
mkdir -p "$tmp/guest/lib/modules/$version/updates"
cp "$modules"/*.ko "$tmp/guest/lib/modules/$version/updates/"
chroot "$tmp/guest" depmod "$version"
install -m 755 "$tmp/init" "$tmp/guest/sbin/zhyve-init"
cp "$tmp/guest"/boot/vmlinuz-* "$dir/vmlinuz"
cp "$tmp/guest"/boot/initrd.img-* "$dir/initrd.img"
rm -rf "$tmp/guest"/boot/* "$tmp/guest"/var/cache/*/* "$tmp/guest"/var/lib/apt/lists/*
truncate -s 1G "$tmp/disk.img"
mke2fs -q -t ext4 -d "$tmp/guest" -E root_owner=0:0 -L zhyve-zfs "$tmp/disk.img"
mv "$tmp/disk.img" "$dir/disk.img"
echo "$version $zfs" >"$dir/version"
touch "$dir/done"
