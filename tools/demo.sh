#!/bin/sh
# make demo: the busybox image, a VM of it from a JSON manifest, its console.
#   demo.sh BUILD
# DEMO_CACHE: where the image is kept; DEMO_GRACE: seconds for the guest to hear
# its power button; DEMO_SCRIPT: a user-script for the guest.
set -eu
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${DEMO_CACHE:-$top/tests/.cache/busybox}
"$top/tools/image.sh" "$build" busybox "$cache"
# shellcheck source=tools/demo-world.sh
. "$top/tools/demo-world.sh"

# Press the power button; pull the plug when time is up.
# shellcheck disable=SC2317 # by traps
stop()
{
	trap '' HUP INT TERM
	vmadm stop -t "${DEMO_GRACE:-10}" "$vm" >/dev/null 2>&1 || true
	exit "$1"
}

imgadm import -q -m "$cache/manifest.json" "$cache/disk.raw"
imgadm list
image=$(imgadm list -H -o uuid)
cat >"$root/demo.json" <<TEXT
{
  "brand": "bhyve",
  "alias": "demo",
  "hostname": "demo",
  "vcpus": 2,
  "ram": 256,
  "autoboot": false,
  "disks": [ { "boot": true, "model": "virtio", "image_uuid": "$image" } ],
  "nics": [ { "nic_tag": "slirp", "ips": [ "10.0.2.15/24" ], "gateways": [ "10.0.2.2" ], "primary": true } ],
  "resolvers": [ "10.0.2.3" ],
  "customer_metadata": { "user-script": "${DEMO_SCRIPT:-echo hello from the metadata service}" }
}
TEXT
create "$root/demo.json"
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM
echo "demo: at 'demo#' try: mdata-list; mdata-get sdc:nics; ip addr; then: poweroff -f"

# The console is there before the VM starts. In the background, so that traps
# run at once; its input is the terminal.
exec 3<&0
"$build/cmd/zlogin/zlogin" -R "$root" -C -d "$vm" <&3 3<&- &
console=$!
exec 3<&-
vmadm start "$vm" || { kill "$console"; exit 1; }
status=0
wait "$console" || status=$?
place=$root/var/lib/zhyve/zones/$vm
echo "demo: $(grep -h -o 'vmm: engine .*' "$place/logs/platform.log" | tail -n 1)"
echo "demo: the VM is down: $(cut -d ' ' -f 3- "$place/lastexited")"
exit "$status"
