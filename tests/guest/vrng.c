/*
 * virtio-rng: bytes come, of the length asked for, and differ. "msi" on the
 * command line: the device has MSI instead of MSI-X, and its interrupts come.
 */
#include "virtio.h"

static struct vdev d;
static struct vq q;
static uint8_t a[256], b[256];

static uint32_t
ask(uint8_t *p, uint32_t n)
{
	struct vring_used_elem u;

	memset(p, 0, n);
	vq_desc(&q, 0, p, n, DESC_WRITE, 0);
	vq_add(&q, 0);
	vq_kick(&q);
	return vq_wait(&q, PATIENCE, &u) ? u.len : 0;
}

#define MSI_VECTOR 0x51

static bool
msi_came(void *arg)
{
	return irq_count[MSI_VECTOR] != *(uint32_t *)arg;
}

static void
test_msi(void)
{
	unsigned cap = pci_find_cap(&d.fn, 5, 0), data;
	uint32_t before;

	ok(pci_find_cap(&d.fn, 0x11, 0) == 0, "no MSI-X capability");
	if (!ok(cap != 0, "MSI capability"))
		return;
	data = pci_read(&d.fn, cap + 2, 2) & 0x80 ? cap + 12 : cap + 8;
	pci_write(&d.fn, cap + 4, 4, (uint32_t)MSI_ADDR(lapic_id()));
	if (data == cap + 12)
		pci_write(&d.fn, cap + 8, 4, 0);
	pci_write(&d.fn, data, 2, MSI_VECTOR);
	pci_write(&d.fn, cap + 2, 2, pci_read(&d.fn, cap + 2, 2) | 1);
	lapic_enable();
	sti();
	q.avail[0] = 0; /* interrupts, please */
	before = irq_count[MSI_VECTOR];
	ok(ask(a, 64) == 64, "a request with MSI on");
	wait_until(msi_came, &before, PATIENCE);
	delay_us(2000);
	ok(irq_count[MSI_VECTOR] == before + 1, "one interrupt (%u)",
	    irq_count[MSI_VECTOR] - before);
	cli();
}

void
user_main(void)
{
	unsigned i, zero = 0;

	if (!ok(vdev_open(&d, 4, 0) && vdev_negotiate(&d, 0) &&
		    vdev_queue(&d, 0, 8, -1, &q),
		"device comes up"))
		tap_done();
	vdev_ready(&d);
	ok(ask(a, 256) == 256 && ask(b, 256) == 256, "256 bytes twice");
	for (i = 0; i < 256; i++)
		zero += a[i] == 0;
	ok(zero < 32, "they are not zeros");
	ok(memcmp(a, b, 256) != 0, "and not the same");
	/* a read-only descriptor: nothing to write into, must not hang */
	vq_desc(&q, 0, a, 16, 0, 0);
	vq_add(&q, 0);
	vq_kick(&q);
	delay_us(2000);
	vdev_reset(&d);
	ok(vdev_negotiate(&d, 0) && vdev_queue(&d, 0, 8, -1, &q),
	    "reset after a useless request");
	vdev_ready(&d);
	ok(ask(a, 16) == 16, "works after it");
	if (cmdline()[0] == 'm')
		test_msi();
	tap_done();
}
