#!/bin/sh
# What a user does on a Debian system: run in the guest, and on the host, which
# must print the same. Where standards give the answer, the test looks for that
# too. (Functions of libm differ in the last bit where there is no FMA: rounded.)
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

for opt in -O0 -O2 '-O3 -mavx2'; do
	# shellcheck disable=SC2086
	gcc $opt -Wall -o answers "$here/answers.c" -lm -lpthread || echo "gcc $opt failed"
	echo "gcc $opt"
	./answers
done

# FIPS 180-4 examples: "abc", a million "a"
printf abc | sha256sum
head -c 1000000 /dev/zero | tr '\0' a | sha256sum
seq 1 100000 | sort -R --random-source=/dev/zero | sort -n | md5sum
seq 1 20000 | awk '{ s += $1 * $1; printf "%d %.6f\n", s, sqrt(s) }' | cksum
seq 1 50000 | gzip -9 | gunzip | wc -c

# FIPS 180-4, FIPS 202, RFC 1321, FIPS 197 appendix C.1
for d in sha512 sha3-256 md5; do
	printf abc | openssl dgst -r -$d
done
printf '\000\021\042\063\104\125\146\167\210\231\252\273\314\335\356\377' |
	openssl enc -aes-128-ecb -nopad -K 000102030405060708090a0b0c0d0e0f | od -An -tx1
iv=00112233445566778899aabbccddeeff
for cipher in aes-256-ctr aes-256-cbc chacha20 camellia-256-cbc; do
	head -c 300000 /dev/zero | openssl enc -$cipher -K $iv$iv -iv $iv | sha256sum
done
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2>/dev/null
openssl pkey -in ec.pem -pubout -out ec.pub
openssl dgst -sha256 -sign ec.pem -out sig "$here/answers.c"
openssl dgst -sha256 -verify ec.pub -signature sig "$here/answers.c"
openssl genrsa -out rsa.pem 2048 2>/dev/null
openssl rsa -in rsa.pem -pubout -out rsa.pub 2>/dev/null
openssl dgst -sha256 -sign rsa.pem -out sig "$here/answers.c"
openssl dgst -sha256 -verify rsa.pub -signature sig "$here/answers.c"
openssl speed -seconds 1 -bytes 1024 sha256 2>/dev/null | grep -c '^sha256 .*k$'

python3 - <<'EOF'
import decimal, fractions, hashlib, json, math, random, re, struct, threading, zlib
print(pow(3, 10**6, 10**9 + 7), math.factorial(200) % (2**89 - 1), 2**521 - 1)
print(hashlib.sha1(b"abc").hexdigest(), zlib.crc32(b"123456789"), zlib.adler32(b"x" * 99999))
print([round(math.sin(x / 7), 12) for x in range(5)], math.fsum([.1] * 10), 1e308 * 10)
random.seed(42)
print(random.getrandbits(128), round(random.gauss(0, 1), 12), sorted(random.sample(range(10**6), 5)))
decimal.getcontext().prec = 50
print(decimal.Decimal(2).sqrt(), fractions.Fraction(355, 113) - fractions.Fraction(22, 7))
print(json.dumps({"a": [1, 2.5, None], "b": "\u00e9"}), re.sub(r"(\w+) (\w+)", r"\2 \1", "b a"))
print(struct.pack("<dfQ", math.pi, math.e, 1 << 63).hex())
total = [0] * 4
def work(i):
    for k in range(20000):
        total[i] += k * i
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(total)
EOF
# shellcheck disable=SC2016
perl -MDigest::SHA=sha256_hex -MList::Util=sum -e '
	my %h; $h{$_ % 97} .= chr(65 + $_ % 26) for 1 .. 20000;
	print sha256_hex(join ",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n";
	my $text = "the quick brown fox " x 500; my $n = () = $text =~ /\b\w+o\w*\b/g; print "$n\n";
	printf "%.17g %s %d\n", exp(1), 2 ** 0.5, sum(map { $_ ** 3 } 1 .. 100);
	print unpack("H*", pack "d>", 0.1 + 0.2), "\n";'
