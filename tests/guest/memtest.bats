# Debian's memtest86+ on the software engine: a whole round, without an error.
# Three of its minutes are the bit fade test's waiting: run by make check-long.
# BHYVE: the program.
bats_require_minimum_version 1.5.0
MEMTEST=/boot/memtest86+x64.bin

# round CPUS MEMORY
round() {
	[ -f $MEMTEST ] || skip "no $MEMTEST (Debian's package memtest86+)"
	cd "$BATS_TEST_TMPDIR" || return 1
	python3 "$BATS_TEST_DIRNAME/screen.py" 1500 'Pass: +[1-9][0-9]* +Errors: 0 *$' 'Errors: +[1-9]' \
		"$BHYVE" -c "$1" -m "$2" -s 0,hostbridge -s 31,lpc -l com1,stdio -o engine=soft \
		-o boot.kernel=$MEMTEST -o boot.cmdline="console=ttyS0,115200 nopause" memtest 2>err | tee screen
	[ "${PIPESTATUS[0]}" -eq 0 ]
	grep -q "Status: Pass" screen
}

@test "memtest86+ passes a round on 1 vCPU" {
	round 1 32M
}

@test "memtest86+ passes a round on 2 vCPUs at once" {
	round 2 16M
	grep -q "SMP: 2T (PAR)" screen
}
