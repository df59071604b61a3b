/*
 * Memory for host code.
 */
#include "vmm/soft/codemem.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/fd.h"

#define PROT_CODE (PROT_READ | PROT_EXEC)

/* MAP_FAILED: not there, or nowhere */
static void *
map_near(const void *where, size_t size, int fd)
{
	uintptr_t mid = (uintptr_t)where & ~(uintptr_t)(CODEMEM_MAX - 1), at;
	void *p;

	for (unsigned k = 2; k < 24; k++)
		for (int dir = -1; dir <= 1; dir += 2) {
			at =
			    mid + (uintptr_t)(dir * (int64_t)(k * CODEMEM_MAX));
			if (dir < 0 && at > mid)
				continue;
			p = mmap((void *)at, size, PROT_CODE,
			    MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
			if (p == (void *)at)
				return p;
			if (p != MAP_FAILED)
				munmap(p, size);
		}
	return MAP_FAILED;
}

static void *
map_exec(enum soft_codemem_place place, const void *where, size_t size, int fd)
{
	void *p = MAP_FAILED;

	if (place == CODEMEM_AT)
		return mmap((void *)(uintptr_t)where, size, PROT_CODE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	if (place == CODEMEM_NEAR)
		p = map_near(where, size, fd);
	return p != MAP_FAILED ? p
			       : mmap(NULL, size, PROT_CODE, MAP_SHARED, fd, 0);
}

int
soft_codemem_create(struct soft_codemem *ret, const char *name, size_t size,
    enum soft_codemem_place place, const void *where)
{
	cleanup_close int fd = -1;
	void *write, *exec;
	int rc;

	if (size == 0 || size > CODEMEM_MAX)
		return -EINVAL;
	fd = fd_memfd(name, size, 0);
	if (fd < 0)
		return fd;
	write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (write == MAP_FAILED)
		return -errno;
	exec = map_exec(place, where, size, fd);
	if (exec == MAP_FAILED) {
		rc = -errno;
		munmap(write, size);
		return rc;
	}
	*ret = (struct soft_codemem){ .write = write,
		.exec = exec,
		.size = size,
		.lent = place == CODEMEM_AT };
	return 0;
}

void
soft_codemem_destroy(struct soft_codemem *m)
{
	if (m->write != NULL)
		munmap(m->write, m->size);
	if (m->exec != NULL && !m->lent)
		munmap(m->exec, m->size);
	*m = (struct soft_codemem){ .size = 0 };
}
