# vmadm: manifests in, VMs out, and nothing left of what failed.
load vms.bash

@test "the example manifest, and what get and zonecfg say of it" {
	image 00000000-0000-0000-0000-000000000000
	cat >web.json <<'END'
{
  "brand": "bhyve", "alias": "web0", "hostname": "web0", "vcpus": 2, "ram": 1024,
  "uuid": "7a1ce6b0-3b5c-4c7e-9c39-5d8f2a64e0b1", "autoboot": false,
  "create_timestamp": "2026-11-23T00:00:00.000Z",
  "resolvers": ["10.77.0.1"],
  "disks": [
    { "boot": true, "model": "virtio", "image_uuid": "00000000-0000-0000-0000-000000000000", "image_size": 2048,
      "uuid": "00000000-0000-4000-8000-000000000001" },
    { "model": "virtio", "size": 1024, "uuid": "00000000-0000-4000-8000-000000000002" }
  ],
  "nics": [
    { "nic_tag": "external", "ips": ["10.77.0.5/24"], "gateways": ["10.77.0.1"], "vlan_id": 0, "primary": true,
      "model": "virtio", "mac": "02:08:20:00:11:22" }
  ],
  "customer_metadata": {
    "root_authorized_keys": "ssh-ed25519 AAAA... operator@example",
    "user-script": "#!/bin/sh\necho provisioned > /var/tmp/provisioned"
  }
}
END
	vm create -f web.json 2>.err
	[ "$(cat .err)" = "Successfully created VM $U" ]
	vm get "$U" | grep -v -e server_uuid -e last_modified >got
	diff -u "$GOLDEN/vmadm/web.json" got
	cfg -z "$U" export >export
	diff -u "$GOLDEN/vmadm/web.cfg" export
	cfg -z "$U" verify
	echo "external stub - 0" >"$ROOT/etc/zones/nictags"
	adm -z "$U" verify
	rm "$ROOT/etc/zones/nictags"
	cmp -n 3145728 "$ROOT/var/lib/zhyve/images/00000000-0000-0000-0000-000000000000.raw" \
		"$ROOT/var/lib/zhyve/zones/$U/disks/disk0"
	[ "$(stat -c %s "$ROOT/var/lib/zhyve/zones/$U/disks/disk0")" -eq $((2048 << 20)) ]
	[ "$(stat -c %a "$ROOT/var/lib/zhyve/zones/$U")" = 700 ]
	# what zonecfg does is seen
	cfg -z "$U" "select capped-memory; set guest=2G; end; select attr name=hostname; set value=w1; end"
	[ "$(vm list -p -o ram,hostname)" = 2048:w1 ]
	vm delete "$U"
	no_trace
}

@test "every fault in one answer, and nothing made" {
	echo '{"brand":"bhyve","alas":"a","ram":"x","disks":[{"size":0},{}],"nics":[{"ips":["1.2.3"]}]}' >bad.json
	refused 1 "vmadm: create: alas: there is no such property; did you mean 'alias'?
vmadm: create: ram: \"x\" is not a whole number
vmadm: create: disks.0.size: 0 is not in 1..1073741824
vmadm: create: disks.1.size: a disk has a size, or an image_uuid
vmadm: create: nics.0.ips: \"1.2.3\" is not address/prefix, dhcp or addrconf" create -f bad.json
	run vm validate create -f bad.json
	[ "$status" -eq 1 ]
	diff -u "$GOLDEN/vmadm/faults.json" <(echo "$output")
	echo '{"brand":"bhyve"}' | vm validate create | grep -qx "VALID 'create' payload for brand bhyve."
	echo '{"ram":1}' | vm validate update bhyve | grep -qx "VALID 'update' payload for brand bhyve."
	run vm validate update kvm -f bad.json
	[ "$status" -eq 1 ]
	echo "$output" | grep -q '"bad_brand": "kvm"'
	no_trace
}

