# Debian's own cloud kernel and a busybox initramfs on the software engine.
# BHYVE: the program; LINUX: folder made by tools/kernel.sh; ENGINE.
bats_require_minimum_version 1.5.0
load ../cli/wait

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 16M disk.img
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
}

# boot STATUS WORD OPTION...: output in out
boot() {
	local want=$1 word=$2 status=0
	shift 2
	timeout -k 5 200 "$BHYVE" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -o boot.kernel="$LINUX/vmlinuz" -o boot.initrd="$LINUX/initrd.img" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=$word" "$@" linux \
		</dev/null >out 2>err || status=$?
	[ "$status" -eq "$want" ] || {
		echo "exit status $status, expected $want"
		tail -n 30 out
		cat err
		return 1
	}
}

@test "boots to user space and sees its devices" {
	boot 1 devices -c 2 -s 4,virtio-blk,disk.img,ser=SERIAL01 -s 6,virtio-net,slirp,mac=58:9c:fc:0a:0b:0c \
		-s 7,virtio-rnd -U 0f0e0d0c-0b0a-0908-0706-050403020100 -B 1,product=Testbed
	grep -q "ZHYVE-GUEST up: Linux .* 2 cpu" out
	grep -q "disk vda 32768 sectors ro=0 serial=SERIAL01" out
	grep -q "disk data same" out
	grep -q "net eth0 58:9c:fc:0a:0b:0c" out
	grep -q "hwrng 64" out
	grep -q "product Testbed" out
	grep -qi "uuid 0f0e0d0c-0b0a-0908-0706-050403020100" out
	grep -q "year $(date +%Y)" out
}

# nolapic_timer alone leaves Linux without a tick where the CPU has a TSC
# deadline and ARAT: it then does not set the PIT up.
@test "ticks by the PIT without the local APIC's timer" {
	boot 1 poweroff -o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=poweroff nolapic_timer lapic=notscdeadline"
	grep -q "ZHYVE-GUEST up" out
}

# shell CPUS: type at the busybox shell
shell() {
	local status=0
	python3 "$TYPED" timeout -k 5 200 "$BHYVE" -c "$1" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-s 4,virtio-blk,disk.img -o engine="$ENGINE" -o boot.kernel="$LINUX/vmlinuz" \
		-o boot.initrd="$LINUX/initrd.img" -o boot.cmdline="console=ttyS0 quiet panic=-1" linux \
		>out 2>&1 <<-'EOF' || status=$?
			see guest#
			send nproc; ls /sys/block; echo sum-$(seq 1 100 | md5sum)\r
			see sum-d632eba71107bf7bc3ec423eab256d78
			send poweroff -f\r
			see Power down
		EOF
	cat out
	[ "$status" -eq 1 ]
	tr -d '\r' <out | grep -qx "$1"
	tr -d '\r' <out | grep -qx vda
	grep -q "Linux $(cat "$LINUX/version"), $1 cpu" out
}

@test "boots to a shell with 1 vCPU" {
	shell 1
}

@test "boots to a shell with 4 vCPUs" {
	shell 4
}

@test "reboots with exit status 0" {
	boot 0 reboot
}

@test "halts with exit status 2" {
	boot 2 halt
}

@test "obeys the power button" {
	timeout -k 5 200 "$BHYVE" -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
		-o engine="$ENGINE" -o boot.kernel="$LINUX/vmlinuz" -o boot.initrd="$LINUX/initrd.img" \
		-o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=button" linux \
		</dev/null >out 2>err 3>&- &
	pid=$!
	WAIT=200 wait_for has "waiting on /dev/input" out || {
		cat out err
		kill -9 $pid
		return 1
	}
	pkill -TERM -P "$pid" || kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 1 ]
	grep -q "button pressed" out
}

@test "TCP both ways through a tap with offloads and two queues" {
	unshare -n true 2>/dev/null || skip "this user may not make network namespaces"
	head -c 20M /dev/urandom >sent
	cat >inner <<-'EOF'
		set -e
		ip link set lo up
		ip tuntap add tap0 mode tap multi_queue vnet_hdr
		ip addr add 10.9.0.1/24 dev tap0
		ip link set tap0 up
		timeout -k 5 200 "$BHYVE" -c 2 -m 256M -s 0,hostbridge -s 31,lpc -l com1,stdio \
			-s 6,virtio-net,tap0,queues=2 -o engine="$ENGINE" \
			-o boot.kernel="$LINUX/vmlinuz" -o boot.initrd="$LINUX/initrd.img" \
			-o boot.cmdline="console=ttyS0 quiet panic=-1 zhyve.run=net" linux \
			</dev/null >out 2>err &
		pid=$!
		n=0
		until grep -q "net ready" out; do
			n=$((n + 1))
			[ $n -lt 900 ] || exit 98
			sleep 0.2
		done
		socat -u TCP-LISTEN:5002,reuseaddr OPEN:back,creat,trunc &
		until ss -Hltn sport = 5002 | grep :5002; do sleep 0.1; done
		socat -u OPEN:sent TCP:10.9.0.2:5001
		wait $pid || [ $? -eq 1 ]
		wait
	EOF
	export BHYVE LINUX ENGINE
	status=0
	unshare -n sh inner || status=$?
	cat out err
	[ "$status" -eq 0 ]
	grep -q "net ready, 2 queues" out
	cmp sent back
}
