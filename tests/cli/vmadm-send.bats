# Disks from elsewhere: send, receive, reprovision.
load vms.bash

@test "sent to another root, received, and it boots" {
	image 00000000-0000-0000-0000-000000000000
	make a '"disks": [{"image_uuid": "00000000-0000-0000-0000-000000000000", "image_size": 64}, {"size": 8}]' \
		'"nics": [{"nic_tag": "x", "mac": "02:08:20:00:00:01"}]' '"customer_metadata": {"k": "v\n\"w\""}' '"tags": {"t": 1}'
	vm send "$ID" >stream 2>/dev/null
	vm get "$ID" | grep -v -e zonedid -e last_modified >one
	# sparse: not much more than the image
	[ "$(stat -c %s stream)" -lt 3500000 ]
	mkdir other
	HERE_ROOT=$ROOT ROOT=$PWD/other
	for cut in 0 15 16 100 5000 1000000 $(($(stat -c %s stream) - 1)); do
		head -c "$cut" stream >cut
		refused 1 "vmadm: receive: *" receive -F -f cut
		no_trace
	done
	python3 - <<'END'
d = bytearray(open("stream", "rb").read())
for i, at in enumerate((9, 20, 300, 200000, len(d) - 3)):
    e = bytearray(d)
    e[at] ^= 64
    open(f"flip{i}", "wb").write(e)
open("long", "wb").write(d + b"x")
END
	for f in flip0 flip1 flip2 flip3 flip4 long; do
		refused 1 "vmadm: receive: *" receive -F -f $f
		no_trace
	done
	refused 1 "vmadm: receive: kernel: '$GUESTS/idle.elf' is something of this host: *-F*" receive -f stream
	no_trace
	vm receive -F <stream
	vm get "$ID" | grep -v -e zonedid -e last_modified | diff one -
	for d in disk0 disk1; do
		cmp "$HERE_ROOT/var/lib/zhyve/zones/$ID/disks/$d" "$ROOT/var/lib/zhyve/zones/$ID/disks/$d"
		[ "$(du -k "$ROOT/var/lib/zhyve/zones/$ID/disks/$d" | cut -f1)" -lt 4000 ]
	done
	refused 1 "vmadm: receive: *$ID*" receive -F -f stream
	vm update "$ID" remove_nics='["02:08:20:00:00:01"]'
	vm start "$ID"
	vm delete -F "$ID"
	no_trace
	ROOT=$HERE_ROOT
}

@test "reprovision: another image on the boot disk, the others stay" {
	image 00000000-0000-0000-0000-000000000000
	make a '"disks": [{"size": 8, "boot": true}, {"size": 1}]'
	echo '{"image_uuid": "00000000-0000-0000-0000-000000000000"}' | vm reprovision "$ID"
	[ "$(vm list -p -o disks.*.size)" = 1,8 ]
	[ "$(vm list -p -o disks.1.boot)" = true ]
	cmp -n 3145728 "$ROOT/var/lib/zhyve/images/00000000-0000-0000-0000-000000000000.raw" \
		"$ROOT/var/lib/zhyve/zones/$ID/disks/disk2"
	[ ! -e "$ROOT/var/lib/zhyve/zones/$ID/disks/disk0" ]
	echo "{\"image_uuid\": \"$U\"}" >none.json
	refused 1 "vmadm: reprovision: *$U*" reprovision "$ID" -f none.json
	[ -e "$ROOT/var/lib/zhyve/zones/$ID/disks/disk2" ]
}

@test "a stream cannot reach files of the host" {
	# what send refuses already is sent by somebody else's program
	reached=0
	for what in "add disk; set path=/etc/shadow; set readonly=true; end" \
		"add device; set match=/etc/shadow; add property (name=model,value=\"virtio\"); add property (name=media,value=\"cdrom\"); end" \
		"add fs; set dir=/x; set special=/etc; set type=lofs; end" \
		"select lpc; set bootrom=/etc/shadow; end" \
		"add attr; set name=com3; set type=string; set value=/dev/mem; end" \
		"add guest; set initrd=/etc/shadow; end" \
		"add disk; set path=/dev/zvol/rdsk/zones/$U/disk0; set readonly=true; end"; do
		echo '{"brand": "bhyve", "autoboot": false, "disks": [{"size": 1}]}' | vm create
		ID=$(vm lookup -1)
		cfg -z "$ID" "$what"
		vm send "$ID" >stream
		mkdir other
		ROOT=$PWD/other refused 1 "vmadm: receive: * is something of this host: *" receive -f stream
		ROOT=$PWD/other no_trace
		rm -r other
		vm delete "$ID"
		reached=$((reached + 1))
	done
	[ "$reached" -eq 7 ]
}