@test "bad input, told and not half done" {
	echo '{' >cut.json
	refused 1 "vmadm: create: cut.json is no JSON: line 2, column *" create -f cut.json
	refused 1 "vmadm: create: none.json: No such file or directory" create -f none.json
	refused 2 "vmadm: start: Invalid or missing UUID for start
usage: vmadm start *" start
	refused 1 "vmadm: get: there is no VM '$U'" get "$U"
	refused 2 "vmadm: there is no command 'lst'; did you mean 'list'?
usage: *" lst
	refused 2 "vmadm: list: there is no field 'alas'; did you mean 'alias'?" list -o alas
	echo '{"brand":"bhyve","autoboot":false,"disks":[{"image_uuid":"'$U'"}]}' >a.json
	refused 1 "vmadm: create: disks.0: *$U*" create -f a.json
	image 00000000-0000-0000-0000-000000000000
	echo '{"brand":"bhyve","disks":[{"image_uuid":"00000000-0000-0000-0000-000000000000","image_size":2}]}' >a.json
	refused 1 "vmadm: create: disks.0: image_size: image 00000000-0000-0000-0000-000000000000 has 3 MiB, more than 2; give at least that, or leave it out" create -f a.json
	echo '{"brand":"bhyve","disks":[{"size":1,"zpool":"none"}]}' >a.json
	refused 1 "vmadm: create: *pool*none*" create -f a.json
	head -c 9999 /dev/urandom >garbage
	refused 1 "vmadm: receive: this is nothing that 'vmadm send' wrote" receive -f garbage
	no_trace
}

@test "what fails late is taken back" {
	# the kernel is not there: the boot fails after all was made
	echo '{"brand":"bhyve","ram":32,"engine":"soft","kernel":"/nowhere/kernel","disks":[{"size":1}],
		"customer_metadata":{"a":"b"}}' >a.json
	refused 1 "vmadm: create: boot: */nowhere/kernel: No such file or directory" create -f a.json
	no_trace
	# the second disk is that of another VM
	make first '"disks": [{"size": 1}]' "\"uuid\": \"$U\""
	echo '{"brand":"bhyve","disks":[{"size":1},{"size":1,"path":"/dev/zvol/rdsk/zones/'$U'/disk0"}]}' >a.json
	refused 1 "vmadm: create: disks.1: *disk0*" create -f a.json
	[ "$(vm list -H | wc -l)" -eq 1 ]
	[ -f "$ROOT/var/lib/zhyve/zones/$U/disks/disk0" ]
	refused 1 "vmadm: create: there is a VM $U already" create -f <(echo '{"brand":"bhyve","uuid":"'$U'"}')
	vm delete "$U"
	no_trace
}

@test "started, stopped, rebooted, deleted" {
	make a '"disks": [{"size": 1}]'
	[ "$(vm list -H -o state,autoboot)" = "stopped           false" ]
	vm start "$ID"
	[ "$(vm list -p -o state,autoboot,zone_state)" = running:true:running ]
	refused 1 "vmadm: start: VM $ID is running already" start "$ID"
	vm info "$ID" usage | grep -q '"cpu_ns": [1-9]'
	pid=$(vm lookup -1 -j -o pid alias=a | tr -dc 0-9)
	vm reboot -F "$ID"
	[ "$(vm lookup -1 -j -o pid alias=a | tr -dc 0-9)" -ne "$pid" ]
	refused 1 "vmadm: delete: VM $ID is running; stop it first, or delete it with -F" delete "$ID"
	refused 1 "vmadm: send: zone '$ID' is running: sending it is not possible" send "$ID"
	vm stop "$ID"
	[ "$(vm list -p -o state,autoboot)" = stopped:false ]
	refused 1 "vmadm: stop: VM $ID is stopped already" stop "$ID"
	vm start "$ID"
	vm sysrq "$ID" nmi # of which this guest dies
	becomes "$ID" installed
	vm events -n "$ID" | grep -q "\"zone\":\"$ID\".*\"to\":\"running\""
	vm start "$ID"
	vm delete -F "$ID"
	no_trace
	mkdir "$ROOT/zones" # where nothing_left looks
	nothing_left
}

