#!/bin/sh
# Fetch Debian's cloud-init, whose SmartOS part is a client of our metadata
# service, with the Python that runs it.
#   cloudinit.sh DIR
# DIR then holds tree (the packages, unpacked: for /usr/bin/python3) and
# guest.cpio (the same with Python, iproute2 and their libraries: to be put behind
# another initramfs). A complete DIR is left as it is.
set -eu
dir=$1
[ -n "$(find "$dir/done" -newer "$0" 2>/dev/null)" ] && exit 0
client='cloud-init python3-serial python3-requests python3-urllib3 python3-idna python3-certifi
	python3-chardet python3-charset-normalizer python3-configobj python3-six'
python='python3.11-minimal libpython3.11-minimal libpython3.11-stdlib python3-yaml libyaml-0-2
	libc6 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libuuid1 libcrypt1
	iproute2 libbpf1 libbsd0 libelf1 libmd0 libmnl0 libcap2'
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
# fetch FOLDER PACKAGE...
fetch()
{
	into=$1
	shift
	mkdir -p "$tmp/debs" "$into"
	(cd "$tmp/debs" && {
		apt-get download -q "$@" >/dev/null 2>&1 || {
			apt-get update -q >/dev/null
			apt-get download -q "$@" >/dev/null
		}
	})
	for deb in "$tmp"/debs/*.deb; do
		dpkg-deb -x "$deb" "$into"
	done
	rm -rf "$tmp/debs"
}
# shellcheck disable=SC2086
fetch "$tmp/tree" $client
# shellcheck disable=SC2086
fetch "$tmp/root" $client $python
# What only people read, or only compilers, or what nobody here runs.
rm -rf "$tmp"/*/usr/share/doc "$tmp"/*/usr/share/man "$tmp"/*/usr/share/locale \
	"$tmp"/root/usr/share "$tmp"/root/usr/lib/python3.11/test \
	"$tmp"/root/usr/lib/python3.11/lib2to3 "$tmp"/root/usr/lib/python3.11/pydoc_data \
	"$tmp"/root/usr/lib/x86_64-linux-gnu/gconv "$tmp"/root/usr/lib/x86_64-linux-gnu/engines-3
ln -sf python3.11 "$tmp/root/usr/bin/python3"
# A guest that compiles them itself needs half a minute for it.
/usr/bin/python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash -s "$tmp/root" \
	"$tmp/root/usr/lib/python3" "$tmp/root/usr/lib/python3.11" >/dev/null
find "$tmp/tree" "$tmp/root" -exec touch -h -d @1700000000 {} +
(cd "$tmp/root" && find . | LC_ALL=C sort |
	cpio -o -H newc --quiet --reproducible -R 0:0) >"$tmp/guest.cpio"
rm -rf "$dir/tree" "$dir/guest.cpio"
mv "$tmp/tree" "$dir/tree"
mv "$tmp/guest.cpio" "$dir/guest.cpio"
touch "$dir/done"
