/*
 * Building a machine when memory runs out at any place: it fails with a text,
 * leaves nothing behind, and the next attempt works.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "machine/machine.h"
#include "tap.h"

/* Powers off: mov $0x604,%dx; mov $0x3400,%ax; out %ax,%dx; jmp . */
static const uint8_t code[] = { 0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x34,
	0x66, 0xef, 0xeb, 0xfe };

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	struct {
		uint32_t namesz, descsz, type;
		char name[4];
		uint32_t entry;
	} note; /* XEN_ELFNOTE_PHYS32_ENTRY */
	uint8_t code[sizeof(code)];
} __attribute__((packed));

static void
write_kernel(const char *path)
{
	struct image im = {
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
			    ELFDATA2LSB, EV_CURRENT },
		    .e_type = ET_EXEC,
		    .e_machine = EM_X86_64,
		    .e_version = EV_CURRENT,
		    .e_phoff = offsetof(struct image, ph),
		    .e_ehsize = sizeof(Elf64_Ehdr),
		    .e_phentsize = sizeof(Elf64_Phdr),
		    .e_phnum = 2 },
		.ph = { { .p_type = PT_LOAD,
			    .p_offset = offsetof(struct image, code),
			    .p_vaddr = 0x100000,
			    .p_paddr = 0x100000,
			    .p_filesz = sizeof(code),
			    .p_memsz = sizeof(code) },
		    { .p_type = PT_NOTE,
			.p_offset = offsetof(struct image, note),
			.p_filesz = sizeof(im.note),
			.p_memsz = sizeof(im.note),
			.p_align = 4 } },
		.note = { 4, 4, 18, "Xen", 0x100000 },
	};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	memcpy(im.code, code, sizeof(code));
	tap_check(fd >= 0);
	tap_check_int(fd_write_all(fd, &im, sizeof(im)), 0);
	close(fd);
}

static struct config_node *
make_config(void)
{
	char kernel[256], disk[256], sock[256], port[256], *argv[40];
	const char *const args[] = { "bhyve", "-c", "2", "-m", "16", "-o",
		"engine=kvm", "-o", "log.level=error", "-o", kernel, "-s",
		"0,hostbridge", "-s", "31,lpc", "-l", sock, "-l", "com2,none",
		"-s", disk, "-s", "5,virtio-net,slirp", "-s", "6,virtio-rnd",
		"-s", port, "-f", "opt/x,string=1", "vm0", NULL };
	struct config_node *root = config_create();
	enum options_action action;
	struct error err = ERROR_INIT;

	snprintf(kernel, sizeof(kernel), "boot.kernel=%s/k", tap_tmpdir());
	snprintf(sock, sizeof(sock), "com1,socket,%s/s", tap_tmpdir());
	snprintf(
	    disk, sizeof(disk), "4,virtio-blk,%s/d,aio=threads", tap_tmpdir());
	snprintf(port, sizeof(port), "7,virtio-console,p=%s/p", tap_tmpdir());
	write_kernel(strchr(kernel, '=') + 1);
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		memcpy(&argv[i], &args[i], sizeof(argv[i]));
	tap_check(root != NULL);
	if (options_parse(ARRAY_LEN(args) - 1, argv, root, &action, &err) < 0 ||
	    machine_check(root, &err) < 0)
		tap_fail("%s", err.text);
	return root;
}

static void
make_disk(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/d", tap_tmpdir());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	tap_check(fd >= 0);
	tap_check_int(ftruncate(fd, 1 << 20), 0);
	close(fd);
}

static void
check_gone(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tap_tmpdir(), name);
	if (access(path, F_OK) == 0)
		tap_fail("%s was left behind", path);
}

static void
builds_runs_and_leaves_nothing(void)
{
	struct config_node *root;
	struct machine *m = NULL;
	struct error err = ERROR_INIT;

	if (engine_kvm.probe(&err) < 0)
		tap_skip("%s", err.text);
	make_disk();
	root = make_config();
	if (machine_build(root, &m, &err) < 0)
		tap_fail("%s", err.text);
	tap_check_int(machine_run(m), VM_STOP_POWEROFF);
	tap_check_has(machine_stop_cause(m), "S5");
	machine_destroy(m);
	check_gone("s");
	check_gone("p");
	config_free(root);
}

static void
survives_every_failed_allocation(void)
{
	struct config_node *root;
	struct error err = ERROR_INIT;
	unsigned long n = 0;
	bool hit;

	if (engine_kvm.probe(&err) < 0)
		tap_skip("%s", err.text);
	make_disk();
	root = make_config();
	do {
		struct machine *m = NULL;
		int rc;

		err.text[0] = '\0';
		alloc_fail_at(++n);
		rc = machine_build(root, &m, &err);
		hit = alloc_fail_hit();
		alloc_fail_at(0);
		if (rc < 0 && err.text[0] == '\0')
			tap_fail("no text at allocation %lu", n);
		if (rc < 0 && !hit)
			tap_fail("allocation %lu: %s", n, err.text);
		tap_check((rc == 0) == (m != NULL));
		machine_destroy(m);
		check_gone("s");
		check_gone("p");
		tap_check(n < 20000);
	} while (hit);
	tap_note("%lu allocations", n - 1);
	config_free(root);
}

static const struct tap_test tests[] = {
	TAP_TEST(builds_runs_and_leaves_nothing),
	TAP_TEST(survives_every_failed_allocation),
};
TAP_MAIN(tests)