@test "CDs and their order, for one boot" {
	truncate -s 1M cd.iso disk.img
	make a '"disks": [{"size": 1, "boot": true}]'
	refused 1 "vmadm: start: *order 'x'*" start "$ID" order=x
	vm start "$ID" cdrom="$PWD/cd.iso",virtio disk="$PWD/disk.img"
	cmd=$ROOT/run/zhyve/$ID/zhyve.cmd
	grep -aq "0:3:0,virtio-blk,$PWD/cd.iso,ro,bootindex=1" "$cmd"
	grep -aq "0:4:0,virtio-blk,/dev/zvol/rdsk/zones/$ID/disk0,bootindex=2" "$cmd"
	grep -aq "0:5:0,virtio-blk,$PWD/disk.img,bootindex=3" "$cmd"
	vm reboot -F "$ID"
	cmd=$ROOT/run/zhyve/$ID/zhyve.cmd
	! grep -aq -e cd.iso -e bootindex "$cmd"
	grep -aq "0:4:0,virtio-blk,/dev/zvol/rdsk/zones/$ID/disk0" "$cmd"
}

@test "SATA: a disk and a CD of the VM, and a CD for one boot" {
	[ -f "$LINUX-full/vmlinuz" ] || skip "no Debian kernel in $LINUX-full (tools/kernel.sh fetches it)"
	for cd in own once; do
		head -c 300000 /dev/urandom >"$cd"
		genisoimage -quiet -R -o "$cd.iso" "$cd"
	done
	echo "{\"brand\": \"bhyve\", \"alias\": \"a\", \"ram\": 192, \"autoboot\": false, \"engine\": \"$ENGINE\",
		\"kernel\": \"$LINUX-full/vmlinuz\", \"initrd\": \"$LINUX-full/initrd.img\",
		\"cmdline\": \"console=ttyS0 quiet panic=-1 zhyve.run=sata\",
		\"disks\": [{\"size\": 8, \"model\": \"ahci\"}, {\"path\": \"$PWD/own.iso\", \"model\": \"ahci\", \"media\": \"cdrom\"}]}" |
		vm create
	ID=$(vm lookup -1 alias=a)
	vm start "$ID" cdrom="$PWD/once.iso",ahci
	WAIT=300 becomes "$ID" installed
	log=$ROOT/var/lib/zhyve/zones/$ID/logs/console.log
	grep -q "disk sda 16384 sectors ro=0 model=BHYVE SATA DISK depth=32" "$log"
	grep -q "disk data same" "$log"
	for cd in own once; do
		grep -q "cd $(md5sum <$cd.iso | cut -d' ' -f1)" "$log"
	done
	vm start "$ID"
	WAIT=300 becomes "$ID" installed
	[ "$(grep -c " cd [0-9a-f]* " "$log")" -eq 3 ]
}

@test "list and lookup: fields, order, filters" {
	make b '"vcpus": 2' '"tags": {"role": "web", "a.b": "c"}'
	RAM=64 make a '"tags": {"role": "db"}'
	make c '"nics": [{"mac": "02:08:20:00:00:01", "ips": ["10.0.0.5/24"]}]'
	[ "$(vm list -p -o alias -s alias)" = "$(printf 'a\nb\nc')" ]
	[ "$(vm list -p -o alias -s -ram,alias)" = "$(printf 'a\nb\nc')" ]
	[ "$(vm list -p -o alias -s vcpus,-alias)" = "$(printf 'c\na\nb')" ]
	[ "$(vm list -p -o alias tags.role=web)" = b ]
	[ "$(vm list -p -o alias tags.a.b=c)" = b ]
	[ "$(vm list -p -o alias nics.*.ip=~^10)" = c ]
	[ "$(vm list -p -o alias alias=~'^[ab]$' ram=64)" = a ]
	[ "$(vm list | head -n 1)" = "UUID                                  TYPE  RAM      STATE             ALIAS" ]
	[ "$(vm list -H | wc -l)" -eq 3 ]
	[ "$(vm lookup | wc -l)" -eq 3 ]
	refused 1 "vmadm: lookup: Requested unique lookup but found 3 results." lookup -1
	refused 1 "vmadm: lookup: Requested unique lookup but found 0 results." lookup -1 alias=x
	[ "$(vm lookup -j -o alias ram=64 | tr -d ' \n')" = '[{"alias":"a"}]' ]
	refused 2 "vmadm: list: filters are field=value or field=~re
usage: *" list x
	# a guest's metadata writes nothing on a terminal but text
	vm update "$ID" set_customer_metadata='{"x": "a\u001b[2J\nb\u009bc"}'
	[ "$(vm list -p -o customer_metadata.x alias=c)" = 'a?[2J?b??c' ]
	# a damaged configuration hides nobody
	echo broken >"$ROOT/etc/zones/$ID.xml"
	[ "$(vm list -p -o uuid,state | grep -c "^$ID:stopped")" -eq 1 ]
	refused 1 "vmadm: get: *$ID.xml*" get "$ID"
	vm delete "$ID"
}

