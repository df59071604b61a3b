/*
 * A machine around one virtio function: real memory, buses and PCI core, an
 * engine that runs nothing and notes what devices ask of it. The test is the
 * guest: it reaches the device by port and memory accesses only.
 */
#ifndef UNIT_VIRTIO_RIG_H
#define UNIT_VIRTIO_RIG_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "dev/pci/pci.h"
#include "vmm/vm.h"

#define RIG_RAM (4 * MiB)
#define RIG_SLOT 4
/* Where the rig puts queue q: a page of descriptors, one of each ring. */
#define RIG_QUEUE(q) (0x10000 + (q)*0x10000u)
#define RIG_DATA 0x200000
#define RIG_MSI_ADDR 0xfee00000u
#define RIG_MSI_DATA(v) (0x40u + (v))
#define RIG_BELLS 64
/* For what must come, in ms: a busy machine gives a thread its turn late. */
#define RIG_PATIENCE 20000

struct rig_bell {
	int fd;
	uint64_t addr, value;
	unsigned len, flags;
};

struct rig_queue {
	unsigned size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t seen; /* used entries taken */
};

struct rig {
	struct vm *vm;
	struct pci_bus *pb;
	struct pci_dev *pd;
	uint64_t bar; /* of the modern interface */
	uint16_t io; /* of the legacy one, 0 = none */
	unsigned common, isr, device, notify, notify_mult, window; /* offsets */
	unsigned msix; /* capability */
	pthread_t loop_thread;
	bool has_thread;
	struct rig_queue q[20];
};

/* What the engine was asked; under a lock, hence functions. */
unsigned rig_msis(unsigned vector);
/* The same, when there are n of them or RIG_PATIENCE is over. */
unsigned rig_msis_reach(unsigned vector, unsigned n);
unsigned rig_bells(struct rig_bell *ret); /* RIG_BELLS entries */
/* Offer ioeventfds from now on? The default is no. */
void rig_offer_bells(bool on);

/*
 * A machine with "-s 4,MODEL,OPTS". Fails with what the model says. With
 * 'threads' the main loop has a thread, else rig_step() runs it.
 */
int rig_open(struct rig *r, const char *model, const char *opts, bool threads,
    struct error *err);
void rig_close(struct rig *r);

uint8_t *rig_ram(struct rig *r, uint64_t gpa);
uint32_t rig_cfg_read(struct rig *r, unsigned off, unsigned width);
void rig_cfg_write(struct rig *r, unsigned off, unsigned width, uint32_t value);
uint64_t rig_read(struct rig *r, uint64_t off, unsigned width);
void rig_write(struct rig *r, uint64_t off, unsigned width, uint64_t value);
uint32_t rig_in(struct rig *r, unsigned off, unsigned width);
void rig_out(struct rig *r, unsigned off, unsigned width, uint32_t value);

/* ---- a driver ---- */
uint8_t rig_status(struct rig *r);
void rig_set_status(struct rig *r, uint8_t status);
/* The status, when it is 'want' or RIG_PATIENCE is over. */
uint8_t rig_status_reach(struct rig *r, uint8_t want);
/* Is the pin up? Waits RIG_PATIENCE for it to come. */
bool rig_intx_reach(struct rig *r);
uint64_t rig_features(struct rig *r);
void rig_set_features(struct rig *r, uint64_t features);
/* MSI-X on; queue q gets vector q+1, the configuration 0. */
void rig_msix(struct rig *r);
void rig_queue(struct rig *r, unsigned q, unsigned size);
/* Reset, features (VERSION_1 added), n queues, DRIVER_OK. */
bool rig_drive(struct rig *r, uint64_t features, unsigned n, unsigned size);
void rig_offer(struct rig *r, unsigned q, uint16_t head);
void rig_kick(struct rig *r, unsigned q);
/* Next used entry within the time; false: none. */
bool
rig_wait(struct rig *r, unsigned q, unsigned ms, struct vring_used_elem *ret);

#endif
