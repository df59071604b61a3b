#include "virtio_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "dev/virtio/virtio.h"

/* ---- an engine that runs nothing ---- */

static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned msis[64];
static struct rig_bell bells[RIG_BELLS];
static unsigned nbells;
static bool offer_bells;
static int dummy;

unsigned
rig_msis(unsigned vector)
{
	unsigned n;

	pthread_mutex_lock(&note_lock);
	n = msis[vector];
	pthread_mutex_unlock(&note_lock);
	return n;
}

unsigned
rig_msis_reach(unsigned vector, unsigned n)
{
	uint64_t end = mevent_now_ns() + RIG_PATIENCE * UINT64_C(1000000);

	while (rig_msis(vector) < n && mevent_now_ns() < end)
		usleep(100);
	return rig_msis(vector);
}

unsigned
rig_bells(struct rig_bell *ret)
{
	unsigned n;

	pthread_mutex_lock(&note_lock);
	memcpy(ret, bells, sizeof(bells));
	n = nbells;
	pthread_mutex_unlock(&note_lock);
	return n;
}

void
rig_offer_bells(bool on)
{
	offer_bells = on;
}

static int
fake_probe(struct error *err)
{
	return 0;
}

static int
fake_cpuid(struct cpuid_table *ret, uint64_t *ret_tsc_hz, struct error *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->count = 2;
	ret->row[1].leaf = 1;
	ret->row[0].eax = 1;
	*ret_tsc_hz = 1000000000;
	return 0;
}

static int
fake_vm_create(const struct engine_vm_config *conf, struct engine_vm **ret,
    struct error *err)
{
	*ret = (void *)&dummy;
	return 0;
}

static void
fake_vm_destroy(struct engine_vm *vm)
{
}

static int
fake_vcpu_create(struct engine_vm *vm, const struct engine_vcpu_config *conf,
    struct engine_vcpu **ret, struct error *err)
{
	*ret = (void *)&dummy;
	return 0;
}

static void
fake_vcpu(struct engine_vcpu *vcpu)
{
}

static enum engine_exit
fake_run(struct engine_vcpu *vcpu)
{
	return ENGINE_EXIT_KICKED;
}

static int
fake_set(struct engine_vcpu *vcpu, const struct vcpu_state *st)
{
	return 0;
}

static int
fake_msi(struct engine_vm *vm, uint64_t addr, uint32_t data)
{
	pthread_mutex_lock(&note_lock);
	if (addr == RIG_MSI_ADDR && data >= RIG_MSI_DATA(0) &&
	    data < RIG_MSI_DATA(64))
		msis[data - RIG_MSI_DATA(0)]++;
	pthread_mutex_unlock(&note_lock);
	return 0;
}

static void
fake_extint(struct engine_vm *vm, bool level)
{
}

static int
fake_route(struct engine_vm *vm, unsigned pin, uint64_t addr, uint32_t data,
    bool masked)
{
	return 0;
}

static int
fake_ioeventfd(struct engine_vm *vm, int fd, uint64_t addr, unsigned len,
    uint64_t value, unsigned flags, bool on)
{
	const struct rig_bell bell = { fd, addr, value, len, flags };
	int rc = on ? -ENOSPC : -ENOENT;

	if (!offer_bells)
		return -ENOSYS;
	pthread_mutex_lock(&note_lock);
	if (on && nbells < RIG_BELLS) {
		bells[nbells++] = bell;
		rc = 0;
	}
	for (unsigned i = 0; !on && i < nbells; i++)
		if (bells[i].fd == fd && bells[i].addr == addr &&
		    bells[i].len == len && bells[i].value == value &&
		    bells[i].flags == flags) {
			bells[i] = bells[--nbells];
			rc = 0;
		}
	pthread_mutex_unlock(&note_lock);
	return rc;
}

static const struct engine_ops fake_engine = {
	.name = "none",
	.probe = fake_probe,
	.cpuid_supported = fake_cpuid,
	.vm_create = fake_vm_create,
	.vm_destroy = fake_vm_destroy,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu,
	.vcpu_run = fake_run,
	.vcpu_kick = fake_vcpu,
	.vcpu_set = fake_set,
	.msi = fake_msi,
	.extint = fake_extint,
	.ioapic_route = fake_route,
	.ioeventfd = fake_ioeventfd,
};

/* ---- the machine ---- */

static void *
loop_main(void *arg)
{
	struct rig *r = arg;

	mevent_loop_run(vm_loop(r->vm));
	return NULL;
}

static int
add_function(
    struct rig *r, const char *model, const char *opts, struct error *err)
{
	const struct pci_addr addr = { 0, RIG_SLOT, 0 };
	const struct pci_model *m = pci_model_find(model);
	struct config_node *root = config_create();
	struct config_node *node = NULL;
	int rc;

