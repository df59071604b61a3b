#!/bin/sh
# Fetch Debian's cloud kernel and make a small initramfs around busybox.
#   kernel.sh DIR [PACKAGE]
# DIR then holds vmlinuz, initrd.img and version. PACKAGE defaults to what
# linux-image-cloud-amd64 depends on. A complete DIR is left as it is.
set -eu
dir=$1
here=$(dirname "$0")
[ -f "$dir/initrd.img" ] && [ -f "$dir/vmlinuz" ] && [ "$dir/initrd.img" -nt "$0" ] &&
	[ "$dir/initrd.img" -nt "$here/guest-init" ] && exit 0
find_package()
{
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		awk '/Depends: linux-image/ { print $2; exit }'
}
pkg=${2:-$(find_package)}
if [ -z "$pkg" ]; then
	apt-get update -q >/dev/null
	pkg=$(find_package)
fi
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cd "$tmp"
apt-get download -q "$pkg" >/dev/null 2>&1 || {
	apt-get update -q >/dev/null
	apt-get download -q "$pkg" >/dev/null
}
cd - >/dev/null
dpkg-deb -x "$tmp"/linux-image-*.deb "$tmp/x"
version=$(ls "$tmp/x/lib/modules")
cp "$tmp/x/boot/vmlinuz-$version" "$dir/vmlinuz.new"

root=$tmp/root
mods=$root/lib/modules/$version
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$mods"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$here/guest-init" "$root/init"
chmod 755 "$root/init"
# The modules that virtio devices need, and theirs.
cp "$tmp/x/lib/modules/$version"/modules.builtin* \
	"$tmp/x/lib/modules/$version/modules.order" "$mods/"
depmod=$(command -v depmod || echo /sbin/depmod)
modprobe=$(command -v modprobe || echo /sbin/modprobe)
"$depmod" -b "$tmp/x" "$version"
for m in virtio_pci virtio_blk virtio_net virtio_console virtio_rng button evdev; do
	"$modprobe" -d "$tmp/x" -S "$version" --show-depends "$m" |
		awk '$1 == "insmod" { print $2 }'
done | sort -u | while read -r f; do
	rel=${f#"$tmp/x/lib/modules/$version/"}
	mkdir -p "$mods/$(dirname "$rel")"
	cp "$f" "$mods/$rel"
done
"$depmod" -b "$root" "$version"
(cd "$root" && find . | LC_ALL=C sort |
	cpio -o -H newc --quiet --reproducible -R 0:0 | gzip -9n) >"$dir/initrd.new"
echo "$version" >"$dir/version"
mv "$dir/vmlinuz.new" "$dir/vmlinuz"
mv "$dir/initrd.new" "$dir/initrd.img"
