/*
 * Heap memory with a hook for tests: "the Nth allocation fails" for every N
 * until a run needs fewer. Memory is released with free(3).
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* NULL when out of memory. A size of 0 yields a pointer that may be freed. */
void *alloc_bytes(size_t n);
void *alloc_zero(size_t count, size_t size); /* product checked, zero-filled */
void *alloc_resize(void *p, size_t count, size_t size); /* product checked */
void *alloc_pages(size_t n); /* n: of 4096 bytes a multiple, and so aligned */
char *alloc_strdup(const char *s);
char *alloc_strndup(const char *s, size_t max);

/* Called before each allocation of this header; true makes it fail. */
typedef bool (*alloc_fail_fn)(void);
void alloc_set_fail_hook(alloc_fail_fn fn); /* NULL = none */

/*
 * The hook that tests want: the nth allocation from now fails (1 = the next),
 * the others succeed. 0 turns it off. alloc_fail_hit() says whether it came to
 * that since.
 */
void alloc_fail_at(unsigned long nth);
bool alloc_fail_hit(void);

#endif
