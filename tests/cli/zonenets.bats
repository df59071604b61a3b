# Nets that cannot be, refused where it is first known: by zonecfg, by zoneadm
# verify, by the boot; and what is chosen for the others.
load zones

# denied TEXT STATEMENTS: zonecfg says it, and nothing is kept
denied() {
	local want="zonecfg: $1" got status=0
	got=$(cfg -z x "create; set zonepath=/zones/x; $2" 2>&1 >/dev/null) || status=$?
	if [ "$status" -ne 1 ] || [ "$got" != "$want" ] || [ -e "$ROOT/etc/zones/x.xml" ]; then
		printf 'zonecfg %s\nstatus %s: %s\nwanted: %s\n' "$2" "$status" "$got" "$want"
		return 1
	fi
}
net() {
	printf 'add net; set physical=%s; %s end; ' "$1" "${2:-}"
}

@test "zonecfg: values" {
	denied "net: vlan-id: 4095 is not in 0..4094" "$(net net0 'set vlan-id=4095;')"
	denied "net: mac-addr: '00:00:00:00:00:00' is nobody's address; clear it, and one is made" \
		"$(net net0 'set mac-addr=00:00:00:00:00:00;')"
	denied "net: mac-addr: '01:00:5e:00:00:01' is a multicast address; a link has its own" \
		"$(net net0 'set mac-addr=01:00:5e:00:00:01;')"
	denied "net: ips: '10.0.0.5' is wrong; it takes IP addresses with /prefix, dhcp, addrconf, commas between" \
		"$(net net0 'set ips=10.0.0.5;')"
	denied "net: gateways: '10.0.0.1/24' is wrong; it takes IP addresses without /prefix, commas between" \
		"$(net net0 'set gateways=10.0.0.1/24;')"
	denied "net: blocked-outgoing-ports: '20-10' is wrong; it takes ports and ranges, as 25,6000-6063" \
		"$(net net0 'set blocked-outgoing-ports=25,20-10;')"
	denied "net: maxbw: '1.5G' is wrong; it takes a number of Mbit/s, or with K, M or G behind it" \
		"$(net net0 'set maxbw=1.5G;')"
	denied "net: mtu: 100 is not in 576..9216" "$(net net0 'set mtu=100;')"
	denied "net net0: property mtu: 100 is not in 576..9216" \
		"$(net net0 'add property (name=mtu,value=100);')"
	denied "net: allowed-dhcp-cids: '0x1' is wrong; it takes DHCP client ids as 0x010203, commas between, or *" \
		"$(net net0 'set allowed-dhcp-cids=0x1;')"
	many=$(seq -s, -f 10.0.0.%g/24 1 21)
	denied "net: ips: more than 20 of them" "$(net net0 "set ips=$many;")"
}

@test "zonecfg: addresses that do not go together" {
	denied "net net0: ips: 10.0.0.0/24 is the address of the network itself" \
		"$(net net0 'set ips=10.0.0.0/24;')"
	denied "net net0: ips: 10.0.0.255/24 is the broadcast address of its network" \
		"$(net net0 'set ips=10.0.0.255/24;')"
	denied "net net0: gateways: 10.0.1.1 is in no network of ips" \
		"$(net net0 'set ips=10.0.0.5/24; set gateways=10.0.1.1;')"
	denied "net net1: ips: 10.0.0.5 is given to net net0 already" \
		"$(net net0 'set ips=10.0.0.5/24;') $(net net1 'set ips=10.0.0.5/16;')"
	denied "net net1: mac-addr '2:0:0:0:0:1' is that of net net0" \
		"$(net net0 'set mac-addr=02:00:00:00:00:01;') $(net net1 'set mac-addr=2:0:0:0:0:1;')"
	denied "net net1: primary: net net0 is the primary one already" \
		"$(net net0 'set primary=true;') $(net net1 'set primary=true;')"
	denied "net net0: vlan-id: there is none with global-nic slirp; clear it" \
		"$(net net0 'set global-nic=slirp; set vlan-id=7;')"
	denied "net net0: hostfwd: only with global-nic slirp; clear one" \
		"$(net net0 'set hostfwd="tcp::2222-:22";')"
	denied "attr hostname: value: 'a_b' is wrong; it takes parts of letters, digits and '-', 1 to 63 each, '.' between" \
		"add attr; set name=hostname; set type=string; set value=a_b; end"
}

@test "verify: a place that the host has not" {
	cfg -z web "create; set zonepath=/zones/web; $(net net0 'set global-nic=nowhere;')"
	want="net net0: global-nic: there is no bridge 'nowhere', and no NIC tag of that name; 'nictagadm add' makes one"
	refuses "zone 'web': $want" -z web verify
	refuses "zone 'web': $want" -z web install
	[ ! -e "$ROOT/zones/web" ]
	mkdir -p "$ROOT/etc/zones"
	echo "nowhere bridge nobr0 0" >"$ROOT/etc/zones/nictags"
	refuses "zone 'web': net net0: global-nic: NIC tag nowhere is bridge nobr0, which is not there" -z web verify
	echo "nowhere stub - 0" >"$ROOT/etc/zones/nictags"
	adm -z web verify
	# the loopback interface is there, whatever it is good for
	cfg -z web "select net physical=net0; set global-nic=lo; end"
	adm -z web verify
}

@test "verify: none primary, a slot taken" {
	cfg -z web "create; set zonepath=/zones/web; $(net net0) $(net net1)"
	refuses "zone 'web': none of the 2 nets is primary; set primary=true on the guest's first NIC" -z web verify
	cfg -z web "select net physical=net1; set primary=true; set pci-slot=31; end"
	refuses "zone 'web': net net1: slot 0:31:0 is taken by the LPC bridge; choose another pci-slot" -z web verify
	cfg -z web "select net physical=net1; clear pci-slot; end"
	adm -z web verify
	# verify chooses nothing
	[ -z "$(cfg -z web info net | grep -e mac-addr -e pci-slot)" ]
}

@test "an address of another zone that is installed" {
	zone web idle "$(net net0 'set mac-addr=02:08:20:00:00:01;')"
	cfg -z db "create; set zonepath=/zones/db
		$(net net7 'set mac-addr=2:8:20:0:0:1;')" 2>err
	want="net net7: mac-addr '2:8:20:0:0:1' is that of net net0 of zone 'web'; clear one, and another is made"
	grep -qxF "zonecfg: warning: $want" err
	refuses "zone 'db': $want" -z db verify
	refuses "zone 'db': $want" -z db install
	# it that was first is not disturbed
	adm -z web verify
	adm -z web ready
	adm -z web halt
	cfg -z db "select net physical=net7; clear mac-addr; end"
	adm -z db install
	# changed behind zonecfg's back: the boot sees it
	sed -i 's/physical="net7"/& mac-addr = '"'2:8:20:0:0:1'"'/' "$ROOT/etc/zones/db.xml"
	refuses "zone 'db': *: $want" -z db boot
	is db installed
}
