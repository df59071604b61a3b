# What options turn into.
load common

golden() {
	local f
	for f in "$GOLDEN/dump/$1"-*; do
		BHYVE=$BHYVE "$BATS_TEST_DIRNAME/golden.sh" "$f" || return 1
	done
}

@test "options of FreeBSD make the expected tree" {
	golden freebsd
}

@test "options of illumos make the expected tree" {
	golden illumos
}

@test "variables of our own make the expected tree" {
	golden zhyve
}

@test "every option of -h is in a golden file or a test here" {
	bhyve -h
	[ "$status" -eq 0 ]
	for letter in $(sed -n 's/^  -\(.\).*/\1/p' .out); do
		case $letter in
		h | k) continue ;;
		esac
		grep -qrE -- "^\\$.* -[A-Za-z]*$letter" "$GOLDEN/dump" || {
			echo "no golden file has -$letter"
			return 1
		}
	done
}

@test "-k reads a file, options before and after count in order" {
	printf '# a comment\n\ncpus=3\nmemory.size=1G\nname=fromfile\n' >conf
	bhyve -m 2G -k conf -c 2 -o config.dump=yes
	[ "$status" -eq 1 ]
	[ "$out" = "config.dump=yes
cpus=2
memory.size=1G
name=fromfile" ]
}

@test "an operand after -k names the machine" {
	echo name=fromfile >conf
	bhyve -k conf -o config.dump=1 operand
	[[ $out == *name=operand* ]]
}

@test "config.dump=false does not dump" {
	refused "nothing to boot; *" -o config.dump=0 vm0
}

@test "-h, -s help and -l help exit 0 and print to standard output" {
	for args in -h "-s help" "-l help"; do
		bhyve $args
		[ "$status" -eq 0 ]
		[ -n "$out" ]
		[ -z "$err" ]
	done
}

@test "help wins over what comes behind it, not over errors before it" {
	bhyve -h -m rubbish
	[ "$status" -eq 0 ]
	refused "-m rubbish: *" -m rubbish -h
}

@test "standard output that cannot be written is an error" {
	[ -w /dev/full ] || skip "no /dev/full"
	run bash -c '"$0" -h >/dev/full' "$BHYVE"
	[ "$status" -eq 4 ]
}
