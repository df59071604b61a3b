# A zone on the network, as its operator sees it: two zones from one script get
# their names and addresses from the metadata service and reach each other and
# the host; a third that lies gets nothing through; nothing stays behind.
# BUILD, ENGINE, ZHYVE_BRANDS, ZHYVE_ZONEADMD: as of tests/cli/zones.bash;
# LINUX: folder made by tools/kernel.sh; LIAR, MDATA_GET: programs for guests;
# GUARD: bpf or nft.
load ../cli/zones.bash
load common.bash

# metadata NAME: a user-script, from standard input
metadata() {
	python3 - "$ROOT/zones/$1/config" <<-EOS
		import json, os, sys
		d = sys.argv[1]
		os.makedirs(d, exist_ok=True)
		st = os.stat(d)
		with open(d + "/new", "w") as f:
		    json.dump({"customer_metadata": {"user-script": '''$(cat)'''}, "internal_metadata": {}}, f)
		os.chmod(d + "/new", 0o600)
		os.chown(d + "/new", st.st_uid, st.st_gid)
		os.rename(d + "/new", d + "/metadata.json")
	EOS
}

# has_put NAME KEY VALUE; what it has put is in got
has_put() {
	got=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["customer_metadata"].get(sys.argv[2], ""))' \
		"$ROOT/zones/$1/config/metadata.json" "$2" 2>/dev/null) || got=
	[ "$got" = "$3" ]
}

# told NAME KEY VALUE: the guest has put that, soon
told() {
	local got
	! WAIT=${TOLD:-400} wait_for has_put "$@" || return 0
	echo "zone $1 said of $2: '$got', wanted '$3'"
	tail -n 40 "$ROOT/zones/$1/logs/console.log" "$ROOT/zones/$1/logs/platform.log"
	return 1
}

# drops NAME REASON N: the guard of its net0 has dropped so many
drops() {
	local got
	got=$(adm -z "$1" links -p net0 | awk -F: '{ print $NF }' | tr , '\n' | sed -n "s/^$2=//p")
	[ "${got:-0}" -ge "$3" ] || {
		echo "zone $1: $2 is '$got', wanted $3 at least"
		adm -z "$1" links
		return 1
	}
}

configure() {
	cfg -z "$1" <<-EOS
		create
		set zonepath=/zones/$1
		add vcpu; set ncpus=1; end
		add capped-memory; set guest=160M; end
		add guest
		set kernel=$LINUX/vmlinuz
		set initrd=$PWD/initrd.img
		set engine=$ENGINE
		set cmdline="console=ttyS0 quiet panic=-1"
		end
		add attr; set name=hostname; set type=string; set value=host-$1; end
		add attr; set name=resolvers; set type=string; set value=10.77.0.1; end
		add net
		set physical=net0
		set global-nic=external
		set mac-addr=$2
		set primary=true
		set ips=10.77.0.$3/24,fd00:77::$3/64
		set gateways=10.77.0.1
		${4:-}
		end
	EOS
	adm -z "$1" install
}

@test "two zones reach each other and the host; a third that lies reaches nobody" {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	[ -n "$LIAR" ] || skip "this build's programs for guests are not static (sanitizers)"
	inside metadata has_put told drops configure <<-'EOS'
		trap '[ -z "${sniff:-}" ] || kill "$sniff"' EXIT
		initrd "$LIAR"
		configure a 02:08:20:00:00:0a 5
		configure b 02:08:20:00:00:0b 6
		configure liar 02:08:20:00:00:0c 7 "set strict=true"
		for z in a b; do
			[ $z = a ] && peer=6 || peer=5
			metadata $z <<-SCRIPT
				#!/bin/sh
				mdata-put name "\$(hostname)"
				n=0
				until ping -c 1 -W 2 10.77.0.$peer && ping -c 1 -W 2 fd00:77::$peer; do
					n=\$((n + 1)); [ \$n -lt 60 ] || break
				done
				ping -c 1 -W 20 10.77.0.$peer && ping -c 1 -W 20 fd00:77::$peer && mdata-put peer reached
				ping -c 1 -W 20 10.77.0.1 && ping -c 1 -W 20 fd00:77::1 && mdata-put host reached
				mdata-put resolver "\$(cat /etc/resolv.conf)"
			SCRIPT
		done
		metadata liar <<-SCRIPT
			#!/bin/sh
			until [ "\$(mdata-get go)" = yes ]; do sleep 1; done
			liar eth0 02:08:20:00:00:0c 10.77.0.7 && mdata-put lied yes
			sleep 1000
		SCRIPT
		python3 "$BATS_TEST_DIRNAME/sniff.py" br0 "$PWD/marks" >/dev/null 2>&1 3>&- &
		sniff=$!
		for z in a b liar; do adm -z $z boot; done
		for z in a b; do
			told $z name host-$z
			told $z peer reached
			told $z host reached
			told $z resolver "nameserver 10.77.0.1"
			ping -c 1 -W 20 10.77.0.$([ $z = a ] && echo 5 || echo 6)
		done
		wait_for test -s marks
		python3 - "$ROOT/zones/liar/config/metadata.json" <<-PY
			import json, os, sys
			p = sys.argv[1]
			st = os.stat(p)
			d = json.load(open(p))
			d["customer_metadata"]["go"] = "yes"
			json.dump(d, open(p + ".mine", "w"))
			os.chmod(p + ".mine", 0o600)
			os.chown(p + ".mine", st.st_uid, st.st_gid)
			os.rename(p + ".mine", p)
		PY
		told liar lied yes
		shows 'TRUTH 5' marks
		cat marks
		grep -q 'LIE! 0' marks
		drops liar mac 5
		drops liar ipv4 5
		drops liar arp 5
		drops liar nd 5
		drops liar restricted 5 # the tag
		drops liar dhcp 5
		drops liar linklocal 5
		drops liar ra 5
		# the honest ones lost nothing
		! adm -z a links -p net0 | grep -E '(mac|restricted|ipv4|arp|nd|dhcp)=[1-9]'
		# it is told as well
		shows 'net0.*mac' "$ROOT/zones/liar/logs/platform.log"
		# what an operator allows holds at once
		cfg -z liar 'select net physical=net0; set allow-mac-spoofing=true; end'
		adm -z liar apply
		kill $sniff
		sniff=
		for z in a b liar; do
			adm -z $z halt
			adm -z $z uninstall -F
			cfg -z $z delete -F
		done
		[ -z "$(ip -o link show master br0)" ]
		[ -z "$(nft list tables 2>/dev/null)" ]
		nothing_left
	EOS
}
