/*
 * Heap memory with a failure hook. The hook costs one relaxed load per
 * allocation, so it stays in every build and tests run the shipped code.
 */
#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static alloc_fail_fn fail_hook;
static unsigned long fail_countdown;
static bool fail_hit;

static bool
alloc_must_fail(void)
{
	alloc_fail_fn fn = __atomic_load_n(&fail_hook, __ATOMIC_RELAXED);

	return fn != NULL && fn();
}

void *
alloc_bytes(size_t n)
{
	if (n > PTRDIFF_MAX || alloc_must_fail())
		return NULL;
	return malloc(n != 0 ? n : 1);
}

void *
alloc_pages(size_t n)
{
	if (n > PTRDIFF_MAX || alloc_must_fail())
		return NULL;
	return aligned_alloc(4096, n);
}

void *
alloc_zero(size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n) || n > PTRDIFF_MAX ||
	    alloc_must_fail())
		return NULL;
	return calloc(1, n != 0 ? n : 1);
}

void *
alloc_resize(void *p, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n) || n > PTRDIFF_MAX ||
	    alloc_must_fail())
		return NULL;
	return realloc(p, n != 0 ? n : 1);
}

char *
alloc_strdup(const char *s)
{
	return alloc_strndup(s, SIZE_MAX);
}

char *
alloc_strndup(const char *s, size_t max)
{
	size_t n = strnlen(s, max);
	char *copy;

	copy = alloc_bytes(n + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

void
alloc_set_fail_hook(alloc_fail_fn fn)
{
	__atomic_store_n(&fail_hook, fn, __ATOMIC_RELAXED);
}

static bool
alloc_count_down(void)
{
	if (__atomic_load_n(&fail_countdown, __ATOMIC_RELAXED) == 0)
		return false;
	if (__atomic_sub_fetch(&fail_countdown, 1, __ATOMIC_RELAXED) != 0)
		return false;
	__atomic_store_n(&fail_hit, true, __ATOMIC_RELAXED);
	return true;
}

void
alloc_fail_at(unsigned long nth)
{
	__atomic_store_n(&fail_countdown, nth, __ATOMIC_RELAXED);
	__atomic_store_n(&fail_hit, false, __ATOMIC_RELAXED);
	alloc_set_fail_hook(nth != 0 ? alloc_count_down : NULL);
}

bool
alloc_fail_hit(void)
{
	return __atomic_load_n(&fail_hit, __ATOMIC_RELAXED);
}
