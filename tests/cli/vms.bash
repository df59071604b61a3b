# For the tests of vmadm: zones.bash, and VMs from manifests.
# shellcheck source=tests/cli/zones.bash
. "$(dirname "${BASH_SOURCE[0]}")/zones.bash"

vm() {
	timeout -k 5 120 "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" "$@"
}

# refused STATUS TEXT ARG...: that exit status, nothing on stdout, exactly this
# on stderr. '*' stands for anything.
refused() {
	local code=$1 want=$2 status=0
	shift 2
	timeout -k 5 120 "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" "$@" >.out 2>.err || status=$?
	# shellcheck disable=SC2053
	if [ "$status" -ne "$code" ] || [ -s .out ] || [[ $(cat .err) != $want ]]; then
		printf 'vmadm %s\nstatus %s, stdout "%s", stderr "%s"\nwanted %s "%s"\n' \
			"$*" "$status" "$(cat .out)" "$(cat .err)" "$code" "$want"
		return 1
	fi
}

# No configuration, index entry, volume, folder or process of a VM.
no_trace() {
	local left
	left=$(find "$ROOT" -mindepth 1 ! -type d ! -path '*/images/*' ! -path '*/.mdata/*' ! -name .lock \
		! -name did.txt ! -name index ! -name events ! -name '.zhyve-*')
	left+=$(find "$ROOT" -type d -name '*-*-*-*-*')
	left+=$(cat "$ROOT/etc/zones/index" 2>/dev/null || true)
	[ -z "$left" ] || {
		echo "left: $left"
		return 1
	}
}

U=7a1ce6b0-3b5c-4c7e-9c39-5d8f2a64e0b1

# make NAME [JSON MEMBER...]: a VM that is off
make() {
	local name=$1 more=""
	shift
	for m in "$@"; do
		more+=", $m"
	done
	echo "{\"brand\": \"bhyve\", \"alias\": \"$name\", \"ram\": ${RAM:-32}, \"autoboot\": false,
		\"engine\": \"$ENGINE\", \"kernel\": \"$GUESTS/${GUEST:-idle}.elf\" $more}" | vm create
	ID=$(vm lookup -1 alias="$name")
}

image() {
	mkdir -p "$ROOT/var/lib/zhyve/images"
	head -c 3M /dev/urandom >"$ROOT/var/lib/zhyve/images/$1.raw"
	printf '{"v":2,"uuid":"%s","name":"test","version":"1","os":"linux","type":"zvol","files":[{"compression":"none","size":3145728}],"image_size":3}' \
		"$1" >"$ROOT/var/lib/zhyve/images/$1.json"
}

# pool_on KIND MKFS...: the pool's folder is a file system of its own, in memory:
# what clones and syncs take is then not a matter of the disk
pool_on() {
	local kind=$1
	shift
	mkdir -p "$ROOT/var/lib/zhyve/zones" memory
	mount -t tmpfs -o size=500m tmpfs memory 2>/dev/null || skip "no tmpfs can be mounted here"
	truncate -s 400M memory/pool.img
	"$@" memory/pool.img >/dev/null 2>&1 || skip "cannot be made here: $*"
	mount -t "$kind" -o loop memory/pool.img "$ROOT/var/lib/zhyve/zones" 2>/dev/null || skip "this kernel does not mount $kind here"
}

# Processes that were told to end may still be there.
unmounted() {
	! mountpoint -q "$1" || umount "$1" 2>/dev/null
}
teardown() {
	local at
	stop_world
	for at in "${ROOT:-/nowhere}/var/lib/zhyve/zones" memory; do
		wait_for unmounted "$at" || umount -l "$at"
	done
}
