# zonecfg, end to end.
load zonecfg

U=8c1e5a0e-9a51-4c0c-8f2e-0f3bd1d0f3a4

@test "usage is exit status 2" {
	for args in "" "-z" "-Z" "-z a -f x info" "info"; do
		zonecfg $args
		[ "$status" -eq 2 ]
		[ -z "$out" ]
		[[ $err == *"usage: zonecfg"* ]]
	done
}

@test "help needs no zone and exits 0" {
	for args in help -h "help add" "help net" "help vlan-id" "help zone" "-z a help"; do
		zonecfg $args
		[ "$status" -eq 0 ]
		[ -n "$out" ]
		[ -z "$err" ]
	done
	refused 1 "help: 'nothing' is no command, resource or property" help nothing
}

@test "-b lists what a brand allows" {
	ok -b bhyve resources
	[[ $out == *net*disk*vcpu* ]]
	[[ $out != *security-flags* ]]
	ok -b bhyve properties
	[[ $out == *zonepath* ]]
	[[ $out != *ip-type* ]]
	ok -b bhyve properties net
	[[ $out == *vlan-id* ]]
	! grep -qx address .out
	refused 1 "there is no brand 'lx' in *; there are: bhyve*" -b lx resources
	refused 1 "'nett' is no resource; did you mean 'net'?" -b bhyve properties nett
	zonecfg -b bhyve
	[ "$status" -eq 2 ]
}

@test "help knows every resource, property and command" {
	zonecfg help
	for word in $(sed -n 's/^  \([a-z]*\) .*/\1/p; s/^Resources: //p' .out | tr -d ,); do
		ok help "$word"
	done
}

@test "zone names" {
	for name in -x a/b .a "a b" "$(printf 'a%.0s' {1..64})" ""; do
		refused 1 "'$name' is no zone name; *" -z "$name" info
	done
	refused 1 "the name 'global' is reserved" -z global info
	refused 1 "the name 'SUNWx' is reserved" -z SUNWx info
	make_zone "$(printf 'a%.0s' {1..63})"
}

@test "a zone is created, shown, changed and deleted" {
	refused 1 "info: there is no zone 'z'; 'create' begins one" -z z info
	make_zone z "add net; set physical=net0; end"
	[ "$(files)" = "index z.xml " ]
	grep -qx 'z:configured:/zones/z:' root/etc/zones/index
	ok -z z info brand
	[ "$out" = "brand: bhyve" ]
	ok -z z "select net physical=net0; set vlan-id=7; end"
	ok -z z info net
	[ "$out" = $'net:\n\tphysical: net0\n\tvlan-id: 7' ]
	ok -z z "set zonename=y"
	[ "$(files)" = "index y.xml " ]
	refused 1 "delete: zone 'y' would be deleted; there is nobody to ask: use 'delete -F'" -z y delete
	ok -z y delete -F
	[ "$(files)" = "index " ]
	[ ! -s root/etc/zones/index ]
}

@test "create: blank, template, another zone, default" {
	ok -z z "create -b; info brand; exit -F"
	[ "$out" = "brand: " ]
	refused 1 "brand is not set; *" -z z "create -b; set zonepath=/z; commit"
	ok -z z "create -t SYSbhyve; set zonepath=/zones/z; set bootargs=x"
	ok -z y "create -t z; set zonepath=/zones/y"
	ok -z y info bootargs
	[ "$out" = "bootargs: x" ]
	# addresses of Ethernet are each zone's own
	make_zone n "add net; set physical=net0; set vlan-id=7; set mac-addr=2:8:20:0:0:1; end"
	ok -z m "create -t n; set zonepath=/zones/m"
	ok -z m info net
	[ "$out" = $'net:\n\tphysical: net0\n\tvlan-id: 7' ]
	refused 1 "create: there is no zone or template 'nothing'" -z x create -t nothing
	refused 1 "create: */nosuch/SYSnosuch.xml: No such file or directory" -z x create -t SYSnosuch
	refused 2 "create: -a, -b, -t and -X exclude each other; usage: create *" -z x create -b -X
	refused 1 "create: zone 'z' exists, and would be replaced; *'create -F'" -z z create
	ok -z z "create -F; set zonepath=/zones/z"
	ok -z z info bootargs
	[ "$out" = "bootargs: " ]
}

