/*
 * Doorbells: while a device runs, the guest's writes to notify registers signal
 * the queues' eventfds inside the engine, so that no vCPU leaves the guest for
 * them. Where the engine does not offer that, the writes come to the BAR
 * handlers, which signal the same eventfds.
 *
 * Binding is put off until DRIVER_OK: it is not free, and firmware moves BARs.
 */
#include "dev/virtio/virtio_impl.h"
#include "vmm/vm.h"

/* Any width, any value: the address alone says which queue (4.1.4.4). */
static void
bell_bind_mem(struct virtio_dev *vd, unsigned q, bool on)
{
	vm_engine_ops(vd->vm)->ioeventfd(vm_engine(vd->vm),
	    mevent_notifier_fd(vd->vqs[q].bell),
	    vd->mem_bell.addr + VIRTIO_OFF_NOTIFY +
		(uint64_t)q * VIRTIO_NOTIFY_MULTIPLIER,
	    0, 0, 0, on);
}

/* One register for all queues, the value tells which (4.1.5.2, legacy). */
static void
bell_bind_io(struct virtio_dev *vd, unsigned q, bool on)
{
	vm_engine_ops(vd->vm)->ioeventfd(vm_engine(vd->vm),
	    mevent_notifier_fd(vd->vqs[q].bell),
	    vd->io_bell.addr + VIRTIO_LEGACY_NOTIFY, 2, q,
	    ENGINE_IOEVENT_PIO | ENGINE_IOEVENT_MATCH, on);
}

/*
 * A queue that cannot be bound (the host's limit, an engine without the
 * feature) works through the BAR handler, hence no errors here.
 */
static void
bells_update_locked(struct virtio_dev *vd, struct virtio_bell_base *base,
    void (*bind)(struct virtio_dev *vd, unsigned q, bool on))
{
	bool on = vd->bells_on && base->mapped;

	if (on == base->bound || vm_engine(vd->vm) == NULL ||
	    vm_engine_ops(vd->vm)->ioeventfd == NULL)
		return;
	for (unsigned q = 0; q < vd->nqueues; q++)
		bind(vd, q, on);
	base->bound = on;
}

static void
bells_update_all_locked(struct virtio_dev *vd)
{
	bells_update_locked(vd, &vd->mem_bell, bell_bind_mem);
	bells_update_locked(vd, &vd->io_bell, bell_bind_io);
}

void
virtio_bells_set(struct virtio_dev *vd, bool on)
{
	pthread_mutex_lock(&vd->bell_lock);
	vd->bells_on = on;
	bells_update_all_locked(vd);
	pthread_mutex_unlock(&vd->bell_lock);
}

void
virtio_bar_moved(struct pci_dev *pd, unsigned idx, uint64_t addr, bool enabled)
{
	struct virtio_dev *vd = pci_dev_priv(pd);
	struct virtio_bell_base *base;

	if (vd == NULL)
		return;
	if (idx == VIRTIO_BAR_MODERN)
		base = &vd->mem_bell;
	else if (idx == VIRTIO_BAR_LEGACY)
		base = &vd->io_bell;
	else
		return;
	pthread_mutex_lock(&vd->bell_lock);
	base->mapped = false;
	bells_update_all_locked(vd);
	base->addr = addr;
	base->mapped = enabled;
	bells_update_all_locked(vd);
	pthread_mutex_unlock(&vd->bell_lock);
}
