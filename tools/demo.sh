#!/bin/sh
# make demo: a zone from a text, Debian's cloud kernel in it, its console.
# Whatever ends it, a closed terminal too, no zone and no disk stay behind.
set -eu
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/.." && pwd)
cache=$top/tests/.cache/linux
grace=${DEMO_GRACE:-10} # seconds for the guest to hear its power button
"$top/tools/kernel.sh" "$cache"
[ "$(id -u)" -eq 0 ] || { echo "demo: zones need root: sudo make demo" >&2; exit 1; }

# Programs of this build, in a world of their own.
export ZHYVE_BRANDS="$build/brands" ZHYVE_ZONEADMD="$build/cmd/zoneadmd/zoneadmd"
root=$(mktemp -d "${TMPDIR:-/tmp}/zhyve-demo.XXXXXX")
zonecfg() { "$build/cmd/zonecfg/zonecfg" -R "$root" -z demo "$@"; }
zoneadm() { "$build/cmd/zoneadm/zoneadm" -R "$root" -z demo "$@"; }

clean()
{
	trap '' HUP INT TERM
	zoneadm halt >/dev/null 2>&1 || true
	zoneadm uninstall -F >/dev/null 2>&1 || true
	zonecfg delete -F >/dev/null 2>&1 || true
	# supervisors go when they have nothing to do
	pkill -TERM -f "zoneadmd -z demo -R $root\$" 2>/dev/null || true
	rm -rf "$root"
}
trap clean EXIT

# Press the power button; pull the plug when time is up.
stop()
{
	trap '' HUP INT TERM
	zoneadm shutdown -t "$grace" >/dev/null 2>&1 || true
	exit "$1"
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

cat >"$root/demo.zonecfg" <<TEXT
create
set zonepath=/zones/demo
add vcpu; set ncpus=2; end
add capped-memory; set guest=256M; end
add disk; set path=$root/zones/demo/disk0; set boot=true; set size=64M; end
add guest
set kernel=$cache/vmlinuz
set initrd=$cache/initrd.img
set cmdline="console=ttyS0 quiet ${DEMO_CMDLINE:-}"
set rng=true
end
TEXT
echo "demo: the zone, as zonecfg reads it:"
sed 's/^/	/' "$root/demo.zonecfg"
zonecfg -f "$root/demo.zonecfg"
zoneadm install
echo "demo: $(cat "$cache/version") in it. At 'guest#' try: ls /sys/block; cat /proc/interrupts; then: poweroff -f"

# The console is there before the zone boots. In the background, so that traps
# run at once; its input is the terminal.
exec 3<&0
"$build/cmd/zlogin/zlogin" -R "$root" -C -d demo <&3 3<&- &
console=$!
exec 3<&-
zoneadm boot || { kill "$console"; exit 1; }
zoneadm list -v | sed "s/\$/$(printf '\r')/"
status=0
wait "$console" || status=$?
echo "demo: $(grep -h -o 'vmm: engine .*' "$root/zones/demo/logs/platform.log" | tail -n 1)"
echo "demo: the zone is down: $(cut -d ' ' -f 3- "$root/zones/demo/lastexited")"
exit "$status"
