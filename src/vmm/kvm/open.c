/*
 * The door to KVM, and what is the same for every user of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/passed.h"
#include "base/str.h"
#include "vmm/kvm/kvm_impl.h"

#define KVM_PATH "/dev/kvm"

int
kvm_ioctl(int fd, unsigned long req, unsigned long arg)
{
	int rc = ioctl(fd, req, arg);

	return rc == -1 ? -errno : rc;
}

int
kvm_ioctl_ptr(int fd, unsigned long req, void *arg)
{
	return kvm_ioctl(fd, req, (unsigned long)(uintptr_t)arg);
}

int
kvm_has(int fd, unsigned cap)
{
	return kvm_ioctl(fd, KVM_CHECK_EXTENSION, cap);
}

int
kvm_enable(int fd, unsigned cap, uint64_t arg)
{
	struct kvm_enable_cap req = { .cap = cap, .args = { arg } };

	return kvm_ioctl_ptr(fd, KVM_ENABLE_CAP, &req);
}

int
kvm_error(struct error *err, int code, const char *what)
{
	switch (code) {
	case EMFILE:
		return error_set(err, code,
		    "%s: this process has too many open files: raise "
		    "ulimit -n (a vCPU takes one, a virtio queue two)",
		    what);
	case ENFILE:
		return error_set(err, code,
		    "%s: the host has too many open files: raise fs.file-max",
		    what);
	case ENOMEM:
		return error_set(
		    err, code, "%s: the host's kernel is out of memory", what);
	case EBUSY:
		return error_set(err, code,
		    "%s: another hypervisor uses the processor's "
		    "virtualization",
		    what);
	default:
		return error_sys(err, code, "%s", what);
	}
}

static int
open_error(int code, struct error *err)
{
	switch (code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(err, code,
		    KVM_PATH " is not there: the host has no hardware "
			     "virtualization, or the module kvm_intel or "
			     "kvm_amd is not loaded");
	case EACCES:
	case EPERM:
		return error_set(err, code,
		    "permission denied on " KVM_PATH ": its user or group "
		    "(usually kvm) must include the one that runs this");
	default:
		return kvm_error(err, code, KVM_PATH);
	}
}

int
kvm_open(struct error *err)
{
	int fd, version;

	fd = passed_open(KVM_PATH, O_RDWR);
	if (fd < 0)
		return open_error(-fd, err);
	version = kvm_ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION)
		return fd;
	fd_close(&fd);
	return error_set(err, ENOSYS,
	    KVM_PATH " speaks version %d of its interface, not %d", version,
	    KVM_API_VERSION);
}

static const struct {
	unsigned cap;
	const char *name;
} needed[] = {
	{ KVM_CAP_USER_MEMORY, "user memory" },
	{ KVM_CAP_SPLIT_IRQCHIP, "split irqchip (Linux 4.4)" },
	{ KVM_CAP_IMMEDIATE_EXIT, "immediate exit (Linux 4.13)" },
	{ KVM_CAP_SIGNAL_MSI, "MSI injection" },
	{ KVM_CAP_READONLY_MEM, "read-only memory" },
	{ KVM_CAP_IRQ_ROUTING, "interrupt routing" },
	{ KVM_CAP_EXT_CPUID, "CPUID" },
	{ KVM_CAP_VCPU_EVENTS, "vCPU events" },
	{ KVM_CAP_XSAVE, "XSAVE state" },
	{ KVM_CAP_XCRS, "extended control registers" },
	{ KVM_CAP_DEBUGREGS, "debug registers" },
	{ KVM_CAP_MP_STATE, "multiprocessor state" },
};

int
kvm_op_probe(struct error *err)
{
	cleanup_close int fd = kvm_open(err);
	size_t i;

	if (fd < 0)
		return fd;
	for (i = 0; i < ARRAY_LEN(needed); i++)
		if (kvm_has(fd, needed[i].cap) <= 0)
			return error_set(err, ENOSYS, "the host's KVM lacks %s",
			    needed[i].name);
	return 0;
}

static void
kick_handler(int signo)
{
	/* Being delivered was the purpose: KVM_RUN has returned EINTR. */
}

static pthread_once_t kick_once = PTHREAD_ONCE_INIT;
static int kick_rc;

static void
install_once(void)
{
	struct sigaction sa = { .sa_handler = kick_handler,
		.sa_flags = SA_RESTART };

	sigemptyset(&sa.sa_mask);
	if (sigaction(KVM_KICK_SIGNAL, &sa, NULL) != 0)
		kick_rc = -errno;
}

int
kvm_install_kick_handler(void)
{
	pthread_once(&kick_once, install_once);
	return kick_rc;
}
