# What is found wrong while the machine is built: one line, exit status 4, and
# nothing left behind.
load common

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	pick_engine
	bhyve -m 32 -o engine=$ENGINE -o "boot.kernel=$GUESTS/first.elf" vm0
	[ "$status" -ne 4 ] || skip "no engine here: $err"
	[ "$status" -eq 1 ]
	M="-m 32 -o engine=$ENGINE -o boot.kernel=$GUESTS/ends.elf"
	truncate -s 1M disk
}

teardown() {
	[ -z "${PID:-}" ] || { kill -KILL "$PID" && wait "$PID"; } 2>/dev/null || true
	[ -z "${TAP:-}" ] || ip tuntap del "$TAP" mode tap
}

# Start a guest that runs until it is stopped, wait until it does.
start_idle() {
	"$BHYVE" -m 32 -o engine=$ENGINE -s 31,lpc -l com1,stdio \
		-o "boot.kernel=$GUESTS/idle.elf" "$@" idle >.idle 2>&1 </dev/null 3>&- &
	PID=$!
	wait_for has IDLE .idle || {
		cat .idle
		return 1
	}
}

@test "kernels" {
	local e="-m 32 -o engine=$ENGINE"
	refused "-o boot.kernel=/nonexistent: cannot open: No such file or directory" \
		$e -o boot.kernel=/nonexistent vm0
	refused "-o boot.kernel=.: is not a regular file; *" $e -o boot.kernel=. vm0
	: >empty
	refused "-o boot.kernel=empty: is empty" $e -o boot.kernel=empty vm0
	head -c 200 "$GUESTS/ends.elf" >short.elf
	refused "-o boot.kernel=short.elf: *" $e -o boot.kernel=short.elf vm0
	head -c 4096 /dev/zero >zero
	refused "-o boot.kernel=zero: neither a bzImage * nor an ELF file; *" \
		$e -o boot.kernel=zero vm0
	# a bzImage's header and nothing behind it
	{
		head -c 497 /dev/zero
		printf '\004\000\000\000\000\000\000\000\000\000\000\000\000\125\252\353\146HdrS\017\002'
		head -c 100 /dev/zero
	} >short.bz
	refused "-o boot.kernel=short.bz: *" $e -o boot.kernel=short.bz vm0
}

@test "initrd and command line" {
	refused "-o boot.initrd=/nonexistent: cannot open: *" $M -o boot.initrd=/nonexistent vm0
	truncate -s 64M big
	refused "-o boot.initrd=big: * more memory" $M -o boot.initrd=big vm0
	rm big
}

@test "more memory than the host has" {
	refused "-m 16T: guest memory of 16777216 MiB exceeds *" $M -m 16T vm0
}

@test "huge pages that are not free" {
	[ "$(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages)" = 0 ] ||
		skip "there are some"
	refused "-m 1G: *huge pages*0 are free*" $M -m 1G -o memory.hugepages=1G vm0
}

@test "disks" {
	refused "-s 4,virtio-blk,/nonexistent: *No such file or directory*" \
		$M -s 4,virtio-blk,/nonexistent vm0
	refused "-s 4,virtio-blk,: a disk needs *" $M -s 4,virtio-blk, vm0
	refused "-s 4,virtio-blk,.: *" $M -s 4,virtio-blk,. vm0
	refused "-s 4,virtio-blk,disk: *ros: *did you mean 'ro'?" $M -s 4,virtio-blk,disk,ros vm0
	refused "-s 4,virtio-blk,disk: *sectorsize*" $M -s 4,virtio-blk,disk,sectorsize=100 vm0
	left_behind "./disk "
}

@test "a disk in use" {
	start_idle -s 4,virtio-blk,disk
	refused "-s 4,virtio-blk,disk: *" $M -s 4,virtio-blk,disk vm0
	[[ $err == *"in use"* || $err == *lock* ]]
	refused "-s 4,virtio-blk,disk: *" $M -s 4,virtio-blk,disk,ro vm0
}

@test "a read-only disk may be shared" {
	start_idle -s 4,virtio-blk,disk,ro
	bhyve $M -s 4,virtio-blk,disk,ro vm0
	[ "$status" -eq 1 ]
	refused "-s 4,virtio-blk,disk: *" $M -s 4,virtio-blk,disk vm0
}

@test "the same disk twice in one machine" {
	refused "-s 5,virtio-blk,disk: *" $M -s 4,virtio-blk,disk -s 5,virtio-blk,disk vm0
}

