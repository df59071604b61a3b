/*
 * A program of the kinds that a compiler's output has: integers, 128-bit
 * products, doubles, x87, vectors, sorting, threads, signals, setjmp.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t
primes(void)
{
	static uint8_t no[1000000];
	uint64_t sum = 0;

	memset(no, 0, sizeof(no));
	for (uint64_t i = 2; i < sizeof(no); i++) {
		if (no[i])
			continue;
		sum += i;
		for (uint64_t k = i * i; k < sizeof(no); k += i)
			no[k] = 1;
	}
	return sum;
}

static uint64_t
next(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return *s >> 11;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
floats(void)
{
	static double v[20000];
	uint64_t seed = 1;
	double sum = 0;
	float f = 0;
	long double l = 1;

	for (size_t i = 0; i < 20000; i++)
		v[i] = sin((double)next(&seed) * 0x1p-40);
	qsort(v, 20000, sizeof(v[0]), compare);
	for (size_t i = 0; i < 20000; i++) {
		sum += v[i] * (double)i;
		f += (float)v[i];
	}
	for (int i = 1; i < 60; i++)
		l += powl(0.5L, i) / (i + 1.0L);
	printf("%.9g %.4g %.15Lg %.15g\n", sum, (double)f, l, 4 * atan(1.0));
	printf("%g %d %d\n", sqrt(-1.0) != sqrt(-1.0) ? 1.0 : 0.0,
	    (int)lrint(2.5), (int)floor(-0.5));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t locked, atomic;

static void *
add(void *arg)
{
	for (uint64_t i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		locked += i;
		pthread_mutex_unlock(&lock);
		__atomic_fetch_add(&atomic, i ^ (uintptr_t)arg, 5);
	}
	return NULL;
}

static volatile int zero;
static volatile int *volatile nowhere;
static sigjmp_buf back;

static void
fault(int sig)
{
	siglongjmp(back, sig);
}

int
main(void)
{
	pthread_t t[4];
	unsigned __int128 p = 1;
	uint64_t h = 0;
	int sig, status = 0;
	pid_t pid;

	printf("%llu\n", (unsigned long long)primes());
	for (uint64_t i = 1; i < 200; i++)
		p = p * (i * 0x9e3779b97f4a7c15u | 1) + p / (i + 3);
	for (uint64_t i = 0, s = 7; i < 300000; i++)
		h = (h ^ next(&s)) * 0x100000001b3u % 0xfffffffffffffc5u;
	printf("%016llx%016llx %llx\n", (unsigned long long)(p >> 64),
	    (unsigned long long)p, (unsigned long long)h);
	floats();
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, add, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("%llu %llu\n", (unsigned long long)locked,
	    (unsigned long long)atomic);
	signal(SIGSEGV, fault);
	signal(SIGFPE, fault);
	sig = sigsetjmp(back, 1);
	if (sig == 0)
		*nowhere = 1;
	printf("signal %d\n", sig);
	sig = sigsetjmp(back, 1);
	if (sig == 0)
		sig = 100 / zero;
	printf("signal %d\n", sig);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		execl("/bin/sh", "sh", "-c", "exit 7", NULL);
	waitpid(pid, &status, 0);
	printf("exit %d\n", WEXITSTATUS(status));
	return 0;
}
