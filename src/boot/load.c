/*
 * boot_load(): carry out the plan that image.h made. Files are read straight
 * into guest memory; nothing of their size is ever allocated here.
 */
#include <sys/sendfile.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "boot/boot.h"
#include "boot/image.h"
#include "boot/start.h"

const struct config_key boot_keys[] = {
	{ "boot.kernel", CONFIG_PATH, NULL, NULL, 0,
	    "kernel to boot directly: bzImage, or ELF with a PVH note" },
	{ "boot.initrd", CONFIG_PATH, NULL, NULL, 0,
	    "initial RAM disk of the kernel booted directly" },
	{ "boot.cmdline", CONFIG_STRING, NULL, NULL, 0,
	    "command line of the kernel booted directly" },
	{ 0 },
};

struct loader {
	struct vm_mem *mem;
	const struct boot_image *img;
	struct image_room room;
	struct image_plan plan;
	struct start_info info;
};

static const struct mem_region *
region_of(const struct vm_mem *mem, uint64_t gpa)
{
	const struct mem_region *reg;
	size_t n = vm_mem_regions(mem, &reg);

	for (size_t i = 0; i < n; i++) {
		if (gpa >= reg[i].base.v && gpa - reg[i].base.v < reg[i].size)
			return &reg[i];
	}
	return NULL;
}

/*
 * From the page cache into the memfd behind guest RAM. pread(2) into the
 * mapping would take a page fault per page, and twice the time. How much was
 * copied: huge pages do not take it, then it is 0.
 */
static uint64_t
send_to_guest(const struct loader *ld, const struct image_src *src,
    uint64_t off, uint64_t gpa, uint64_t len)
{
	const struct mem_region *reg = region_of(ld->mem, gpa);
	off_t from = (off_t)off;
	uint64_t done = 0;

	if (reg == NULL || reg->fd < 0 || src->bytes != NULL ||
	    lseek(reg->fd, (off_t)(reg->fd_offset + (gpa - reg->base.v)),
		SEEK_SET) < 0)
		return 0;
	while (done < len) {
		ssize_t n = sendfile(reg->fd, src->fd, &from, len - done);

		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

static int
read_to_guest(const struct loader *ld, const struct image_src *src,
    const char *what, uint64_t off, uint64_t gpa, uint64_t len,
    struct error *err)
{
	uint64_t done;
	uint8_t *dst;
	int rc;

	if (len == 0)
		return 0;
	dst = vm_mem_ram(ld->mem, GPA(gpa), len);
	if (dst == NULL)
		return error_set(err, EFAULT,
		    "%s %s: no RAM at %#llx for %llu bytes", what, src->name,
		    (unsigned long long)gpa, (unsigned long long)len);
	done = send_to_guest(ld, src, off, gpa, len);
	rc = image_read(src, off + done, dst + done, len - done);
	if (rc == -ENODATA)
		return error_set(err, ENODATA,
		    "%s %s: became shorter while it was being read", what,
		    src->name);
	if (rc < 0)
		return error_sys(
		    err, -rc, "%s %s: cannot read", what, src->name);
	return 0;
}

static int
load_kernel(struct loader *ld, struct error *err)
{
	struct image_src src;
	int rc = image_open(&src, "kernel", ld->img->kernel, err);

	if (rc < 0)
		return rc;
	rc = image_plan(&src, &ld->room, &ld->plan, err);
	for (unsigned i = 0; rc == 0 && i < ld->plan.nsegs; i++) {
		const struct image_seg *s = &ld->plan.seg[i];

		rc = read_to_guest(
		    ld, &src, "kernel", s->off, s->gpa, s->len, err);
	}
	image_close(&src);
	return rc;
}

static int
load_initrd(struct loader *ld, struct error *err)
{
	struct image_src src;
	uint64_t gpa;
	int rc;

	if (ld->img->initrd == NULL)
		return 0;
	if ((rc = image_open(&src, "initrd", ld->img->initrd, err)) < 0)
		return rc;
	rc = image_place_initrd(
	    &ld->plan, &src, &ld->room, vm_mem_high_size(ld->mem), &gpa, err);
	if (rc == 0)
		rc = read_to_guest(ld, &src, "initrd", 0, gpa, src.size, err);
	if (rc == 0) {
		ld->info.initrd = gpa;
		ld->info.initrd_size = src.size;
	}
	image_close(&src);
	return rc;
}

static int
load_cmdline(struct loader *ld, struct error *err)
{
	const char *text = ld->img->cmdline != NULL ? ld->img->cmdline : "";
	size_t len = strlen(text);

	if (len > ld->plan.cmdline_max)
		return error_set(err, E2BIG,
		    "boot.cmdline: %zu characters; kernel %s takes at most %u",
		    len, ld->img->kernel, ld->plan.cmdline_max);
	ld->info.cmdline = BOOT_CMDLINE;
	return vm_mem_write(ld->mem, GPA(BOOT_CMDLINE), text, len + 1);
}

static int
write_boot_data(struct loader *ld)
{
	int rc = start_write_bda(ld->mem);

	if (rc < 0)
		return rc;
	if (ld->plan.proto == IMAGE_PVH)
		return start_write_pvh(ld->mem, &ld->info);
	rc = start_write_page_tables(ld->mem);
	return rc < 0 ? rc : start_write_zero_page(ld->mem, &ld->info);
}

static void
enter(const struct loader *ld, struct vcpu_state *st)
{
	vcpu_state_reset(st, 0, true);
	if (ld->plan.proto == IMAGE_PVH) {
		vcpu_state_flat32(st);
		st->gpr[X86_RBX] = BOOT_PVH_INFO;
	} else {
		vcpu_state_flat64(st, BOOT_PAGE_TABLES);
		st->gpr[X86_RSI] = BOOT_ZERO_PAGE;
	}
	st->rip = ld->plan.entry;
	st->gpr[X86_RSP] = BOOT_STACK;
}

int
start_load(struct vm_mem *mem, const struct boot_image *img,
    const struct boot_acpi *acpi, const struct e820_map *e820,
    struct vcpu_state *ret, struct error *err)
{
	struct loader ld = {
		.mem = mem,
		.img = img,
		.room.low_end = acpi != NULL && acpi->size != 0
		    ? acpi->base
		    : vm_mem_low_size(mem),
		.info.plan = &ld.plan,
		.info.e820 = e820,
		.info.rsdp = acpi != NULL ? acpi->rsdp.v : 0,
	};
	int rc;

	if ((rc = load_kernel(&ld, err)) < 0 ||
	    (rc = load_initrd(&ld, err)) < 0 ||
	    (rc = load_cmdline(&ld, err)) < 0)
		return rc;
	rc = write_boot_data(&ld);
	if (rc == 0) {
		enter(&ld, ret);
		rc = start_write_gdt(mem, ret);
	}
	if (rc < 0)
		return error_sys(err, -rc,
		    "kernel %s: cannot write boot data below 1 MiB",
		    img->kernel);
	return 0;
}

int
boot_load(const struct boot_machine *bm, const struct boot_image *img,
    const struct boot_acpi *acpi, const struct e820_map *e820,
    struct vcpu_state *ret, struct error *err)
{
	return start_load(vm_mem(bm->vm), img, acpi, e820, ret, err);
}
