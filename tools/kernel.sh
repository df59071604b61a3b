#!/bin/sh
# Fetch Debian's cloud kernel and make a small initramfs around busybox.
#   kernel.sh DIR [VERSION]
# DIR then holds vmlinuz, initrd.img, version, and net.img: more modules, those
# of a host with zones' links, as an archive to be put behind. VERSION is the
# beginning of a release's number, 6.1 or 6.12, a whole package name, or "full"
# for the kernel that is not for clouds and has drivers of real hardware; without
# it, it is the release's own kernel. A complete DIR is left as it is.
set -eu
dir=$1
here=$(dirname "$0")
[ -f "$dir/vmlinuz" ] && [ -f "$dir/net.img" ] && [ -n "$(find "$dir/initrd.img" -newer "$0" -newer "$here/guest-init" 2>/dev/null)" ] &&
	exit 0
wanted=${2:-}
# The package that the one for all kernels of a version depends on. The oldest
# version of a release has none of its own.
find_package()
{
	case $wanted in
	linux-image-*)
		echo "$wanted"
		return
		;;
	full)
		apt-cache depends linux-image-amd64 2>/dev/null |
			awk '/Depends: linux-image/ { print $2 }' | head -n 1
		return
		;;
	esac
	for meta in ${wanted:+"linux-image-$wanted-cloud-amd64"} linux-image-cloud-amd64; do
		apt-cache depends "$meta" 2>/dev/null |
			awk -v v="linux-image-${wanted:+$wanted.}" '/Depends: linux-image/ && index($2, v) == 1 { print $2 }'
	done | head -n 1
}
pkg=$(find_package)
if [ -z "$pkg" ]; then
	apt-get update -q >/dev/null
	pkg=$(find_package)
fi
if [ -z "$pkg" ]; then
	echo "kernel: this system's package sources have no kernel ${wanted:-for clouds}" >&2
	exit 1
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd) # modprobe's answers are whole paths
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
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp "$here/guest-init" "$root/init"
chmod 755 "$root/init"
# busybox loads plain files
find "$tmp/x/lib/modules" -name '*.ko.xz' -exec xz -d {} +
find "$tmp/x/lib/modules" -name '*.ko.zst' -exec zstd -q -d --rm {} +
depmod=$(command -v depmod || echo /sbin/depmod)
modprobe=$(command -v modprobe || echo /sbin/modprobe)
"$depmod" -b "$tmp/x" "$version"
# modules ROOT NAME...: these and what they need, as far as this kernel has them
modules()
{
	to=$1/lib/modules/$version
	shift
	mkdir -p "$to"
	cp "$tmp/x/lib/modules/$version"/modules.builtin* \
		"$tmp/x/lib/modules/$version/modules.order" "$to/"
	for m in "$@"; do
		"$modprobe" -d "$tmp/x" -S "$version" --show-depends "$m" 2>/dev/null |
			awk '$1 == "insmod" { print $2 }'
	done | sort -u | while read -r f; do
		rel=${f#"$tmp/x/lib/modules/$version/"}
		mkdir -p "$to/$(dirname "$rel")"
		cp "$f" "$to/$rel"
	done
	"$depmod" -b "${to%/lib/modules/*}" "$version"
}
# pack ROOT FILE
pack()
{
	(cd "$1" && find . | LC_ALL=C sort |
		cpio -o -H newc --quiet --reproducible -R 0:0 | gzip -9n) >"$2"
}
devices='virtio_pci virtio_blk virtio_net virtio_console virtio_rng button evdev
	ahci sd_mod sr_mod isofs'
# shellcheck disable=SC2086
modules "$root" $devices
pack "$root" "$dir/initrd.new"
# shellcheck disable=SC2086
modules "$tmp/net" $devices tun bridge veth sch_ingress cls_bpf nf_tables nft_limit nft_objref
pack "$tmp/net" "$dir/net.new"
echo "$version" >"$dir/version"
mv "$dir/vmlinuz.new" "$dir/vmlinuz"
mv "$dir/net.new" "$dir/net.img"
mv "$dir/initrd.new" "$dir/initrd.img"
