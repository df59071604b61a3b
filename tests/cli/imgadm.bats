# imgadm: images come in by files and URLs, or not at all.
BUILD=${BUILD:-$BATS_TEST_DIRNAME/../../build}
IMGADM=$BUILD/cmd/imgadm/imgadm
HERE=$BATS_TEST_DIRNAME
load wait
U=1d5b8e7c-c004-4f69-bf0c-c98918e35bd5

# d.raw: 8 MiB of random bytes, text, zeros; packed in each format. Made once.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	head -c 3M /dev/urandom >d.raw
	seq 400000 | head -c 2M >>d.raw
	head -c 3M /dev/zero >>d.raw
	zstd -qk d.raw
	gzip -k d.raw
	xz -0 -k d.raw
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	F=$BATS_FILE_TMPDIR
	ROOT=$PWD/root
	IMAGES=$ROOT/var/lib/zhyve/images
	unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY CURL_CA_BUNDLE SSL_CERT_FILE
}

teardown() {
	[ -z "${SERVER:-}" ] || kill "$SERVER"
}

img() {
	timeout -k 5 120 "$IMGADM" -R "$ROOT" "$@"
}

# refuses TEXT ARG...: status 1, just that line. '*' stands for anything.
refuses() {
	local want="imgadm: $1" got status=0
	shift
	got=$(img "$@" 2>&1 >/dev/null) || status=$?
	# shellcheck disable=SC2053
	if [ "$status" -ne 1 ] || [[ $got != $want ]]; then
		printf 'imgadm %s\nstatus %s: %s\nwanted: %s\n' "$*" "$status" "$got" "$want"
		return 1
	fi
}

# holds NAME...: the folder of images has these files and no others
holds() {
	local got
	got=$(cd "$IMAGES" 2>/dev/null && echo *)
	[ "$got" = "${*:-*}" ] || [ -z "$got$*" ] || {
		echo "there: $got; wanted: $*"
		return 1
	}
}

# The image is there, its disk is FILE's bytes, with holes where zeros are.
is_right() {
	cmp "$IMAGES/$U.raw" "$1"
	img verify -q $U
	holds $U.json $U.raw
	[ "$(stat -c '%b' "$IMAGES/$U.raw")" -lt 11000 ]
}

# serve [CERTIFICATE KEY]
serve() {
	mkdir -p web
	rm -f port
	mode "etag=\"one\""
	python3 "$HERE/httpd.py" web port "$@" 2>httpd.err 3>&- &
	SERVER=$!
	wait_for test -s port
	URL=http://127.0.0.1:$(cat port)
	cp "$F/d.raw.zst" web/d.zst
}

mode() {
	echo "$*" >web/mode.new
	mv web/mode.new web/mode
}

# An authority that nobody knows, and what it says of NAME: ca.pem, NAME.pem, NAME.key
certificates() {
	local name
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj "/CN=an authority of a test" \
		-addext basicConstraints=critical,CA:TRUE 2>/dev/null
	for name in "$@"; do
		openssl req -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" 2>/dev/null
		openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out "$name.pem" \
			-extfile <(echo "subjectAltName=DNS:$name") 2>/dev/null
	done
}