@test "a template of the host comes before the brand's" {
	make_zone t "set bootargs=mine"
	mv root/etc/zones/t.xml root/etc/zones/SYSdefault.xml
	: >root/etc/zones/index
	ok -z z "create; set zonepath=/z; info bootargs; export"
	[[ $out == *"bootargs: mine"* ]]
}

@test "create -a takes a detached zone's configuration" {
	make_zone z "set bootargs=x; set uuid=$U"
	mkdir -p there
	mv root/etc/zones/z.xml there/SUNWdetached.xml
	rm root/etc/zones/index
	ok -z new "create -a $PWD/there"
	ok -z new export
	[[ $out == *"set zonepath=$PWD/there"* ]]
	[[ $out == *"set bootargs=x"* ]]
	[[ $out == *"set uuid=$U"* ]]
	refused 1 "create: /nowhere/SUNWdetached.xml: No such file or directory" -z n2 create -a /nowhere
}

@test "create -X registers a file that is there" {
	make_zone z
	rm root/etc/zones/index
	refused 1 "info: there is no zone*" -z z info
	ok -z z create -X
	ok -z z info zonepath
	refused 1 "create: zone 'z' exists*" -z z create -X
	refused 1 "create -X: */y.xml: No such file or directory" -z y create -X
}

@test "the SmartOS example loads, and exports the same statements" {
	ok -z vm -f "$GOLDEN/zone/smartos-vm.zonecfg"
	ok -z vm export
	printf '%s\n' "$out" | diff "$GOLDEN/zone/smartos-vm.zonecfg" -
	ok -z vm verify
}