@test "network" {
	refused "-s 4,virtio-net: no network back end *" $M -s 4,virtio-net vm0
	refused "-s 4,virtio-net,slirp: *'5:9' is not a MAC address *" \
		$M -s 4,virtio-net,slirp,mac=5:9 vm0
	refused "-s 4,virtio-net,slirp: mac=* multicast *" \
		$M -s 4,virtio-net,slirp,mac=01:00:5e:00:00:01 vm0
	refused "-s 4,virtio-net,slirp: *mtu: 10 is not in *" $M -s 4,virtio-net,slirp,mtu=10 vm0
	refused "-s 4,virtio-net,tap4242: *no such network interface*" \
		$M -s 4,virtio-net,tap4242 vm0
	refused "-s 4,virtio-net,ether0: *" $M -s 4,virtio-net,ether0 vm0
}

@test "a tap that may not be opened" {
	local tap=zhy$$ # of this run
	ip tuntap add $tap mode tap user 4242 2>/dev/null || skip "no right to make a tap"
	TAP=$tap
	BHYVE="setpriv --bounding-set=-net_admin --inh-caps=-net_admin $BHYVE" \
		run_refused_split "-s 4,virtio-net,$tap: *permitted*" \
		$M -s 4,virtio-net,$tap,type=tap vm0
}

# As refused(), for a BHYVE of several words.
run_refused_split() {
	printf '#!/bin/sh\nexec %s "$@"\n' "$BHYVE" >"$BATS_TEST_TMPDIR/.bhyve"
	chmod +x "$BATS_TEST_TMPDIR/.bhyve"
	BHYVE=$BATS_TEST_TMPDIR/.bhyve refused "$@"
}

@test "serial ports; sockets made before an error are removed" {
	refused "-l com1,/nonexistent: cannot open *" $M -s 31,lpc -l com1,/nonexistent vm0
	refused "-l com1,tcp=x: *" $M -s 31,lpc -l com1,tcp=x vm0
	refused "-l com2,stdio: stdio is taken by com1 already; *" \
		$M -s 31,lpc -l com1,stdio -l com2,stdio vm0
	refused "-l com2,/nonexistent: *" \
		$M -s 31,lpc -l com1,socket,sock -l com2,/nonexistent vm0
	left_behind "./disk "
	refused "-o boot.kernel=/nonexistent: *" $M -s 31,lpc -l com1,socket,sock \
		-s 4,virtio-console,port1=$PWD/port -o boot.kernel=/nonexistent vm0
	left_behind "./disk "
}

@test "consoles" {
	refused "-s 4,virtio-console: *No such file or directory" \
		$M -s 4,virtio-console,port1=/nonexistent/x vm0
}

@test "firmware configuration files" {
	refused "-f opt/x,file=/nonexistent: *No such file or directory" \
		$M -f opt/x,file=/nonexistent vm0
	refused "-f opt/x,string=b: *exists" $M -f opt/x,string=a -f opt/x,string=b vm0
}

@test "slots without function 0, host CPUs that do not exist" {
	refused "-s 4:1,virtio-rnd: slot 4 has no function 0, *" $M -s 4:1,virtio-rnd vm0
	refused "-p 0:1000: *do not exist*" $M -p 0:1000 vm0
}

@test "a BAR that does not fit" {
	for b in 0 1 2 3 4 5; do
		for s in $(seq 30); do
			for f in 0 1 2 3 4 5 6 7; do
				printf 'pci.%s.device=virtio-rnd\npci.%s.legacy=true\n' \
					$b.$s.$f $b.$s.$f
			done
		done
	done >conf
	refused "-s 5:*:*,virtio-rnd: BAR 0 of * does not fit: *" $M -k conf vm0
	rm conf
	left_behind "./disk "
}

@test "terminals are restored after an error and after a run" {
	cat >try <<-END
		stty -g >before
		"$BHYVE" $M -s 31,lpc -l com1,stdio -s 4,virtio-blk,/nonexistent vm0
		stty -g >after1
		"$BHYVE" $M -s 31,lpc -l com1,stdio vm0 2>log
		stty -g >after2
	END
	python3 "$BATS_TEST_DIRNAME/onpty.py" sh ./try >.script
	cmp before after1
	cmp before after2
	grep -q "ok 1 - running" .script || {
		cat .script
		return 1
	}
}
