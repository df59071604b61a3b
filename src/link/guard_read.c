/*
 * Reading a guard's counters and its ring by bpf(2) and mmap(2) alone, for
 * those who wait for events and do not want a BPF library in their address
 * space.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "base/fd.h"
#include "base/str.h"
#include "link/guard.h"
#include "link/guard_abi.h"

#define CPUS_MAX 65536

static int
bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr)) == -1 ? -errno : 0;
}

/*
 * Possible CPUs: "0-3", "0,2-7". The kernel writes a copy for each of them,
 * whatever the size of our buffer, so a guess will not do.
 */
static int
possible_cpus(unsigned *ret)
{
	unsigned long last = 0;
	struct buf b;
	char *p;
	int rc;

	buf_init(&b, 4096);
	rc = fd_read_file(AT_FDCWD, "/sys/devices/system/cpu/possible", &b);
	if (rc >= 0)
		rc = buf_append(&b, "", 1);
	if (rc >= 0) {
		/* the highest is the last number */
		p = (char *)b.data;
		while (*(p += strcspn(p, "0123456789")) != '\0')
			last = strtoul(p, &p, 10);
		rc = last < CPUS_MAX ? 0 : -ERANGE;
	}
	buf_fini(&b);
	if (rc == 0)
		*ret = (unsigned)last + 1;
	return rc < 0 ? rc : 0;
}

/* Of a program that may be older, so with fewer counters, or newer. */
static int
value_size(int fd, size_t *ret)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr;
	int rc;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (unsigned)fd;
	attr.info.info = (uintptr_t)&info;
	attr.info.info_len = sizeof(info);
	rc = bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (rc < 0)
		return rc;
	if (info.type != BPF_MAP_TYPE_PERCPU_ARRAY || info.key_size != 4 ||
	    info.value_size < 4 * sizeof(uint64_t) || info.value_size > 4096)
		return -EINVAL;
	*ret = ROUND_UP(info.value_size, 8);
	return 0;
}

static void
add(struct link_counters *ret, const uint64_t *v, size_t n)
{
	const struct guard_counts *c = (const void *)v;

	ret->sent += c->sent;
	ret->sent_bytes += c->sent_bytes;
	ret->received += c->received;
	ret->received_bytes += c->received_bytes;
	for (size_t i = 0; i < LINK_DROP_COUNT && 4 + i < n; i++)
		ret->drops[i] += v[4 + i];
}

int
link_guard_read(int counters, struct link_counters *ret)
{
	cleanup_free uint64_t *v = NULL;
	struct link_counters sum = { 0 };
	union bpf_attr attr;
	uint32_t zero = 0;
	unsigned cpus;
	size_t size;
	int rc;

	rc = value_size(counters, &size);
	if (rc == 0)
		rc = possible_cpus(&cpus);
	if (rc < 0)
		return rc;
	v = calloc(cpus, size);
	if (v == NULL)
		return -ENOMEM;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (unsigned)counters;
	attr.key = (uintptr_t)&zero;
	attr.value = (uintptr_t)v;
	rc = bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < cpus; i++)
		add(&sum, v + i * (size / 8), size / 8);
	*ret = sum;
	return 0;
}

/* Linux: kernel/bpf/ringbuf.c; a page of the reader's, then the writer's. */
int
link_guard_drained(int ring)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile uint64_t *reader, *writer;

	reader = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
	if (reader == MAP_FAILED)
		return -errno;
	writer = mmap(NULL, page, PROT_READ, MAP_SHARED, ring, (off_t)page);
	if (writer == MAP_FAILED) {
		int rc = -errno;

		munmap((void *)reader, page);
		return rc;
	}
	__atomic_store_n(reader, __atomic_load_n(writer, __ATOMIC_ACQUIRE),
	    __ATOMIC_RELEASE);
	munmap((void *)writer, page);
	munmap((void *)reader, page);
	return 0;
}
