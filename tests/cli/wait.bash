# Waiting, for all tests of bats: for what must come, for as long as a busy
# machine may take. Nothing sleeps and then looks.
WAIT=${WAIT:-60} # seconds

# wait_for COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + WAIT))
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "not within $WAIT s: $*"
			return 1
		fi
		sleep 0.1
	done
}

# has TEXT FILE
has() {
	grep -qe "$1" "$2" 2>/dev/null
}

# ended PID: whether init has taken note of it does not matter
ended() {
	! readlink "/proc/$1/exe" >/dev/null 2>&1
}

# A port of loopback that nobody has now, and that no connection gets by itself.
free_port() {
	python3 -c '
import random, socket
while True:
    try:
        port = random.randrange(10000, 32000)
        socket.create_server(("127.0.0.1", port)).close()
        print(port)
        break
    except OSError:
        pass'
}
