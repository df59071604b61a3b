# A zone with a Debian kernel asks for its metadata on the port that zoneadm
# gives it: Debian's cloud-init, unmodified, and our tools. BUILD, LINUX (made by
# tools/kernel.sh), CLOUDINIT (made by tools/cloudinit.sh).
load ../cli/zones
export HERE=$BATS_TEST_DIRNAME/../cli MDATA=$BATS_TEST_DIRNAME

# In a network of its own, with the bridge that the nets name.
inside() {
	cat >inside.sh <<-'EOS'
		set -e
		. "$HERE/zones.bash"
		ip link set lo up
		ip link add br0 type bridge
		ip link set br0 mtu 9000 up
		cfg -z web "create; set zonepath=/zones/web
			add guest; set kernel=$PWD/vmlinuz; set initrd=$PWD/initrd; set engine=soft
			set cmdline=\"console=ttyS0 quiet panic=-1 mdata=identify,tools,network\"; end
			add capped-memory; set guest=1G; end
			add lpc; set com1=/dev/zconsole; set com2=socket,/tmp/vm.ttyb; end
			add net; set physical=net0; set global-nic=br0; set mac-addr=02:08:20:aa:bb:cc
			set ips=10.0.0.5/24,fd00:1::5/64; set gateways=10.0.0.1,fd00:1::1; set primary=true
			set mtu=1500; end
			add net; set physical=net1; set global-nic=br0; set mac-addr=02:08:20:aa:bb:cd
			set ips=192.168.7.5/24,fd00:2::5/64; set mtu=9000; end
			add attr; set name=hostname; set type=string; set value=web-1; end
			add attr; set name=resolvers; set type=string; set value=\"192.0.2.53,2001:db8::53\"; end
			add attr; set name=dns-domain; set type=string; set value=example.com; end"
		adm -z web install
		adm -z web ready
		python3 -B "$MDATA/zonemeta.py" fill "$ROOT/zones/web/config" "$ROOT/etc/zones"
		"$BUILD/cmd/zlogin/zlogin" -R "$ROOT" -C -d web </dev/null >console 2>&1 3>&- &
		login=$!
		adm -z web boot
		# meanwhile
		while [ -n "${KILL:-}" ] && [ -d "/proc/$login" ]; do
			! pkill -9 -f "/mdata -R $ROOT\$" || echo killed >>kills
			until pgrep -f "/mdata -R $ROOT\$" >/dev/null || [ ! -d "/proc/$login" ]; do sleep 0.1; done
			sleep 0.7
		done
		timeout 400 tail --pid=$login -f /dev/null || kill $login
		becomes web installed
		cp -r root/zones/web/config root/zones/web/logs .
		adm -z web uninstall -F
	EOS
	export ROOT BUILD WAIT KILL
	unshare -m -n bash inside.sh
}

guest() {
	[ -f "$LINUX/vmlinuz" ] || skip "no Debian kernel in $LINUX (tools/kernel.sh fetches it)"
	[ -f "$CLOUDINIT/done" ] || skip "no cloud-init in $CLOUDINIT (tools/cloudinit.sh fetches it)"
	cp "$LINUX/vmlinuz" vmlinuz
	PYTHONPATH=$MDATA python3 -B -c 'import image, sys; image.build(*sys.argv[1:])' initrd \
		"$LINUX" "$BUILD/cmd/mdata-guest/mdata-guest" "$CLOUDINIT"
}

asks() {
	[ -w /dev/net/tun ] || skip "no /dev/net/tun"
	guest
	inside || {
		cat console root/zones/web/logs/platform.log || true
		return 1
	}
	tr -d '\r' <console >out
	python3 -B "$MDATA/zonemeta.py" check out config || {
		tail -c 3000 out
		cat logs/platform.log
		return 1
	}
	nothing_left
}

@test "cloud-init and mdata-get in a zone" {
	asks
}

@test "the same with a server that is killed all the time" {
	KILL=1
	asks
	[ "$(wc -l <kills)" -ge 3 ]
}

# dmi COM2: boot with that; then "told" knows what SMBIOS told the guest
dmi() {
	cfg -z web "create; set zonepath=/zones/web
		add guest; set kernel=$PWD/vmlinuz; set initrd=$PWD/initrd; set engine=soft
		set cmdline=\"console=ttyS0 quiet panic=-1 mdata=dmi\"; end
		add capped-memory; set guest=512M; end
		add lpc; set com1=/dev/zconsole; set com2=$1; end"
	adm -z web install
	adm -z web boot
	WAIT=300 becomes web installed
	uuid=$(adm -z web list -p | cut -d: -f5)
	tr -d '\r' <"$ROOT/zones/web/logs/console.log" >out
	cat out
	adm -z web uninstall -F
	cfg -z web delete -F
}

told() {
	sed -n "s/.*product_$1=//p" out
}

@test "product, version and serial number tell of metadata, only where it is served" {
	guest
	dmi socket,/tmp/vm.ttyb
	[ "$(told name)" = "SmartDC HVM" ]
	[ "$(told version)" = "$(sed -n "s/^ *version: '\(.*\)',.*/\1/p" "$BATS_TEST_DIRNAME/../../meson.build")" ]
	[ "$(told serial)" = "$uuid" ]
	[ "$(told uuid)" = "$uuid" ]
	dmi none
	[ "$(told name)" = "zhyve HVM" ]
	[ "$(told version)" = "1.0" ]
	[ "$(told serial)" = "None" ]
	[ "$(told uuid)" = "$uuid" ]
	nothing_left
}