	if (root != NULL)
		node = config_make_node(root, "pci.0.4.0");
	if (node == NULL) {
		config_free(root);
		return error_sys(err, ENOMEM, "configuration");
	}
	rc = config_set(node, "device", model, err);
	if (rc == 0 && m->parse != NULL)
		rc = m->parse(node, opts, err);
	else if (rc == 0 && opts[0] != '\0')
		rc = config_set_assignment(node, opts, err);
	if (rc == 0)
		rc = pci_bus_add(r->pb, addr, node, err);
	config_free(root);
	if (rc == 0)
		rc = pci_bus_assign(r->pb, err);
	if (rc == 0)
		r->pd = pci_bus_find(r->pb, addr);
	return rc;
}

/* What a driver learns from the capability list. */
static void
find_windows(struct rig *r)
{
	unsigned cap = rig_cfg_read(r, 0x34, 1);

	for (; cap != 0; cap = rig_cfg_read(r, cap + 1, 1)) {
		unsigned id = rig_cfg_read(r, cap, 1);
		unsigned type = rig_cfg_read(r, cap + 3, 1);
		unsigned off = rig_cfg_read(r, cap + 8, 4);

		if (id == 0x11)
			r->msix = cap;
		if (id != 0x09)
			continue;
		if (type == VIRTIO_PCI_CAP_COMMON_CFG)
			r->common = off;
		if (type == VIRTIO_PCI_CAP_ISR_CFG)
			r->isr = off;
		if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
			r->device = off;
		if (type == VIRTIO_PCI_CAP_PCI_CFG)
			r->window = cap;
		if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			r->notify = off;
			r->notify_mult = rig_cfg_read(r, cap + 16, 4);
		}
	}
}

static void
find_bars(struct rig *r)
{
	uint64_t io;

	rig_cfg_write(r, 0x04, 2, 0x0007); /* I/O, memory, bus master */
	if (!pci_bar_addr(r->pd, 4, &r->bar))
		r->bar = 0;
	if (pci_bar_addr(r->pd, 0, &io))
		r->io = (uint16_t)io;
}

int
rig_open(struct rig *r, const char *model, const char *opts, bool threads,
    struct error *err)
{
	const struct vm_config conf = { .name = "rig",
		.mem = { .size = RIG_RAM },
		.topo = { 1, 1, 1, 1 },
		.engine = &fake_engine };
	int rc;

	memset(r, 0, sizeof(*r));
	memset(msis, 0, sizeof(msis));
	rc = vm_create(&conf, &r->vm, err);
	if (rc == 0)
		rc = pci_bus_create(r->vm, &r->pb, err);
	if (rc == 0)
		rc = add_function(r, model, opts, err);
	if (rc == 0)
		rc = vm_prepare(r->vm, err);
	if (rc == 0 && threads) {
		rc = -pthread_create(&r->loop_thread, NULL, loop_main, r);
		r->has_thread = rc == 0;
	}
	if (rc != 0) {
		rig_close(r);
		return rc;
	}
	find_bars(r);
	find_windows(r);
	return 0;
}

void
rig_close(struct rig *r)
{
	if (r->has_thread) {
		mevent_loop_stop(vm_loop(r->vm));
		pthread_join(r->loop_thread, NULL);
	}
	if (r->pb != NULL)
		pci_bus_destroy(r->pb);
	vm_destroy(r->vm);
}

uint8_t *
rig_ram(struct rig *r, uint64_t gpa)
{
	return vm_mem_ram(vm_mem(r->vm), GPA(gpa), 1);
}

/* ---- accesses ---- */

uint32_t
rig_cfg_read(struct rig *r, unsigned off, unsigned width)
{
	uint64_t v = UINT64_MAX;

	bus_write(vm_pio(r->vm), 0xcf8, 4,
	    0x80000000u | RIG_SLOT << 11 | (off & 0xfc));
	bus_read(vm_pio(r->vm), 0xcfc + (off & 3), width, &v);
	return (uint32_t)v;
}

void
rig_cfg_write(struct rig *r, unsigned off, unsigned width, uint32_t value)
{
	bus_write(vm_pio(r->vm), 0xcf8, 4,
	    0x80000000u | RIG_SLOT << 11 | (off & 0xfc));
	bus_write(vm_pio(r->vm), 0xcfc + (off & 3), width, value);
}

uint64_t
rig_read(struct rig *r, uint64_t off, unsigned width)
{
	uint64_t v = 0;

	bus_read(vm_mmio(r->vm), r->bar + off, width, &v);
	return width == 8 ? v : v & ((UINT64_C(1) << 8 * width) - 1);
}

void
rig_write(struct rig *r, uint64_t off, unsigned width, uint64_t value)
{
	bus_write(vm_mmio(r->vm), r->bar + off, width, value);
}

uint32_t
rig_in(struct rig *r, unsigned off, unsigned width)
{
	uint64_t v = 0;

	bus_read(vm_pio(r->vm), r->io + off, width, &v);
	return (uint32_t)(v & ((UINT64_C(1) << 8 * width) - 1));
}

