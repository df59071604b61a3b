/*
 * Is this a build for AddressSanitizer? It wants of its process what a confined
 * one has not: threads and ptrace(2) for its search for leaks, and a lot of
 * address space.
 */
#ifndef BASE_SANITIZE_H
#define BASE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#define HAS_ASAN __has_feature(address_sanitizer)
#else
#define HAS_ASAN 0
#endif

/* Asked at the end: no search for leaks, please. */
#if HAS_ASAN
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
#endif

#endif
