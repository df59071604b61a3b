# zlogin -C: a terminal on a zone's console.
load zones

login() {
	TYPED_LIMIT=${TYPED_LIMIT:-90} timeout -k 5 400 python3 "$HERE/typed.py" "$BUILD/cmd/zlogin/zlogin" -R "$ROOT" "$@"
}

# comes FILE: it is there soon
comes() {
	wait_for test -e "$1"
}

@test "there before the boot, over a halt, a reboot and a new supervisor" {
	zone a idle
	mkfifo script
	login -C a <script >seen 3>&- &
	session=$!
	exec 9>script
	echo "see Connected to zone 'a' console" >&9
	echo "touch connected" >&9
	echo "see Zone booting up" >&9
	echo "see IDLE" >&9
	echo "see Zone rebooting" >&9
	echo "see IDLE" >&9
	echo "see supervisor was started again" >&9
	echo "touch again" >&9
	echo "see Zone halted" >&9
	echo "send ~." >&9
	echo "see console closed" >&9
	exec 9>&-
	comes connected
	adm -z a boot
	shows IDLE "$ROOT/zones/a/logs/console.log"
	adm -z a reboot
	twice() { [ "$(grep -c IDLE "$ROOT/zones/a/logs/console.log")" -ge 2 ]; }
	wait_for twice
	kill -KILL "$(supervisors a)"
	comes again
	adm -z a halt
	wait $session
}

@test "a second person is refused, and told who is there" {
	zone a idle
	adm -z a boot
	printf 'see Connected\ntouch connected\nsee closed\n' | login -C a >seen 3>&- &
	session=$!
	comes connected
	err=$("$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C a </dev/null 2>&1) && return 1
	[[ $err == "zlogin: zone 'a': the console is in use by process "*" (root)" ]]
	holder=$(echo "$err" | grep -o 'process [0-9]*' | cut -d ' ' -f 2)
	kill "$holder"
	wait $session || true
	# and then it is free
	printf 'see Connected\nsend ~.\nsee closed\n' | login -C a
}

@test "what is typed reaches the guest, what it prints the person" {
	zone a serial
	adm -z a boot
	shows ECHO "$ROOT/zones/a/logs/console.log"
	printf 'see Connected\nsend hello~.there\\r\nsee [hello~.there]\nsend ~~.\\r\nsee [~.]\nsend ~.\nsee closed\n' |
		login -C a
	is a running
	printf 'see Connected\nsend end\\r\nsee [end]\nsee Zone halted\nsend \\r~.\nsee closed\n' |
		login -C a
	becomes a installed
	grep -q ' \[hello~.there\]$' "$ROOT/zones/a/logs/console.log"
}

@test "another escape, or none" {
	zone a idle
	printf 'see Connected\nsend ~.\\r^.\nsee closed\n' | login -C -e ^ a
	printf 'see Connected\nsend \\x1d.\nsee closed\n' | login -C -e '^]' a
	for words in "" "a" "-C" "-C -e ab a" "-C a b"; do
		# shellcheck disable=SC2086
		"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" $words 2>/dev/null </dev/null && status=0 || status=$?
		[ "$status" -eq 2 ]
	done
	"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C nobody 2>err </dev/null && return 1
	grep -q "there is no zone 'nobody'" err
}

@test "the terminal is as it was, however the session ends" {
	zone a idle
	cat >shell <<-EOF
		stty -a | tr ' ' '\n' | sort >before
		"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C a &
		wait \$! || true
		stty -a | tr ' ' '\n' | sort >after
		echo COMPARED
	EOF
	sed 's/ &$//; /^wait/d' shell >simple
	printf 'see Connected\nsend ~.\nsee COMPARED\n' |
		timeout 200 python3 "$HERE/typed.py" sh ./simple
	cmp before after
	cat >killed <<-EOF
		stty -a | tr ' ' '\n' | sort >before
		(until [ -e connected ]; do sleep 0.1; done; pkill -TERM -P \$\$ zlogin) &
		"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C a
		stty -a | tr ' ' '\n' | sort >after
		echo COMPARED
	EOF
	printf 'see Connected\ntouch connected\nsee COMPARED\n' |
		timeout 200 python3 "$HERE/typed.py" sh ./killed
	cmp before after
}

@test "who does not read stops nobody" {
	CMDLINE=flood zone a serial
	adm -z a boot
	# shellcheck disable=SC2216
	mkfifo in out
	"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C a <in >out 3>&- &
	stuck=$!
	exec 8>in 9<out
	# both logs were full once, and more comes
	wait_for test -s "$ROOT/zones/a/logs/console.log.0"
	size=$(du -sk "$ROOT/zones/a/logs" | cut -f 1)
	[ "$size" -le 3072 ]
	rss=$(awk '/VmRSS/ { print $2 }' "/proc/$(supervisors a)/status")
	echo "supervisor: $rss KiB, logs: $size KiB"
	# AddressSanitizer keeps what was freed
	limit=3072
	! grep -q __asan_init "$BUILD/cmd/zoneadmd/zoneadmd" || limit=65536
	[ "$rss" -le $limit ]
	adm -z a halt
	is a installed
	exec 8>&- 9<&-
	kill $stuck 2>/dev/null || true
	wait $stuck || true
}

@test "-d stays through the end of the input and a reset, and ends with the zone" {
	CMDLINE="end=reboot" zone a ends
	printf 'see Connected\ntouch connected\nsee Zone rebooting\ntouch reboots\nsee Zone halted\nsee closed\n' |
		login -C -d a >seen 3>&- &
	session=$!
	comes connected
	adm -z a boot
	comes reboots
	# the reset's next boot takes the configuration as it is then
	cfg -z a 'select guest; set cmdline="end=poweroff"; end'
	wait $session
	# nobody types at all
	timeout 300 "$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C -d a </dev/null >silent 3>&- &
	session=$!
	wait_for has Connected silent
	adm -z a boot
	wait $session
	grep -q 'Zone halted' silent
}
