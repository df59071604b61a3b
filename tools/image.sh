#!/bin/sh
# An image for demos and tests, made once by imgadm's builder.
#   image.sh BUILD NAME DIR
# DIR then holds disk.raw and manifest.json; a DIR that is complete and not
# older than its builder is left as it is. BUILD has the guest's tools.
set -eu
mkdir -p "$1"
build=$(cd "$1" && pwd)
name=$2
dir=$3
top=$(cd "$(dirname "$0")/.." && pwd)
builder=$top/cmd/imgadm/build
if [ -f "$dir/disk.raw" ] && [ -z "$(find "$builder/$name" "$builder/$name.init" "$builder/lib.sh" \
	-newer "$dir/manifest.json" 2>/dev/null)" ]; then
	exit 0
fi
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" >/dev/null
ninja -C "$build" cmd/mdata-guest/mdata-guest >/dev/null
mkdir -p "$dir"
ZHYVE_GUEST_TOOLS=$build/cmd/mdata-guest "$builder/$name" "$dir"