@test "https: the server is who it says, or nothing comes of it" {
	command -v openssl >/dev/null || skip "no openssl"
	certificates localhost elsewhere.example
	serve localhost.pem localhost.key
	url=https://localhost:${URL##*:}
	# who nobody vouches for
	refuses "$url/d.zst: *certificate*; CURL_CA_BUNDLE=FILE names an authority of your own" import -u $U "$url/d.zst"
	holds
	[ ! -e web/log ]
	CURL_CA_BUNDLE=ca.pem img import -q -u $U "$url/d.zst"
	is_right "$F/d.raw"
	img delete $U
	SSL_CERT_FILE=ca.pem img import -q -u $U "$url/d.zst"
	is_right "$F/d.raw"
	img delete $U
	# the address is not in the certificate
	CURL_CA_BUNDLE=ca.pem refuses "https://127.0.0.1:${URL##*:}/d.zst: *127.0.0.1*" import -u $U "https://127.0.0.1:${URL##*:}/d.zst"
	CURL_CA_BUNDLE=none.pem refuses "$url/d.zst: *none.pem*" import -u $U "$url/d.zst"
	# no way back to less
	mode "to=http://127.0.0.1:1"
	CURL_CA_BUNDLE=ca.pem refuses "$url/to/d.zst: *http*" import -u $U "$url/to/d.zst"
	kill $SERVER
	# another's certificate
	serve elsewhere.example.pem elsewhere.example.key
	url=https://localhost:${URL##*:}
	CURL_CA_BUNDLE=ca.pem refuses "$url/d.zst: *localhost*" import -u $U "$url/d.zst"
	# a server without TLS
	kill $SERVER
	serve
	refuses "https://localhost:${URL##*:}/d.zst: *" import -u $U "https://localhost:${URL##*:}/d.zst"
	holds
}

@test "each format, found by its bytes and not by its name" {
	for kind in raw raw.zst raw.gz raw.xz; do
		cp "$F/d.$kind" image
		[ "$(img import -u $U -n "n-$kind" -v 2 image)" = "image $U: n-$kind 2" ]
		is_right "$F/d.raw"
		img delete $U
		holds
	done
	cat "$F/d.raw.gz" "$F/d.raw.gz" >two
	img import -q -u $U "file://$PWD/two"
	cat "$F/d.raw" "$F/d.raw" | cmp - "$IMAGES/$U.raw"
}