@test "zones of zonecfg are VMs, and are installed by vmadm" {
	cfg -z web "create; set zonepath=/zones/web
		add guest; set kernel=$GUESTS/idle.elf; set engine=$ENGINE; end
		add capped-memory; set guest=32M; end; add attr; set name=alias; set type=string; set value=w; end"
	[ "$(vm list -p -o zonename,state,ram,alias)" = web:configured:32:w ]
	vm install web
	[ "$(vm list -p -o state)" = stopped ]
	vm update web ram=40 alias=v
	vm start web
	[ "$(vm list -p -o zonename,state,ram,alias)" = web:running:40:v ]
	cfg -z web info capped-memory | grep -q 'guest: 40'
	vm stop web
	vm delete web
	no_trace
	[ ! -e "$ROOT/zones/web" ]
}

@test "provisioning: somebody works on it" {
	make a
	adm -z "$ID" mark incomplete
	[ "$(vm list -p -o state)" = incomplete ]
	python3 - "$ROOT/run/zhyve/$ID/admin.lock" 3>&- <<'END' &
import fcntl, struct, sys, time
f = open(sys.argv[1], "a")
fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
open("held", "w")
time.sleep(300)
END
	holder=$!
	wait_for test -e held
	[ "$(vm list -p -o state)" = provisioning ]
	refused 1 "vmadm: delete: another command works on zone '$ID'; try again when it is done" delete "$ID"
	kill $holder
	wait $holder || true
	vm delete "$ID"
	no_trace
}

@test "no terminal for JSON or streams" {
	for verb in create receive; do
		run python3 "$HERE/onpty.py" "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" $verb </dev/null
		[[ $output == *"standard input, which is a terminal"* ]]
	done
}

