# What the demos share: programs of a build, in a world of their own below
# $root. Sourced; 'build' is the build folder.
# shellcheck shell=sh disable=SC2154
export ZHYVE_BRANDS="$build/brands" ZHYVE_ZONEADMD="$build/cmd/zoneadmd/zoneadmd"
[ "$(id -u)" -eq 0 ] || { echo "demo: zones need root: sudo make demo" >&2; exit 1; }
root=$(mktemp -d "${TMPDIR:-/tmp}/zhyve-demo.XXXXXX")
vmadm() { "$build/cmd/vmadm/vmadm" -R "$root" "$@"; }
imgadm() { "$build/cmd/imgadm/imgadm" -R "$root" "$@"; }
vm=

# Whatever ends it, a closed terminal too, nothing stays.
clean()
{
	trap '' HUP INT TERM
	for z in $(vmadm list -H -o uuid 2>/dev/null); do
		vmadm delete -F "$z" >/dev/null 2>&1 || true
	done
	pkill -TERM -f "zoneadmd/[a-z]* .*-R $root\$" 2>/dev/null || true
	n=0
	while [ "$n" -lt 100 ] && pgrep -f "$root\$" >/dev/null; do
		n=$((n + 1))
		sleep 0.2
	done
	rm -rf "$root"
}
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# create JSON: the VM is $vm then
create()
{
	echo "demo: the VM's manifest, as vmadm reads it:"
	sed 's/^/	/' "$1"
	vmadm create -f "$1" 2>"$root/said" || { cat "$root/said" >&2; exit 1; }
	cat "$root/said"
	vm=$(sed -n 's/.* created VM //p' "$root/said")
}
