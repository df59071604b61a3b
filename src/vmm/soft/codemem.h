/*
 * Memory for host code that is made at run time: one memfd with two mappings,
 * one to write and one to execute, so that no page is ever both and no right is
 * ever changed (mprotect). What is written at write + n runs at exec + n.
 *
 * Who writes: the owner's thread alone, and not to code that another thread may
 * run. On x86 new code is seen by the thread that wrote it with its next jump
 * there; code in place of other code wants a serializing instruction between
 * the two, or that nobody jumps there meanwhile.
 *
 * Limits: CODEMEM_MAX bytes in one piece. Pages are zero and come with the
 * first write; they are shared memory in the eyes of a cgroup. No descriptor
 * stays open. A confined process maps no code later, so make it with its vCPU.
 *
 * Where the system refuses to map a memfd for execution (SELinux without
 * execute on it, a seccomp filter that looks at PROT_EXEC)
 * soft_codemem_create() fails with what mmap(2) said, -EACCES or -EPERM, and
 * the engine says so and does not start: it has no way to run without.
 * vm.memfd_noexec (0 to 2) and PR_SET_MDWE do not refuse it.
 */
#ifndef VMM_SOFT_CODEMEM_H
#define VMM_SOFT_CODEMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODEMEM_MAX (UINT64_C(64) << 20)

struct soft_codemem {
	uint8_t *write, *exec; /* the same memory; NULL: none */
	size_t size;
	bool lent; /* the addresses of exec are the caller's */
};

enum soft_codemem_place {
	CODEMEM_ANYWHERE,
	CODEMEM_NEAR, /* where: code that it calls; within 2 GiB if it can be */
	CODEMEM_AT, /* where: address space of the caller, size bytes, which
		     * the caller unmaps after soft_codemem_destroy() */
};

/*
 * size: a multiple of the page size. name: in /proc/PID/maps. 0 or -errno;
 * *ret is untouched on failure.
 */
int soft_codemem_create(struct soft_codemem *ret, const char *name, size_t size,
    enum soft_codemem_place place, const void *where);
/* All zero, as before create, is allowed; so it is afterwards. */
void soft_codemem_destroy(struct soft_codemem *m);

/* Is p an address of code in it? */
static inline bool
soft_codemem_has(const struct soft_codemem *m, uint64_t p)
{
	return p - (uintptr_t)m->exec < m->size;
}

#endif