@test "input that comes late, by a descriptor that does not block" {
	make a
	cat >late.py <<'END'
import os, subprocess, sys, time
data = open(sys.argv[1], "rb").read()
r, w = os.pipe()
os.set_blocking(r, False)
p = subprocess.Popen(sys.argv[2:], stdin=r)
os.close(r)
for i in range(0, len(data), max(1, len(data) // 3)):
    time.sleep(0.2)
    os.write(w, data[i:i + max(1, len(data) // 3)])
os.close(w)
sys.exit(p.wait())
END
	echo '{"alias": "late"}' >u.json
	python3 late.py u.json "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" update "$ID"
	[ "$(vm list -p -o alias)" = late ]
	vm send "$ID" >stream
	vm delete "$ID"
	python3 late.py stream "$BUILD/cmd/vmadm/vmadm" -R "$ROOT" receive -F
	[ "$(vm list -p -o alias)" = late ]
}

@test "UUIDs on tab" {
	make a
	# shellcheck disable=SC1091
	. "$HERE/../../cmd/vmadm/vmadm.bash"
	vmadm() {
		vm "$@"
	}
	# tab WANT WORD...: what becomes of the last word
	tab() {
		local want=$1
		shift
		COMP_WORDS=(vmadm "$@") COMP_CWORD=$#
		_vmadm
		[ "${COMPREPLY[*]}" = "$want" ] || {
			echo "$*: ${COMPREPLY[*]}"
			return 1
		}
	}
	vm create-snapshot "$ID" before
	tab stop sto
	tab "$ID" stop "${ID:0:4}"
	tab "$ID" stop -F "${ID:0:4}"
	tab "" stop "$ID" "${ID:0:4}"
	tab before rollback-snapshot "$ID" b
	tab "" create-snapshot "$ID" b
	tab nmi sysrq "$ID" ""
	tab usage info "$ID" us
	tab update validate u
	tab receive help rece
	touch manifest.json
	tab manifest.json update "$ID" -f man
}

@test "UUIDs on tab: zsh" {
	[ -n "${ZSH:=$(command -v zsh)}" ] || skip "no zsh"
	export ZSH
	make a
	vm create-snapshot "$ID" before
	mkdir bin
	ln -s "$BUILD/cmd/vmadm/vmadm" bin
	touch manifest.json
	PATH=$PWD/bin:$PATH timeout 300 "$ZSH" -f "$HERE/tab.zsh" "$HERE/../../cmd/vmadm" "vmadm sto" "vmadm -R $ROOT stop ${ID:0:4}" \
		"vmadm -R $ROOT stop -F ${ID:0:4}" "vmadm -R $ROOT stop $ID ${ID:0:4}" "vmadm -R $ROOT rollback-snapshot $ID b" \
		"vmadm sysrq $ID n" "vmadm info $ID us" "vmadm validate u" "vmadm help rece" "vmadm update $ID -f man" </dev/null >got
	diff - got <<-END
		<vmadm stop >
		<vmadm -R $ROOT stop $ID >
		<vmadm -R $ROOT stop -F $ID >
		<vmadm -R $ROOT stop $ID ${ID:0:4}>
		<vmadm -R $ROOT rollback-snapshot $ID before >
		<vmadm sysrq $ID nmi >
		<vmadm info $ID usage >
		<vmadm validate update >
		<vmadm help receive >
		<vmadm update $ID -f manifest.json >
	END
}

@test "killed while it removes a VM: the next delete ends it" {
	for after in 1 2 4 7 11 16; do
		make a "\"uuid\": \"$U\"" '"disks": [{"size": 1}, {"size": 1}]'
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" delete "$U" 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		! vm get "$U" >/dev/null 2>&1 || vm delete "$U"
		no_trace
	done
}

@test "killed while it updates a VM: old or new" {
	for after in 1 2 4 7 11 16; do
		make a "\"uuid\": \"$U\"" '"disks": [{"size": 1}]'
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" update "$U" alias=b add_disks='[{"size": 2}]' \
			set_customer_metadata='{"k": "v"}' 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		case $(vm list -p -o alias,disks.*.size) in
		a:1 | b:1,2) ;;
		*) vm get "$U" && return 1 ;;
		esac
		cfg -z "$U" verify
		vm update "$U" ram=40
		vm delete "$U"
		no_trace
	done
}

@test "killed while it makes a VM: delete removes what is there" {
	for after in 1 2 4 6 8 11 15 20 30; do
		echo "{\"brand\":\"bhyve\",\"uuid\":\"$U\",\"autoboot\":false,\"disks\":[{\"size\":1},{\"size\":1}],
			\"customer_metadata\":{\"a\":\"b\"}}" >a.json
		"$BUILD/cmd/vmadm/vmadm" -R "$ROOT" create -f a.json 2>/dev/null &
		maker=$!
		sleep "0.00$after"
		kill -9 $maker 2>/dev/null || true
		wait $maker 2>/dev/null || true
		if vm get "$U" >/dev/null 2>&1; then
			vm list -H -o state | grep -q 'configured\|incomplete\|stopped'
			vm delete "$U"
		fi
		[ -z "$(vm list -H)" ]
		# whatever it left is in nobody's way
		vm create -f a.json
		vm delete "$U"
		no_trace
	done
}
