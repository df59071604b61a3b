/*
 * The guest of "run.py --only cpu": /init of an initramfs, one C program that
 * runs kernels of a known amount of work. Each is framed by marker lines on the
 * console, which the host times: a guest's own clock is part of what is being
 * measured. The line at the end has a value that must not depend on the engine.
 *
 * Arguments (on the kernel's command line, after "--") are names of rows; none:
 * all of them; "empty": just start and stop.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define NOINLINE __attribute__((noinline))

/* What the compiler must neither know nor drop. */
#define OPAQUE(x) __asm__ volatile("" : "+r"(x))
#define TOUCHED(p) __asm__ volatile("" : : "r"(p) : "memory")

/* The same numbers on every run */
static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void *
area(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("suite: mmap");
		exit(1);
	}
	memset(p, 1, bytes);
	return p;
}

/* ---- integer ---- */

NOINLINE static uint64_t
fib_of(uint64_t n)
{
	uint64_t r;

	/* keeps the compiler from unrolling the recursion */
	OPAQUE(n);
	if (n < 2)
		return n;
	r = fib_of(n - 1);
	return r + fib_of(n - 2);
}

static uint64_t
fib(void)
{
	return fib_of(34);
}

static uint64_t
alu(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4;

	for (unsigned i = 0; i < 24000000; i++) {
		a += b ^ i;
		b = b << 3 | b >> 61;
		c -= a & d;
		d ^= c + 0x9e3779b9;
		a = (a >> 5) + (d | 1);
		c ^= b;
		OPAQUE(a);
	}
	return a ^ b ^ c ^ d;
}

