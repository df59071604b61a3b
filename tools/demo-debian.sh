#!/bin/sh
# make demo-debian: Debian's image, a VM of it that cloud-init configures over
# com2, and a command in it by ssh, through a link that is guarded.
#   demo-debian.sh BUILD
# All of it in a network namespace: this host's network is not touched.
set -eu
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${DEMO_CACHE:-$top/tests/.cache/debian-12}
if [ -z "${DEMO_INSIDE:-}" ]; then
	"$top/tools/image.sh" "$build" debian-12 "$cache"
	DEMO_INSIDE=yes exec unshare -n "$0" "$@"
fi
# shellcheck source=tools/demo-world.sh
. "$top/tools/demo-world.sh"

imgadm import -q -m "$cache/manifest.json" "$cache/disk.raw"
imgadm list
ip link set lo up
ip link add br0 type bridge
ip addr add 10.77.0.1/24 dev br0
ip link set br0 up
"$build/cmd/nictagadm/nictagadm" -R "$root" add external br0
ssh-keygen -q -t ed25519 -N '' -C demo -f "$root/key"
cat >"$root/demo.json" <<TEXT
{
  "brand": "bhyve",
  "alias": "web0",
  "hostname": "web0",
  "vcpus": 2,
  "ram": 1024,
  "resolvers": [ "10.77.0.1" ],
  "disks": [ { "boot": true, "model": "virtio", "image_uuid": "$(imgadm list -H -o uuid)" } ],
  "nics": [ { "nic_tag": "external", "ips": [ "10.77.0.5/24" ], "gateways": [ "10.77.0.1" ], "primary": true } ],
  "customer_metadata": { "root_authorized_keys": "$(cat "$root/key.pub")" }
}
TEXT
create "$root/demo.json"
vmadm list
echo "demo: Debian boots; on the software engine a first boot takes a minute. ssh root@10.77.0.5 uname -a:"
n=0
until ssh -q -o BatchMode=yes -o ConnectTimeout=3 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
	-i "$root/key" root@10.77.0.5 uname -a; do
	n=$((n + 1))
	[ "$n" -lt "${DEMO_TRIES:-300}" ] || {
		echo "demo: no answer; the end of its console:" >&2
		tail -n 20 "$root/var/lib/zhyve/zones/$vm/logs/console.log" >&2
		exit 1
	}
	sleep 1
done
