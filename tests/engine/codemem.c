/*
 * Memory for host code: what its header promises.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tap.h"
#include "vmm/soft/codemem.h"

#define SIZE (1u << 20)

/* Of the mappings of the file: their rights, one after the other. */
static void
rights(const char *name, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512], r[8];

	ret[0] = '\0';
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, name) != NULL &&
		    sscanf(line, "%*x-%*x %4s", r) == 1 &&
		    strlen(ret) + strlen(r) + 2 < size) {
			strcat(ret, r);
			strcat(ret, " ");
		}
	if (f != NULL)
		fclose(f);
}

/* mov $v, %eax; ret */
static int
run(const struct soft_codemem *m, size_t at, uint8_t v)
{
	const uint8_t code[] = { 0xb8, v, 0, 0, 0, 0xc3 };
	int (*fn)(void) = (int (*)(void))(uintptr_t)(m->exec + at);

	memcpy(m->write + at, code, sizeof(code));
	return fn();
}

static void
written_here_runs_there(void)
{
	struct soft_codemem m = { .size = 0 };
	char text[64];

	tap_check_int(
	    soft_codemem_create(&m, "code-test", SIZE, CODEMEM_ANYWHERE, NULL),
	    0);
	tap_check(m.write != m.exec);
	tap_check_int(m.write[0] | m.write[SIZE - 1], 0);
	tap_check_int(run(&m, 0, 7), 7);
	tap_check_int(run(&m, SIZE - 16, 9), 9);
	tap_check(soft_codemem_has(&m, (uintptr_t)m.exec + SIZE - 1));
	tap_check(!soft_codemem_has(&m, (uintptr_t)m.exec + SIZE));
	tap_check(!soft_codemem_has(&m, (uintptr_t)m.exec - 1));
	rights("code-test", text, sizeof(text));
	tap_check(strstr(text, "rw-s") != NULL && strstr(text, "r-xs") != NULL);
	tap_check(strstr(text, "rwx") == NULL);
	soft_codemem_destroy(&m);
	rights("code-test", text, sizeof(text));
	tap_check_str(text, "");
	soft_codemem_destroy(&m);
	tap_check(!soft_codemem_has(&m, 0));
}

static void
places(void)
{
	const char *here = (const char *)(uintptr_t)places;
	struct soft_codemem m = { .size = 0 };
	void *space = mmap(NULL, SIZE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int64_t d;

	tap_check_int(
	    soft_codemem_create(&m, "code-test", SIZE, CODEMEM_NEAR, here), 0);
	d = (const char *)m.exec - here;
	tap_check(d > INT32_MIN && d < INT32_MAX);
	tap_check_int(run(&m, 0, 7), 7);
	soft_codemem_destroy(&m);
	tap_check(space != MAP_FAILED);
	tap_check_int(
	    soft_codemem_create(&m, "code-test", SIZE, CODEMEM_AT, space), 0);
	tap_check(m.exec == space);
	tap_check_int(run(&m, 0, 7), 7);
	soft_codemem_destroy(&m);
	/* The addresses are still the caller's. */
	tap_check_int(msync(space, SIZE, MS_ASYNC), 0);
	tap_check_int(munmap(space, SIZE), 0);
}

/* mmap() for execution fails from here on, as by SELinux. */
static bool
refuse_exec(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static void
refused(void)
{
	struct soft_codemem m = { .size = 5 };
	const char *here = (const char *)(uintptr_t)refused;
	char text[64];

	tap_check_int(
	    soft_codemem_create(&m, "code-test", 0, CODEMEM_ANYWHERE, NULL),
	    -EINVAL);
	tap_check_int(soft_codemem_create(&m, "code-test", CODEMEM_MAX + 4096,
			  CODEMEM_ANYWHERE, NULL),
	    -EINVAL);
	tap_check(refuse_exec());
	tap_check_int(
	    soft_codemem_create(&m, "code-test", SIZE, CODEMEM_ANYWHERE, NULL),
	    -EACCES);
	tap_check_int(
	    soft_codemem_create(&m, "code-test", SIZE, CODEMEM_NEAR, here),
	    -EACCES);
	tap_check_int((int64_t)m.size, 5);
	rights("code-test", text, sizeof(text));
	tap_check_str(text, "");
}

static const struct tap_test tests[] = {
	TAP_TEST(written_here_runs_there),
	TAP_TEST(places),
	TAP_TEST(refused),
};
TAP_MAIN(tests)
