#!/bin/sh
# Run a test guest and pass its TAP on. Usage:
#   run.sh BHYVE EXPECTED-STATUS GUEST.elf CMDLINE [bhyve options ...]
# In the options DISK becomes a fresh 16 MiB image, TMP/ a folder of the run's.
# The guest's own "Bail out!" or a wrong exit status makes the run fail. With
# SKIP_EMULATION, it may turn out that KVM cannot run such guests here.
set -u
bhyve=$1 want=$2 guest=$3 cmdline=$4
shift 4
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
truncate -s 16M "$tmp/disk.img"
n=$#
while [ "$n" -gt 0 ]; do
	a=$(printf '%s' "$1" | sed "s,DISK,$tmp/disk.img,g;s,TMP/,$tmp/,g")
	shift
	set -- "$@" "$a"
	n=$((n - 1))
done
run() {
	timeout -k 5 "${GUEST_TIMEOUT:-100}" "$bhyve" -m 64 \
		-s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o boot.kernel="$guest" -o boot.cmdline="$cmdline" "$@" test \
		</dev/null 2>"$tmp/err"
}
if [ -z "${SKIP_EMULATION:-}" ]; then
	run "$@"
	got=$?
else
	run "$@" >"$tmp/out"
	got=$?
	if [ "$got" -eq 4 ] && grep -q 'KVM cannot emulate' "$tmp/err"; then
		echo "1..0 # SKIP this KVM cannot emulate an instruction of ring 0"
		exit 0
	fi
	cat "$tmp/out"
fi
sed 's/^/# /' "$tmp/err"
if [ "$got" -ne "$want" ]; then
	echo "Bail out! exit status $got, expected $want"
	exit 1
fi