void
rig_out(struct rig *r, unsigned off, unsigned width, uint32_t value)
{
	bus_write(vm_pio(r->vm), r->io + off, width, value);
}

/* ---- a driver ---- */

uint8_t
rig_status(struct rig *r)
{
	return (uint8_t)rig_read(r, r->common + VIRTIO_PCI_COMMON_STATUS, 1);
}

void
rig_set_status(struct rig *r, uint8_t status)
{
	rig_write(r, r->common + VIRTIO_PCI_COMMON_STATUS, 1, status);
}

uint8_t
rig_status_reach(struct rig *r, uint8_t want)
{
	uint64_t end = mevent_now_ns() + RIG_PATIENCE * UINT64_C(1000000);

	while (rig_status(r) != want && mevent_now_ns() < end)
		usleep(100);
	return rig_status(r);
}

bool
rig_intx_reach(struct rig *r)
{
	uint64_t end = mevent_now_ns() + RIG_PATIENCE * UINT64_C(1000000);

	while ((rig_cfg_read(r, 6, 2) & 8) == 0 && mevent_now_ns() < end)
		usleep(100);
	return (rig_cfg_read(r, 6, 2) & 8) != 0;
}

uint64_t
rig_features(struct rig *r)
{
	uint64_t f;

	rig_write(r, r->common + VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	f = rig_read(r, r->common + VIRTIO_PCI_COMMON_DF, 4) << 32;
	rig_write(r, r->common + VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	return f | rig_read(r, r->common + VIRTIO_PCI_COMMON_DF, 4);
}

void
rig_set_features(struct rig *r, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		rig_write(r, r->common + VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		rig_write(r, r->common + VIRTIO_PCI_COMMON_GF, 4,
		    (uint32_t)(features >> 32 * i));
	}
}

void
rig_msix(struct rig *r)
{
	unsigned n = (rig_cfg_read(r, r->msix + 2, 2) & 0x7ff) + 1;
	unsigned table = rig_cfg_read(r, r->msix + 4, 4) & ~7u;

	for (unsigned i = 0; i < n; i++) {
		rig_write(r, table + i * 16, 4, RIG_MSI_ADDR);
		rig_write(r, table + i * 16 + 4, 4, 0);
		rig_write(r, table + i * 16 + 8, 4, RIG_MSI_DATA(i));
		rig_write(r, table + i * 16 + 12, 4, 0);
	}
	rig_cfg_write(r, r->msix + 2, 2, 0x8000);
}

void
rig_queue(struct rig *r, unsigned q, unsigned size)
{
	const uint64_t at = RIG_QUEUE(q);
	struct rig_queue *rq = &r->q[q];

	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_MSIX, 2, q + 1);
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, at);
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, at + 0x8000);
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, at + 0xa000);
	memset(rig_ram(r, at), 0, 0xe000);
	*rq = (struct rig_queue){ .size = size,
		.desc = (void *)rig_ram(r, at),
		.avail = (void *)rig_ram(r, at + 0x8000),
		.used = (void *)rig_ram(r, at + 0xa000) };
	rig_write(r, r->common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

bool
rig_drive(struct rig *r, uint64_t features, unsigned n, unsigned size)
{
	rig_set_status(r, 0);
	rig_set_status(r, 1);
	rig_set_status(r, 3);
	rig_set_features(r, features | VIRTIO_BIT(VIRTIO_F_VERSION_1));
	rig_set_status(r, 11);
	if (rig_status(r) != 11)
		return false;
	rig_write(r, r->common + VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned q = 0; q < n; q++)
		rig_queue(r, q, size);
	rig_set_status(r, 15);
	return rig_status(r) == 15;
}

void
rig_offer(struct rig *r, unsigned q, uint16_t head)
{
	struct rig_queue *rq = &r->q[q];
	uint16_t idx = rq->avail->idx;

	__atomic_store_n(
	    &rq->avail->ring[idx % rq->size], head, __ATOMIC_RELAXED);
	__atomic_store_n(&rq->avail->idx, idx + 1, __ATOMIC_SEQ_CST);
}

void
rig_kick(struct rig *r, unsigned q)
{
	rig_write(r, r->notify + q * r->notify_mult, 2, q);
}

bool
rig_wait(struct rig *r, unsigned q, unsigned ms, struct vring_used_elem *ret)
{
	struct rig_queue *rq = &r->q[q];
	uint64_t end = mevent_now_ns() + ms * UINT64_C(1000000);

	while (__atomic_load_n(&rq->used->idx, __ATOMIC_ACQUIRE) == rq->seen) {
		if (mevent_now_ns() > end)
			return false;
		usleep(50);
	}
	*ret = rq->used->ring[rq->seen++ % rq->size];
	return true;
}
