#!/bin/sh
# Install what building and testing zhyve needs: Debian 12 packages, only the
# missing ones, so that a second run asks nobody.
set -eu
packages='
	gcc clang-14 clang libclang-rt-14-dev make meson ninja-build ccache pkg-config
	git ca-certificates python3 libc6-dev linux-libc-dev
	liburing-dev libslirp-dev libglib2.0-dev libseccomp-dev
	libxml2-dev libedit-dev zlib1g-dev
	libnl-route-3-dev libbpf-dev libelf-dev libnftables-dev
	libjansson-dev libcurl4-openssl-dev libssl-dev libxxhash-dev libzstd-dev liblzma-dev
	acpica-tools binutils
	ovmf seabios mtools genisoimage zsh dosfstools fdisk uidmap memtest86+ mmdebstrap e2fsprogs openssl perl
	bats clang-format cppcheck mandoc
	nftables python3-yaml openssh-client dnsmasq-base isc-dhcp-client
	busybox-static cpio kmod xz-utils zstd procps socat iproute2 iputils-ping util-linux
	qemu-system-x86 btrfs-progs xfsprogs
'
missing=
for p in $packages; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $p" ;;
	esac
done
if [ -n "$missing" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "deps: missing Debian packages:$missing" >&2
		echo "deps: run 'sudo make deps' once" >&2
		exit 1
	fi
	apt-get update -q >/dev/null
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
		--no-install-recommends $missing >/dev/null
fi