static uint64_t
division(void)
{
	uint64_t sum = 0, d = 7, seed = 88172645463325252;

	for (unsigned i = 0; i < 20000000; i++) {
		uint64_t n = seed + i * UINT64_C(0x9e3779b97f4a7c15);
		uint32_t m = (uint32_t)n, e = (i & 1023) + 3;

		OPAQUE(d);
		OPAQUE(e);
		sum += n / d + m % e;
	}
	return sum;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t
sorting(void)
{
	enum { N = 600000 };
	uint32_t *v = area(N * sizeof(*v));
	uint64_t seed = 12345, r;

	for (unsigned i = 0; i < N; i++)
		v[i] = (uint32_t)next(&seed);
	qsort(v, N, sizeof(*v), by_value);
	r = v[0] ^ v[N / 2] ^ v[N - 1];
	for (unsigned i = 1; i < N; i++)
		if (v[i - 1] > v[i])
			r = 0;
	munmap(v, N * sizeof(*v));
	return r;
}

/* A byte code with a switch, as script languages have one. */
static uint64_t
interpreter(void)
{
	enum { PUSH, ADD, MUL, DUP, SWAP, DROP, DEC, JNZ, XOR, END };
	static const uint8_t code[] = { PUSH, 1, SWAP, /* 3: */ SWAP, DUP, PUSH,
		3, MUL, XOR, PUSH, 7, ADD, DUP, DROP, SWAP, DEC, JNZ, 3, END };
	uint64_t stack[16], *sp = stack, t;
	const uint8_t *pc = code;

	TOUCHED(code);
	*sp++ = 3000000;
	for (;;) {
		switch (*pc++) {
		case PUSH:
			*sp++ = *pc++;
			break;
		case ADD:
			sp--;
			sp[-1] += sp[0];
			break;
		case MUL:
			sp--;
			sp[-1] *= sp[0];
			break;
		case XOR:
			sp--;
			sp[-1] ^= sp[0];
			break;
		case DUP:
			sp[0] = sp[-1];
			sp++;
			break;
		case SWAP:
			t = sp[-1];
			sp[-1] = sp[-2];
			sp[-2] = t;
			break;
		case DROP:
			sp--;
			break;
		case DEC:
			sp[-1]--;
			break;
		case JNZ:
			pc = sp[-1] != 0 ? code + *pc : pc + 1;
			break;
		default:
			return sp[-1] + sp[-2];
		}
	}
}

NOINLINE static uint64_t
step_a(uint64_t x)
{
	return x * 3 + 1;
}

NOINLINE static uint64_t
step_b(uint64_t x)
{
	return x ^ x >> 7;
}

NOINLINE static uint64_t
step_c(uint64_t x)
{
	return x + 0x1234567;
}

NOINLINE static uint64_t
step_d(uint64_t x)
{
	return x << 5 | x >> 59;
}

static uint64_t
indirect(void)
{
	static uint64_t (*volatile const steps[])(
	    uint64_t) = { step_a, step_b, step_c, step_d };
	uint64_t x = 1;

	for (unsigned i = 0; i < 20000000; i++)
		x = steps[(x >> 11 ^ i) & 3](x);
	return x;
}

static uint64_t
sieve(void)
{
	enum { N = 12000000 };
	uint8_t *v = area(N);
	uint64_t count = 0;

	for (unsigned i = 2; i < N; i++) {
		if (v[i] == 0)
			continue;
		count++;
		for (unsigned j = 2 * i; j < N; j += i)
			v[j] = 0;
	}
	munmap(v, N);
	return count;
}

static inline uint32_t
rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* The rounds of SHA-256 over a fixed block, constants made up. */
static uint64_t
sha_rounds(void)
{
	uint32_t w[64], h[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	for (unsigned n = 0; n < 100000; n++) {
		uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4],
			 f = h[5], g = h[6], k = h[7], t1, t2;

		for (unsigned i = 0; i < 16; i++)
			w[i] = n * 0x9e3779b9u + i;
		for (unsigned i = 16; i < 64; i++)
			w[i] = w[i - 16] + w[i - 7] +
			    (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^
				w[i - 15] >> 3) +
			    (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^
				w[i - 2] >> 10);
		for (unsigned i = 0; i < 64; i++) {
			t1 = k + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
			    ((e & f) ^ (~e & g)) + i * 0x428a2f98u + w[i];
			t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
			    ((a & b) ^ (a & c) ^ (b & c));
			k = g;
			g = f;
			f = e;
			e = d + t1;
			d = c;
			c = b;
			b = a;
			a = t1 + t2;
		}
		h[0] += a;
		h[1] += b;
		h[2] += c;
		h[3] += d;
		h[4] += e;
		h[5] += f;
		h[6] += g;
		h[7] += k;
	}
	return h[0] ^ (uint64_t)h[7] << 32;
}

static uint64_t
chase(void)
{
	enum { N = 16 << 20, LINE = 64, STEPS = 3000000 };
	uint32_t *v = area(N), at = 0, j, t;
	uint64_t seed = 99;
	uint32_t n = N / LINE;

	/* Sattolo: one cycle through all lines */
	for (uint32_t i = 0; i < n; i++)
		v[i * 16] = i;
	for (uint32_t i = n - 1; i > 0; i--) {
		j = (uint32_t)(next(&seed) % i);
		t = v[i * 16];
		v[i * 16] = v[j * 16];
		v[j * 16] = t;
	}
	for (unsigned i = 0; i < STEPS; i++)
		at = v[at * 16];
	munmap(v, N);
	return at;
}

/* ---- strings ---- */

static uint64_t
rep_movsb_1m(void)
{
	uint8_t *a = area(2 * MIB), *b = a + MIB;

	for (unsigned i = 0; i < 500; i++) {
		void *d = b, *s = a;
		uint64_t n = MIB;

		__asm__ volatile("rep movsb"
				 : "+D"(d), "+S"(s), "+c"(n)
				 :
				 : "memory");
		a[i]++;
	}
	uint64_t r = b[0] + b[498];
	munmap(a, 2 * MIB);
	return r;
}

static uint64_t
rep_movsq_64(void)
{
	uint64_t v[16] = { 1 };

	for (unsigned i = 0; i < 8000000; i++) {
		void *d = v + 8, *s = v;
		uint64_t n = 8;

		__asm__ volatile("rep movsq"
				 : "+D"(d), "+S"(s), "+c"(n)
				 :
				 : "memory");
		v[0] += v[8];
	}
	return v[0];
}

static uint64_t
rep_stosq_4k(void)
{
	uint64_t *v = area(4096), r = 0;

	for (unsigned i = 0; i < 300000; i++) {
		void *d = v;
		uint64_t n = 512;

		__asm__ volatile("rep stosq"
				 : "+D"(d), "+c"(n)
				 : "a"((uint64_t)i)
				 : "memory");
		r += v[i & 511];
	}
	munmap(v, 4096);
	return r;
}

static uint64_t
memcpy_1m(void)
{
	uint8_t *a = area(2 * MIB), *b = a + MIB;

	for (unsigned i = 0; i < 500; i++) {
		memcpy(b, a, MIB);
		TOUCHED(b);
		a[i]++;
	}
	uint64_t r = b[0] + b[498];
	munmap(a, 2 * MIB);
	return r;
}

/* As programs copy: short, of all lengths and alignments */
static uint64_t
memcpy_short(void)
{
	uint8_t *a = area(8192), *b = a + 4096;
	uint64_t r = 0;

	for (unsigned i = 0; i < 6000000; i++) {
		memcpy(b + (i & 31), a + (i & 63), i * 7 & 255);
		TOUCHED(b);
		r += b[i & 127];
	}
	munmap(a, 8192);
	return r;
}

/* ---- floating point ---- */

static uint64_t
nbody(void)
{
	double x[5] = { 0, 4.8, 8.3, 12.9, 15.4 }, v[5] = { 0, .6, -1, 1, .9 };
	const double m[5] = { 39.5, .037, .011, .0017, .002 };
	double sum = 0;

	for (unsigned n = 0; n < 500000; n++) {
		for (unsigned i = 0; i < 5; i++)
			for (unsigned j = i + 1; j < 5; j++) {
				double d = x[i] - x[j], q = d * d + .01;
				double f = 1e-4 / (q * __builtin_sqrt(q));

				v[i] -= d * m[j] * f;
				v[j] += d * m[i] * f;
			}
		for (unsigned i = 0; i < 5; i++)
			x[i] += 1e-4 * v[i];
	}
	for (unsigned i = 0; i < 5; i++)
		sum += x[i] + v[i];
	return (uint64_t)(int64_t)(sum * 1e9);
}

typedef float vec4 __attribute__((vector_size(16)));

static uint64_t
packed_float(void)
{
	static vec4 a[256], b[256];
	vec4 k = { 1.0001f, .9999f, 1.0002f, .9998f };

	for (unsigned i = 0; i < 256; i++)
		a[i] = b[i] = (vec4){ (float)i, 1, 2, 3 };
	for (unsigned n = 0; n < 30000; n++) {
		TOUCHED(a);
		for (unsigned i = 0; i < 256; i++)
			a[i] = a[i] * k + b[255 - i] * .001f;
	}
	return (uint64_t)(int64_t)(a[77][0] + a[200][3]);
}

static uint64_t
x87(void)
{
	long double x = .5L, s = 0;

	for (unsigned i = 0; i < 3000000; i++) {
		x = x * 3.7L * (1.0L - x);
		s += x / (x + 2.0L);
	}
	return (uint64_t)(s * 1e3L);
}

/* ---- system ---- */

static uint64_t
syscalls(void)
{
	uint64_t r = 0;

	for (unsigned i = 0; i < 1000000; i++)
		r += (uint64_t)syscall(SYS_getppid);
	return r;
}

static uint64_t
fork_exec(void)
{
	static char path[] = "/suite", word[] = "child";
	char *const child[] = { path, word, NULL };
	uint64_t ok = 0;
	int status;
	pid_t pid;

	for (unsigned i = 0; i < 200; i++) {
		pid = fork();
		if (pid == 0) {
			execv(child[0], child);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		ok += WIFEXITED(status) && WEXITSTATUS(status) == 7;
	}
	return ok;
}

static uint64_t
page_faults(void)
{
	uint64_t size = 8 * MIB, r = 0;

	for (unsigned n = 0; n < 20; n++) {
		uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (uint64_t i = 0; i < size; i += 4096)
			r += ++p[i];
		munmap(p, size);
	}
	return r;
}

static uint64_t
pipes(void)
{
	int there[2], back[2], status;
	uint64_t n = 0;
	uint8_t c = 0;
	pid_t pid;

	if (pipe(there) != 0 || pipe(back) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1)
			if (write(back[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(there[0]);
	for (unsigned i = 0; i < 10000; i++) {
		c = (uint8_t)i;
		if (write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1)
			n += c == (uint8_t)i;
	}
	close(there[1]);
	waitpid(pid, &status, 0);
	close(back[0]);
	close(back[1]);
	return n;
}

static const struct row {
	const char *name;
	uint64_t (*run)(void);
} rows[] = {
	{ "fib", fib },
	{ "alu", alu },
	{ "division", division },
	{ "qsort", sorting },
	{ "interpreter", interpreter },
	{ "indirect", indirect },
	{ "sieve", sieve },
	{ "sha-rounds", sha_rounds },
	{ "chase-16M", chase },
	{ "rep-movsb-1M", rep_movsb_1m },
	{ "rep-movsq-64", rep_movsq_64 },
	{ "rep-stosq-4K", rep_stosq_4k },
	{ "memcpy-1M", memcpy_1m },
	{ "memcpy-short", memcpy_short },
	{ "nbody-double", nbody },
	{ "packed-float", packed_float },
	{ "x87", x87 },
	{ "syscall", syscalls },
	{ "fork-exec", fork_exec },
	{ "page-faults", page_faults },
	{ "pipe", pipes },
};

static bool
wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

/* On the wire before the clock starts */
static void
mark(const char *name, const char *what, uint64_t value)
{
	struct timespec ts;
	char line[120];
	int n;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	n = snprintf(line, sizeof(line), "ROW %s %s %llx at %lld.%09ld\n", name,
	    what, (unsigned long long)value, (long long)ts.tv_sec, ts.tv_nsec);

	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(1);
	tcdrain(STDOUT_FILENO);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "child") == 0)
		return 7;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!wanted(rows[i].name, argc, argv))
			continue;
		mark(rows[i].name, "begin", 0);
		mark(rows[i].name, "end", rows[i].run());
	}
	mark("all", "done", 0);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
