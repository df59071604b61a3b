/*
 * Init of a guest whose kernel is asked whether it takes the guard's programs:
 * the verifiers of distributions' kernels are not this host's. Prints what it
 * says, and where the kernel has hooks without modules attaches them to the
 * loopback interface.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "link/guard_impl.h"

static void
load(void)
{
	static char log[1 << 20];
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log,
	    .kernel_log_size = sizeof(log), .kernel_log_level = 4);
	struct bpf_object *obj =
	    bpf_object__open_mem(guard_object, guard_object_size, &opts);
	int rc = obj != NULL ? bpf_object__load(obj) : -1;

	if (rc < 0)
		printf("GUARD refused: %d\n%s\n", rc, log);
	else
		printf("GUARD loads\n");
	bpf_object__close(obj);
}

static void
attach(void)
{
	struct link_spec spec = { .name = "lo", .protect = LINK_PROTECT_MAC };
	struct error err = ERROR_INIT;
	struct link_counters c;

	if (guard_bpf_attach(&spec, &err) < 0 ||
	    guard_bpf_update(&spec, &err) < 0 ||
	    guard_bpf_counters("lo", &c, &err) < 0)
		printf("GUARD not attached: %s\n", err.text);
	else
		printf("GUARD attached\n");
}

int
main(void)
{
	struct utsname u;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	uname(&u);
	printf("GUARD asks Linux %s\n", u.release);
	load();
	attach();
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 0;
}
