#!/bin/sh
# make demo: Debian's cloud kernel and a busybox shell in a bhyve guest.
# Whatever ends it, a closed terminal too, no guest and no disk stay behind.
set -eu
build=$1
top=$(dirname "$0")/..
cache=$top/tests/.cache/linux
grace=${DEMO_GRACE:-10} # seconds for the guest to hear its power button
"$top/tools/kernel.sh" "$cache"
disk=$(mktemp "${TMPDIR:-/tmp}/zhyve-demo.XXXXXX")
pid=
trap 'rm -f "$disk"' EXIT

# Press the power button every second; pull the plug when time is up.
stop()
{
	trap '' HUP INT TERM
	while [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; do
		grace=$((grace - 1))
		[ "$grace" -ge 0 ] || kill -KILL "$pid" 2>/dev/null || true
		sleep 1
	done
	exit "$1"
}
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

truncate -s 64M "$disk"
echo "demo: $(cat "$cache/version") in a 2-vCPU guest with a disk, a NIC and a serial console."
echo "demo: at 'guest#' try: ls /sys/block; cat /proc/interrupts; then: poweroff -f"
# In the background, so that traps run at once; its input is the terminal.
exec 3<&0
"$build/cmd/bhyve/bhyve" -c 2 -m 256M \
	-s 0,hostbridge -s 4,virtio-blk,"$disk" -s 6,virtio-net,slirp \
	-s 7,virtio-rnd -s 31,lpc -l com1,stdio \
	-o boot.kernel="$cache/vmlinuz" -o boot.initrd="$cache/initrd.img" \
	-o boot.cmdline="console=ttyS0 quiet ${DEMO_CMDLINE:-}" demo <&3 3<&- &
pid=$!
exec 3<&-
status=0
wait "$pid" || status=$?
pid=
echo "demo: bhyve's exit status $status (0 reboot, 1 power-off, 2 halt, 3 triple fault, 4 error)"
[ "$status" -le 1 ]
