#!/bin/sh
# Run a test guest and pass its TAP on. Usage:
#   run.sh BHYVE EXPECTED-STATUS GUEST.elf CMDLINE [bhyve options ...]
# In the options DISK and DISK2 become fresh 16 MiB images, TMP/ a folder of the run's.
# The guest's own "Bail out!" or a wrong exit status makes the run fail.
set -u
bhyve=$1 want=$2 guest=$3 cmdline=$4
shift 4
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
truncate -s 16M "$tmp/disk.img" "$tmp/disk2.img"
n=$#
while [ "$n" -gt 0 ]; do
	a=$(printf '%s' "$1" | sed "s,DISK2,$tmp/disk2.img,g;s,DISK,$tmp/disk.img,g;s,TMP/,$tmp/,g")
	shift
	set -- "$@" "$a"
	n=$((n - 1))
done
timeout -k 5 "${GUEST_TIMEOUT:-280}" "$bhyve" -m 64 \
	-s 0,hostbridge -s 31,lpc -l com1,stdio \
	-o boot.kernel="$guest" -o boot.cmdline="$cmdline" "$@" test \
	</dev/null 2>"$tmp/err"
got=$?
sed 's/^/# /' "$tmp/err"
if [ "$got" -ne "$want" ]; then
	echo "Bail out! exit status $got, expected $want"
	exit 1
fi