@test "the manifest of what is there" {
	img import -q -u $U -n web -v 1.2 -o linux -d "a server" "$F/d.raw.zst"
	python3 - "$IMAGES/$U.json" "$(stat -c %s "$F/d.raw.zst")" <<-'EOS'
		import json, sys
		m = json.load(open(sys.argv[1]))
		assert m["uuid"] == "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
		assert (m["name"], m["version"], m["os"]) == ("web", "1.2", "linux")
		assert (m["v"], m["type"], m["image_size"]) == (2, "zvol", 8)
		assert m["description"] == "a server"
		assert m["files"] == [{"size": int(sys.argv[2]), "compression": "zstd"}], m["files"]
		assert m["disk"]["size"] == 8 << 20 and len(m["disk"]["xxh128"]) == 32
		assert m["requirements"] == {"brand": "bhyve"}
	EOS
	img get web | python3 -c "import json, sys; j = json.load(sys.stdin); assert j['manifest']['name'] == 'web' and j['size'] == 8 << 20 and j['used'] < 6 << 20"
	[ "$(img list -H -o uuid,name,version,os,size)" = "$U  web               1.2         linux            8" ]
	[ "$(img list -o name,version)" = "NAME              VERSION
web               1.2" ]
	img list -j | python3 -c "import json, sys; assert len(json.load(sys.stdin)) == 1"
	img info web@1.2 | grep -q '^size         8.0 MiB (8388608 bytes)$'
	[ "$(img info 1d5b | sed -n 's/^disk  *//p')" = "$IMAGES/$U.raw" ]
}

@test "found by UUID, its beginning, name, name and version" {
	img import -q -u $U -n a -v 1 "$F/d.raw.zst"
	img import -q -u 1e5b8e7c-c004-4f69-bf0c-c98918e35bd5 -n a -v 2 "$F/d.raw.zst"
	for what in $U 1D5B8E7C-C004-4F69-BF0C-C98918E35BD5 1d a@1; do
		img info "$what" | grep -q "^uuid  *$U"
	done
	refuses "'a' could be image $U or 1e5b8e7c-c004-4f69-bf0c-c98918e35bd5: say which" get a
	refuses "'1' could be image $U or 1e5b8e7c-c004-4f69-bf0c-c98918e35bd5: say which" get 1
	refuses "there is no image 'b'; 'imgadm list' shows all" get b
	refuses "there is no image '../x'; 'imgadm list' shows all" delete ../x
	refuses "image $U is there already" import -u $U "$F/d.raw"
	img delete a@1
	[ "$(img list -H -o name,version)" = "a                 2" ]
	refuses "there is no image '$U'; 'imgadm list' shows all" delete $U
}

@test "bad disks: the text, and nothing left" {
	head -c 2M "$F/d.raw.zst" >cut.zst
	head -c 2M "$F/d.raw.gz" >cut.gz
	head -c 2M "$F/d.raw.xz" >cut.xz
	head -c 1000 "$F/d.raw" >odd
	: >empty
	cp "$F/d.raw.zst" bad.zst
	printf XXXX | dd of=bad.zst bs=1 seek=1M conv=notrunc status=none
	cp "$F/d.raw.gz" bad.gz
	printf 'XXXX' | dd of=bad.gz bs=1 seek=1M conv=notrunc status=none
	{ cat "$F/d.raw.zst"; echo more; } >more.zst
	{ cat "$F/d.raw.xz"; echo more text behind it; } >more.xz
	{ printf 'QFI\373'; head -c 4M /dev/zero; } >x.qcow2
	tar cf x.tar odd
	{ printf '\0\0\0\0\0\0\0\0\254\313\272\365\002\0\0\0'; head -c 1M /dev/zero; } >x.zfs
	refuses "cut.zst is cut off: its end is missing (zstd)" import cut.zst
	refuses "cut.gz is cut off: its end is missing (gzip)" import cut.gz
	refuses "cut.xz is cut off: its end is missing (xz)" import cut.xz
	refuses "bad.zst is damaged: zstd: *" import bad.zst
	refuses "bad.gz is damaged: gzip: *" import bad.gz
	refuses "more.zst is damaged: zstd: Unknown frame descriptor" import more.zst
	refuses "more.xz is damaged: xz: *" import more.xz
	refuses "empty is empty" import empty
	refuses "odd: a disk of 1000 bytes is none, or cut off: not a multiple of 512" import odd
	refuses "x.qcow2 is a qcow2 disk; make it raw with 'qemu-img convert -O raw'" import x.qcow2
	refuses "x.tar is a tar archive, no disk; unpack it first" import x.tar
	refuses "x.zfs is a ZFS stream, no raw disk" import x.zfs
	refuses "nowhere: No such file or directory" import nowhere
	refuses ".: neither a file nor a block device" import .
	refuses "ftp://h/x: a source is a path, or an http, https or file URL" import ftp://h/x
	sum=$(sha256sum <"$F/d.raw.zst")
	none=$(printf '%064d' 0)
	refuses "$F/d.raw.zst: its sha256 is ${sum%% *}, it should be $none: damaged or another file" \
		import -s "$none" "$F/d.raw.zst"
	holds
	refuses "sha256 'x' is not 64 hexadecimal digits" import -s x "$F/d.raw"
	refuses "'x' is no UUID" import -u x "$F/d.raw"
	refuses "name must be a text of 1 to 512 bytes" import -n "" "$F/d.raw"
	holds
}

@test "manifests: what they claim is checked" {
	img import -q -u $U -n web "$F/d.raw"
	img export -q -o out web
	[ "$(img verify web)" = "image $U: web 1: right" ]
	img delete web
	img import -q -m out.json out.raw.zst
	is_right "$F/d.raw"
	img delete web
	# try NAME EXPRESSION: out.json, changed
	try() {
		python3 -c "import json, sys; m = json.load(open('out.json')); $2; json.dump(m, open('$1', 'w'))"
	}
	try small 'm["image_size"] = 7'
	try large 'm["image_size"] = 9'
	try short 'm["files"][0]["size"] += 1'
	try nouuid 'del m["uuid"]'
	try uuid 'm["uuid"] = "../../x"'
	try type 'm["type"] = "zone-dataset"'
	try name 'm["name"] = 7'
	try nul 'm["name"] = "a\0b"'
	try files 'm["files"] = []'
	try sha 'm["files"][0]["sha256"] = "12"'
	try neg 'm["image_size"] = -1'
	try wrong 'm["files"][0]["sha256"] = "0" * 64'
	echo '[]' >list
	echo '{' >brace
	size=$(stat -c %s out.raw.zst)
	refuses "out.raw.zst: the disk is larger than the 7 MiB of its manifest" import -m small out.raw.zst
	refuses "out.raw.zst: the disk has 8388608 bytes, its manifest says 9 MiB" import -m large out.raw.zst
	refuses "out.raw.zst has $size bytes, its manifest says $((size + 1))" import -m short out.raw.zst
	refuses "out.raw.zst: its sha256 is * it should be 0000*: damaged or another file" import -m wrong out.raw.zst
	refuses "nouuid: 'uuid' is missing: a UUID" import -m nouuid out.raw.zst
	refuses "uuid: 'uuid' must be a UUID" import -m uuid out.raw.zst
	refuses "type: 'type' must be \"zvol\", a disk" import -m type out.raw.zst
	refuses "name: 'name' must be a text of 1 to 512 bytes" import -m name out.raw.zst
	refuses "nul: no manifest: line 1: *" import -m nul out.raw.zst
	refuses "files: 'files' must be a list of one file" import -m files out.raw.zst
	refuses "sha: 'files.0.sha256' must be 64 hexadecimal digits" import -m sha out.raw.zst
	refuses "neg: 'image_size' must be a number of MiB, 1 to 16777216" import -m neg out.raw.zst
	refuses "list: no manifest: not an object" import -m list out.raw.zst
	refuses "brace: no manifest: line *" import -m brace out.raw.zst
	holds
	# what SmartOS writes: sha1
	try sha1 'm["files"] = [{"sha1": "'"$(sha1sum <out.raw.zst | cut -c1-40)"'", "size": '"$size"'}]'
	img import -q -m sha1 out.raw.zst
	is_right "$F/d.raw"
}

@test "export and import again, in each format" {
	img import -q -u $U -n web "$F/d.raw"
	for c in none gzip xz zstd; do
		img export -q -c $c -o "x-$c" web
		refuses "x-$c.json is there already" export -c $c -o "x-$c" web
	done
	cmp x-none.raw "$F/d.raw"
	[ "$(stat -c %b x-none.raw)" -lt 11000 ]
	zstd -dqc x-zstd.raw.zst | cmp - "$F/d.raw"
	gzip -dc x-gzip.raw.gz | cmp - "$F/d.raw"
	xz -dc x-xz.raw.xz | cmp - "$F/d.raw"
	for c in none gzip xz zstd; do
		img delete $U
		img import -q -m x-$c.json x-$c.raw*
		is_right "$F/d.raw"
	done
	refuses "there is no compression 'bz': none, gzip, xz or zstd" export -c bz -o y web
	refuses "/nowhere/y.raw.zst.new: No such file or directory" export -o /nowhere/y web
	run ls
	[[ $output != *new* ]]
}

@test "a disk that changed is told" {
	img import -q -u $U -n web "$F/d.raw"
	printf X | dd of="$IMAGES/$U.raw" bs=1 seek=5000000 conv=notrunc status=none
	refuses "image $U: the xxh128 of its disk is *, it should be *: delete it and import it again" verify web
	truncate -s 4M "$IMAGES/$U.raw"
	refuses "image $U: its disk has 4194304 bytes, it should have 8388608" verify
	rm "$IMAGES/$U.raw"
	refuses "image $U has no disk: there is no $IMAGES/$U.raw; delete it and import it again" verify $U
	echo '{' >"$IMAGES/$U.json"
	[ "$(img list -H -o uuid,published)" = "$U  damaged" ]
	refuses "$IMAGES/$U.json: no manifest: *" get $U
	img delete $U
	holds
}

@test "a full disk leaves nothing" {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	mkdir root
	status=0
	unshare -m sh -c "mount -t tmpfs -o size=4m tmpfs root && cd '$F' &&
		'$IMGADM' -R '$ROOT' import d.raw.zst; echo status \$?; find '$ROOT' -type f" >out 2>&1 || status=$?
	cat out
	[ "$status" -eq 0 ]
	grep -qx 'imgadm: cannot write the disk of d.raw.zst: No space left on device' out
	[ "$(tail -n 1 out)" = "status 1" ]
}

@test "an import that was killed leaves no image, and the next one cleans up" {
	serve
	mode 'etag="one" cut=100000 noranges'
	"$IMGADM" -R "$ROOT" import -u $U "$URL/d.zst" 2>/dev/null 3>&- &
	pid=$!
	wait_for test -s "$IMAGES/$U.part"
	kill -9 $pid 2>/dev/null || true
	wait $pid || true
	[ -z "$(img list -H)" ]
	[ ! -e "$IMAGES/$U.json" ]
	mode 'etag="one"'
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
	tail -n 1 web/log | grep -q 'bytes=[1-9][0-9]*- "one" 206'
	# others' leftovers, too
	touch "$IMAGES/${U/1d/2d}.new" "$IMAGES/${U/1d/3d}.raw" "$IMAGES/${U/1d/4d}.part"
	refuses "nowhere: No such file or directory" import nowhere
	holds $U.json $U.raw
}

@test "two imports of one image: the second is told" {
	cat >hold.py <<-EOS
		import fcntl, os, struct, time
		os.makedirs("$IMAGES")
		f = open("$IMAGES/$U.new", "w+")
		# F_OFD_SETLK, as makers do
		fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
		open("locked", "w").close()
		time.sleep(100)
	EOS
	python3 hold.py 3>&- &
	SERVER=$!
	wait_for test -e locked
	refuses "another command imports image $U" import -u $U "$F/d.raw"
	refuses "image $U is being imported" delete $U
	kill $SERVER
	wait $SERVER || true
	SERVER=
	img import -q -u $U "$F/d.raw"
	is_right "$F/d.raw"
}

@test "from a URL, with its manifest" {
	serve
	img import -q -u $U -n web "$F/d.raw"
	img export -q -o web/out web
	img delete web
	img import -q -m "$URL/out.json" "$URL/out.raw.zst"
	is_right "$F/d.raw"
	img delete web
	img import -q -u $U "$URL/to/d.zst"
	is_right "$F/d.raw"
	img delete $U
	refuses "$URL/none: HTTP status 404" import -u $U "$URL/none"
	refuses "$URL/none: HTTP status 404" import -m "$URL/none" "$URL/d.zst"
	mode down
	refuses "$URL/d.zst: HTTP status 503" import -u $U "$URL/d.zst"
	holds
	mode nolength
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
}

@test "a connection that is cut again and again: each time it goes on" {
	serve
	mode 'etag="one" cut=700000'
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
	[ "$(grep -c ' "one" 206$' web/log)" -ge 4 ]
	img delete $U
	mode 'modified=Mon,_23_Nov_2026_00:00:00_GMT cut=1500000'
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
	grep -q 'bytes=1500000- Mon, 23 Nov 2026 00:00:00 GMT 206$' web/log
}

@test "a server that goes away: what came is kept, and the next import goes on" {
	serve
	mode 'etag="one" cut=1000000 then down'
	refuses "$URL/d.zst: HTTP status 503; 1000000 bytes are kept: import it again to go on, or delete $U" \
		import -u $U "$URL/d.zst"
	holds $U.part $U.part.json
	[ -z "$(img list -H)" ]
	: >web/log
	mode 'etag="one"'
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
	[ "$(cat web/log)" = '/d.zst bytes=1000000- "one" 206' ]
}

@test "no UUID was given: the part's is taken up" {
	serve
	mode 'etag="one" cut=1000000 then down'
	refuses "*HTTP status 503; 1000000 bytes are kept: *" import "$URL/d.zst"
	uuid=$(cd "$IMAGES" && echo *.part)
	uuid=${uuid%.part}
	mode 'etag="one"'
	[ "$(img import "$URL/d.zst")" = "image $uuid: d 1" ]
	holds "$uuid.json" "$uuid.raw"
}

@test "another file by now: everything anew, or it is told" {
	serve
	mode 'etag="one" cut=1000000 then down'
	refuses "*1000000 bytes are kept*" import -u $U "$URL/d.zst"
	cp "$F/d.raw.gz" web/d.zst
	mode 'etag="two"'
	img import -q -u $U "$URL/d.zst"
	is_right "$F/d.raw"
	img delete $U
	: >web/log
	mode 'etag="two" cut=1000000 then etag="three"'
	refuses "$URL/d.zst: it changed while it was fetched; import it again" import -u $U "$URL/d.zst"
	holds
}

@test "a server that cannot go on: nothing is kept" {
	serve
	mode 'cut=1000000'
	refuses "$URL/d.zst: *" import -u $U "$URL/d.zst"
	holds
	# a weak tag names no bytes
	mode 'etag=W/"one" cut=1000000'
	refuses "$URL/d.zst: *" import -u $U "$URL/d.zst"
	holds
	mode 'etag="one" cut=1000000 odd'
	refuses "$URL/d.zst: the server sent another range than it was asked for" import -u $U "$URL/d.zst"
	holds
}

@test "what came is whole, but not what it should be: nothing is kept" {
	serve
	head -c 2M "$F/d.raw.zst" >web/d.zst
	refuses "$URL/d.zst is cut off: its end is missing (zstd)" import -u $U "$URL/d.zst"
	holds
	refuses "$URL/d.zst: its sha256 is *" import -u $U -s "$(printf '%064d' 1)" "$URL/d.zst"
	holds
}

@test "an interrupted host: the part is taken only if a hash will judge it" {
	serve
	for round in 1 2; do
		mode 'etag="one" cut=1000000 then down'
		: >web/log
		sum=$(sha256sum <"$F/d.raw.zst")
		[ $round = 1 ] && set -- || set -- -s "${sum%% *}"
		refuses "*1000000 bytes are kept*" import -u $U "$@" "$URL/d.zst"
		sed -i 's/"boot": ".*"/"boot": "another"/' "$IMAGES/$U.part.json"
		: >web/log
		mode 'etag="one"'
		img import -q -u $U "$@" "$URL/d.zst"
		is_right "$F/d.raw"
		[ $round = 2 ] || [ "$(cat web/log)" = '/d.zst - - 200' ]
		[ $round = 1 ] || [ "$(cat web/log)" = '/d.zst bytes=1000000- "one" 206' ]
		img delete $U
	done
}

@test "progress is for a terminal" {
	serve
	img import -u $U "$F/d.raw.zst" 2>err
	[ ! -s err ]
	img delete $U
	# 8 MiB are gone in a moment: the server is slow instead
	script -qec "'$IMGADM' -R '$ROOT' import -u $U '$F/d.raw.zst'" /dev/null >seen </dev/null
	grep -q "image $U: d 1" seen
	grep -q 'import \[[#.]*\] *[0-9]*%  [0-9.]* [KMG]iB  [0-9.]* [KMG]iB/s  ETA [0-9:]*' seen
	img delete $U
	script -qec "'$IMGADM' -R '$ROOT' import -q -u $U '$F/d.raw.zst'" /dev/null >seen </dev/null
	! grep -q import seen
}

@test "an image of a stopped zone's boot disk" {
	[ "$(id -u)" -eq 0 ] || skip "zones need root"
	export ZHYVE_BRANDS=${ZHYVE_BRANDS:-$BUILD/brands} ZHYVE_ZONEADMD=/nonexistent
	disk=/dev/zvol/rdsk/zones/$U
	mkdir root
	"$BUILD/cmd/zonecfg/zonecfg" -R "$ROOT" -z a "create; set zonepath=/zones/a; set uuid=$U
		add guest; set kernel=/x; end; add capped-memory; set guest=32M; end
		add disk; set path=$disk/data; set size=1M; end
		add disk; set path=$disk/disk0; set boot=true; end"
	refuses "zone 'a': it is configured; an image can be made of a zone that is installed and does not run" create a
	"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a install -i "raw,$F/d.raw"
	cmp "$ROOT/var/lib/zhyve/zones/$U/disks/disk0" "$F/d.raw"
	[ "$(img create -u $U -v 3 -o linux a)" = "image $U: a 3" ]
	is_right "$F/d.raw"
	refuses "there is no zone 'b'*" create b
	"$BUILD/cmd/zoneadm/zoneadm" -R "$ROOT" -z a uninstall -F
	[ ! -e "$ROOT/var/lib/zhyve/zones/$U" ]
	[ ! -e "$ROOT/zones/a" ]
}

@test "usage" {
	run img
	[ "$status" -eq 2 ]
	run img --help
	[ "$status" -eq 0 ]
	[[ ${lines[0]} = "usage: imgadm [-R root] command [argument ...]" ]]
	run img lst
	[ "$status" -eq 2 ]
	[ "${lines[0]}" = "imgadm: there is no command 'lst'; did you mean 'list'?" ]
	run img list -o nam
	[ "$status" -eq 2 ]
	[[ ${lines[0]} = "imgadm: list: there is no field 'nam': "*"; did you mean 'name'?" ]]
	run img help export
	[ "$status" -eq 0 ]
	[[ ${lines[0]} = "usage: imgadm export "* ]]
	for c in build create delete export get info import; do
		run img $c
		[ "$status" -ne 0 ]
	done
	run img import -m x -n y z
	[ "$status" -eq 2 ]
}

@test "the manual has every command and no other" {
	page=$HERE/../../man/imgadm.8
	[ "$(grep -c '^.It Cm ' "$page")" -ge 11 ]
	diff <(img help | awk '{ print $1 }' | sort -u) \
		<(sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' "$page" | sort -u)
}

# What builders are told and what they leave; the real ones need a mirror.
@test "build takes in what a builder makes, and leaves nothing of it" {
	export ZHYVE_BUILDERS=$PWD/b TMPDIR=$PWD/tmp
	mkdir b tmp
	cat >b/busybox <<-EOS
		#!/bin/sh
		[ "\$2" = 96 ] || exit 1
		cp $F/d.raw "\$1/disk.raw"
		printf '{"v": 2, "uuid": "$U", "name": "busybox", "version": "1", "os": "linux", "type": "zvol", "image_size": 8}' >"\$1/manifest.json"
	EOS
	cat >b/debian-12 <<-'EOS'
		#!/bin/sh
		echo "no mirror" >&2
		exit 1
	EOS
	chmod +x b/*
	run img build -s 96 busybox
	[ "$output" = "image $U: busybox 1" ]
	is_right "$F/d.raw"
	run img build -q debian-12
	[ "$status" -eq 1 ]
	[ "$output" = "no mirror
imgadm: build: debian-12 has failed" ]
	rm b/busybox
	run img build busybox
	[ "$status" -eq 1 ]
	[[ $output = *"b/busybox: No such file or directory"* ]]
	run img build slackware
	[ "$status" -eq 2 ]
	[ -z "$(ls tmp)" ]
	holds $U.json $U.raw
}