@test "golden: what info, export and the XML make of each zone" {
	for f in "$GOLDEN"/zone/*.zonecfg; do
		name=$(basename "$f" .zonecfg)
		ok -z "$name" -f "$f"
		ok -z "$name" export
		diff -u "$f" .out
		ok -z "$name" info
		diff -u "$GOLDEN/zone/$name.info" .out
		sed 's/debugid="[0-9]*"/debugid="N"/' "root/etc/zones/$name.xml" |
			diff -u "$GOLDEN/zone/$name.xml" -
	done
}

@test "export | zonecfg -f - is the identity, for random zones" {
	for seed in $(seq 1 25); do
		"$ZONE_GEN" "$seed" "$ZHYVE_BRANDS" >first
		timeout 60 "$ZONECFG" -R root -z "z$seed" -f - <first
		"$ZONECFG" -R root -z "z$seed" export >second
		cmp first second
		"$ZONECFG" -R root -z "z$seed" delete -F
	done
}

@test "export -f writes a file" {
	make_zone z
	ok -z z export -f out.zonecfg
	[ -z "$out" ]
	zonecfg -z y -f out.zonecfg
	[ "$status" -eq 0 ]
	[ "$err" = "zonecfg: warning: zonepath: '/zones/z' is that of zone 'z'" ]
	refused 2 "no such option; usage: export *" -z z export -x
	refused 1 "*No such file or directory*" -z z export -f /nonexistent/x
}

@test "-u finds by UUID, and wins over -z" {
	make_zone z "set uuid=$U"
	make_zone y
	ok -u "$U" info zonename
	[ "$out" = "zonename: z" ]
	ok -u "${U^^}" -z y info zonename
	[ "$out" = "zonename: z" ]
	ok -u 00000000-0000-4000-8000-000000000000 -z y info zonename
	[ "$out" = "zonename: y" ]
	refused 1 "there is no zone with UUID 'x'" -u x info
}

@test "values are checked where they are given" {
	make_zone z
	refused 1 "autoboot: 'maybe' is wrong; it takes true or false" -z z set autoboot=maybe
	refused 1 "zonepath: 'x' must begin with '/'" -z z set zonepath=x
	refused 1 "brand: there is no brand 'lx' in *; there are: bhyve*" -z z set brand=lx
	refused 1 "ip-type: 'shared' cannot be; with brand bhyve it is always 'exclusive'" -z z set ip-type=shared
	refused 1 "limitpriv: 'net_acces' is no privilege; did you mean 'net_access'?" -z z set limitpriv=default,-net_acces
	refused 1 "'bootrgs' is no property of the zone; did you mean 'bootargs'?" -z z set bootrgs=x
	refused 1 "'debugid' is no property of the zone" -z z set debugid=9
	refused 1 "brand bhyve has no property 'fs-allowed'" -z z set fs-allowed=ufs
	refused 1 "zonename: 'a/b' is no zone name; *" -z z set zonename=a/b
	make_zone y
	refused 1 "zonename: there is a zone 'y' already" -z z set zonename=y
	refused 1 "zonepath: every zone must have one" -z z clear zonepath
	refused 1 "zonepath: '/dev' belongs to the host" -z z "set zonepath=/dev; verify"
}

@test "statements that are wrong in form are exit status 2" {
	make_zone z
	refused 2 "'sett' is no command; 'help' lists them; did you mean 'set'?" -z z sett a=b
	refused 2 "at '=b': a value is due; a value that holds '=' needs double quotes" -z z set bootargs=a=b
	refused 2 "at '\"a': the closing double quote is missing" -z z 'set bootargs="a'
	refused 2 "the line ends where a value is due" -z z set bootargs=
	refused 2 "set: takes property=value; usage: set property=value" -z z set bootargs
	refused 2 "add: takes one resource; *" -z z add
	refused 2 "add: takes a property and a value; *" -z z "add net; add property"
	refused 2 "clear: takes one property; *" -z z clear a b
	refused 2 "select: takes a resource; *" -z z select
	refused 2 "select: a property=value must say which one; *" -z z select net
	refused 2 "select: behind the resource come property=value; *" -z z select net x
	refused 2 "remove: takes a resource; *" -z z remove
	refused 2 "end: only inside a resource; *" -z z end
	refused 2 "cancel: only inside a resource; *" -z z cancel
	for verb in commit verify "revert -F" "delete -F" export create; do
		refused 2 "${verb% *}: not inside a resource; 'end' or 'cancel' it first; *" -z z "add net; $verb"
	done
	refused 2 "commit: takes no argument; *" -z z commit now
	refused 2 "exit: takes no argument; *" -z z exit now
	refused 2 "info: takes a property or a resource; *" -z z info a=b
}

@test "resources: add, select, remove, cancel, end" {
	make_zone z "add net; set physical=a; end; add net; set physical=b; end"
	refused 1 "add: 'nett' is no resource; did you mean 'net'?" -z z add nett
	refused 1 "add: brand bhyve has no resource 'security-flags'" -z z add security-flags
	refused 1 "net: there is one with physical 'a' already" -z z "add net; set physical=a; end"
	refused 1 "net: physical is missing, which is required" -z z "add net; end"
	refused 1 "net: 'vlan' is no property of resource net*" -z z "add net; set vlan=1"
	refused 1 "the input ends inside resource net; 'end' is missing" -z z "add net; set physical=c"
	refused 1 "select: there is no net like that" -z z select net physical=c
	ok -z z "add net; set physical=c; cancel; info net physical=c"
	[ -z "$out" ]
	refused 1 "select: there is more than one net like that; say more" -z z \
		"select net physical=a; set vlan-id=1; end; select net physical=b; set vlan-id=1; end; select net vlan-id=1"
	refused 1 "remove: there is no attr" -z z remove attr
	ok -z z remove -F attr
	refused 1 "remove: this removes 2 net resources; there is nobody to ask: use 'remove -F'" -z z remove net
	ok -z z remove net physical=a
	ok -z z info net
	[ "$out" = $'net:\n\tphysical: b' ]
	ok -z z "remove -F net"
	ok -z z info net
	[ -z "$out" ]
}

@test "lists: add, remove, set, clear" {
	make_zone z "add fs; set dir=/a; set special=/b; set type=lofs; add options ro; add options [a,\"b,c\"]; end"
	ok -z z info fs
	[[ $out == *$'options: ro\n\toptions: a\n\toptions: b,c' ]]
	ok -z z "select fs dir=/a; remove options a; end; info fs"
	[[ $out != *"options: a"* ]]
	refused 1 "fs: options: no such value in the list" -z z "select fs dir=/a; remove options zz"
	refused 1 "fs: options: the value is in the list already" -z z "select fs dir=/a; add options [n,ro]"
	ok -z z "select fs dir=/a; set options=[]; end; info fs"
	[[ $out != *options* ]]
	ok -z z "select fs dir=/a; set options=[x,y]; clear options; end; info fs"
	[[ $out != *options* ]]
	refused 1 "fs: dir: is no list; *" -z z "select fs dir=/a; add dir /x"
}

@test "resource controls and their aliases are one thing" {
	make_zone z "set cpu-shares=20; add capped-cpu; set ncpus=1.5; end; add capped-memory; set swap=1G; end"
	ok -z z export
	[[ $out == *$'set name=zone.cpu-cap\nadd value (priv=privileged,limit=150,action=deny)'* ]]
	[[ $out != *capped* ]]
	ok -z z "add capped-memory; set physical=2G; end"
	ok -z z info capped-memory
	[ "$out" = $'capped-memory:\n\tphysical: 2G\n\t[swap: 1G]' ]
	refused 1 "add: capped-memory: the zone has one already*use 'select capped-memory'" -z z add capped-memory
	ok -z z "remove rctl name=zone.cpu-cap; info capped-cpu"
	[ -z "$out" ]
	ok -z z "clear cpu-shares; info rctl"
	[[ $out != *cpu-shares* ]]
}

@test "first-class resources, and attrs that say the same" {
	make_zone z "add vcpu; set ncpus=2; end; add capped-memory; set guest=2G; end; add disk; set path=/d; set boot=true; end"
	ok -z z verify
	refused 1 "attr ram says '1024' and capped-memory guest says '2G'; remove one" -z z \
		"add attr; set name=ram; set type=string; set value=1024; end; commit"
	refused 1 "attr vcpus: value: 'many' is wrong; *" -z z \
		"remove vcpu; add attr; set name=vcpus; set type=string; set value=many; end"
}

@test "nothing is committed when a statement fails" {
	make_zone z
	printf 'set bootargs=x\n# comment\n\nset autoboot=maybe\nset bootargs=y\n' >f
	refused 1 "f:4: autoboot: 'maybe' is wrong; *" -z z -f f
	ok -z z info bootargs
	[ "$out" = "bootargs: " ]
	printf 'set bootargs=x\ncommit\nset autoboot=maybe\n' >f
	refused 1 "f:3: *" -z z -f f
	ok -z z info bootargs
	[ "$out" = "bootargs: x" ]
	printf 'set bootargs="a\nset b=c"' >f
	refused 2 "f:1: *closing double quote is missing" -z z -f f
	refused 1 "nofile: No such file or directory" -z z -f nofile
	printf 'set a\0b' >f
	refused 1 "f: holds a NUL byte" -z z -f f
}

@test "exit, revert, commit" {
	make_zone z
	ok -z z "set bootargs=x; exit -F; set bootargs=never"
	ok -z z info bootargs
	[ "$out" = "bootargs: " ]
	ok -z z "set bootargs=x; exit; sett"
	ok -z z info bootargs
	[ "$out" = "bootargs: x" ]
	refused 1 "revert: changes of zone 'z' would be lost; *" -z z "set bootargs=y; revert"
	ok -z z "set bootargs=y; revert -F; info bootargs"
	[ "$out" = "bootargs: x" ]
	refused 1 "revert: zone 'new' was never committed" -z new "create; revert"
	ok -z z "set bootargs=y; commit; set bootargs=z; exit -F"
	ok -z z info bootargs
	[ "$out" = "bootargs: y" ]
}

@test "an installed zone keeps brand and path, and is not deleted" {
	make_zone z
	sed -i 's/:configured:/:installed:/' root/etc/zones/index
	refused 1 "zonepath: cannot change: the zone is installed" -z z set zonepath=/other
	refused 1 "zone 'z' is installed; uninstall it before deleting it" -z z delete -F
	ok -z z set bootargs=x
	grep -q '^z:installed:' root/etc/zones/index
}

@test "a damaged file says where, and can be replaced or deleted" {
	make_zone z
	make_zone y
	echo '<zone name="z"><oops>' >root/etc/zones/z.xml
	refused 1 "root/etc/zones/z.xml:*: damaged XML: *" -z z info
	refused 1 "root/etc/zones/z.xml:*" -z z set bootargs=x
	ok -z z "create -F; set zonepath=/zones/z"
	ok -z z info
	echo '<zone name="other"/>' >root/etc/zones/y.xml
	refused 1 "root/etc/zones/y.xml:1: this is zone 'other', not 'y'" -z y info
	ok -z y delete -F
	[ "$(files)" = "index z.xml " ]
}

@test "standard input is a file of statements" {
	"$ZONECFG" -R root -z z <<-'END'
		create
		set zonepath=/zones/z
		add net
		set physical=a
		end
	END
	ok -z z info net
	[ -n "$out" ]
}

@test "an unwritable place is an error, and output to a full device" {
	refused 1 "nowhere/etc/zones: No such file or directory" -R nowhere -z z "create; set zonepath=/z"
	make_zone z
	[ -w /dev/full ] || skip "no /dev/full"
	run bash -c '"$0" -R root -z z export >/dev/full' "$ZONECFG"
	[ "$status" -eq 1 ]
}

@test "two at once: the second is told" {
	make_zone z
	mkfifo pipe
	"$ZONECFG" -R root -z z -f pipe 2>second.err 3>&- &
	exec 9>pipe # until it reads: it has the zone as it was
	ok -z z set bootargs=first
	echo 'set bootargs=second' >&9
	exec 9>&-
	wait $! && return 1
	grep -q "changed by somebody else" second.err || cat second.err
	ok -z z info bootargs
	[ "$out" = "bootargs: first" ]
}

@test "the brand's verify_cfg has a say, as a program and not a shell" {
	cp -r "$ZHYVE_BRANDS" brands
	export ZHYVE_BRANDS=$PWD/brands
	sed -i "s#<verify_cfg/>#<verify_cfg>$PWD/hook %z %R a;b</verify_cfg>#" brands/bhyve/config.xml
	refused 1 "brand bhyve: verify_cfg: $PWD/hook: No such file or directory" -z z "create; set zonepath=/z"
	cat >hook <<-'END'
		#!/bin/sh
		for word; do echo "<$word>"; done >"${0%/*}/said"
		cat "$4" >>"${0%/*}/said"
		exit $(cat "${0%/*}/status")
	END
	chmod +x hook
	echo 3 >status
	refused 1 "brand bhyve: verify_cfg: $PWD/hook: exit status 3" -z z "create; set zonepath=\"/z a; b\""
	[ -z "$(files)" ]
	echo 0 >status
	ok -z z "create; set zonepath=\"/z a; b\""
	head -4 said >words
	printf '<z>\n</z a; b>\n<a;b>\n</proc/self/fd/3>\n' | diff - words
	grep -q '<zone name="z" zonepath="/z a; b"' said
}

@test "-R: a link does not lead out of the root" {
	mkdir host
	ln -s "$PWD/host" root/etc
	refused 1 "root/etc: a symbolic link may lead out of the root" -z z "create; set zonepath=/z"
	rm root/etc
	mkdir root/etc
	ln -s "$PWD/host" root/etc/zones
	refused 1 "root/etc/zones: a symbolic link may lead out of the root" -z z "create; set zonepath=/z"
	[ -z "$(ls host)" ]
}
