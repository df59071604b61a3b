#!/bin/sh
# make demo: Debian's cloud kernel and a busybox shell in a bhyve guest.
set -eu
build=$1
top=$(dirname "$0")/..
cache=$top/tests/.cache/linux
"$top/tools/kernel.sh" "$cache"
disk=$(mktemp /tmp/zhyve-demo.XXXXXX)
trap 'rm -f "$disk"' EXIT INT TERM
truncate -s 64M "$disk"
echo "demo: $(cat "$cache/version") in a 2-vCPU guest with a disk, a NIC and a serial console."
echo "demo: at 'guest#' try: ls /sys/block; cat /proc/interrupts; then: poweroff -f"
set +e
"$build/cmd/bhyve/bhyve" -c 2 -m 256M \
	-s 0,hostbridge -s 4,virtio-blk,"$disk" -s 6,virtio-net,slirp \
	-s 7,virtio-rnd -s 31,lpc -l com1,stdio \
	-o boot.kernel="$cache/vmlinuz" -o boot.initrd="$cache/initrd.img" \
	-o boot.cmdline="console=ttyS0 quiet ${DEMO_CMDLINE:-}" demo
status=$?
set -e
echo "demo: bhyve's exit status $status (0 reboot, 1 power-off, 2 halt, 3 triple fault, 4 error)"
[ "$status" -le 1 ]
