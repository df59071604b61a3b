/*
 * VMs: zones as vmadm(8) sees them, by their JSON. All of it is made of what
 * zonecfg(8) and zoneadm(8) use: the configuration is the truth, the index says
 * how far a zone came, volumes and metadata lie where the configuration says.
 *
 * A VM whose making was interrupted is 'configured' or 'incomplete', and
 * vm_delete() removes it; as long as somebody works on it, it is
 * 'provisioning'.
 */
#ifndef ADMIN_VM_H
#define ADMIN_VM_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/admin.h"
#include "manifest/manifest.h"

struct vm {
	char name[ZONE_NAME_MAX + 1];
	char uuid[ZONE_UUID_LEN + 1]; /* "": it has none yet */
	enum zone_state state;
};
/* By UUID, or by the zone's name. -ENOENT. */
int
vm_find(struct admin *a, const char *what, struct vm *ret, struct error *err);

/* ---- facts ---- */

/*
 * What is known of a VM, only the properties that are asked for (NULL: all of
 * them). Nothing is read that none of them needs. A damaged configuration gives
 * no properties, but its state.
 */
struct vm_fields {
	const char *const *v;
	size_t n;
};
int vm_facts(struct admin *a, const struct zone_entry *e,
    const struct vm_fields *fields, json_t **ret, struct error *err);
/* The same of one VM; a damaged configuration is an error. */
int
vm_get(struct admin *a, const struct vm *vm, json_t **ret, struct error *err);
/* The word for a state, as SmartOS has it. */
const char *
vm_state_name(struct admin *a, const char *zone, enum zone_state state);

/* ---- make and unmake ---- */

/*
 * From a manifest, which is changed, to a VM that is installed and, with
 * autoboot, runs. -EINVAL with faults: the manifest is wrong. A failure leaves
 * nothing.
 */
int vm_create(struct admin *a, json_t *manifest, struct manifest_faults *faults,
    char ret_uuid[ZONE_UUID_LEN + 1], struct error *err);
/* -EBUSY: it runs, unless force: then it is halted. -EPERM: indestructible. */
int
vm_delete(struct admin *a, const struct vm *vm, bool force, struct error *err);
/*
 * Another boot disk, of an image, where the old one was; the VM is stopped, and
 * has no snapshots. A failure leaves the old one.
 */
int vm_reprovision(struct admin *a, const struct vm *vm, const char *image_uuid,
    struct manifest_faults *faults, struct error *err);

/* ---- change ---- */

/*
 * *note (may be NULL) says what waits for the next boot. A failure leaves
 * everything as it was.
 */
int vm_update(struct admin *a, const struct vm *vm, json_t *payload,
    struct manifest_faults *faults, struct buf *note, struct error *err);

/* ---- run ---- */

struct vm_start {
	/* for this boot only: "PATH,MODEL" each */
	const char *const *cdroms, *const *disks;
	size_t ncdroms, ndisks;
	const char *order; /* as boot-order; NULL: the VM's */
};
int vm_start(struct admin *a, const struct vm *vm, const struct vm_start *how,
    struct error *err);
/* Press the button, wait for seconds (0: 180), then halt; force: halt. */
int vm_stop(struct admin *a, const struct vm *vm, bool force, uint64_t seconds,
    struct error *err);
int vm_reboot(struct admin *a, const struct vm *vm, bool force,
    uint64_t seconds, struct error *err);
int vm_nmi(struct admin *a, const struct vm *vm, struct error *err);

/* ---- snapshots ---- */

int vm_snapshot(
    struct admin *a, const struct vm *vm, const char *name, struct error *err);
/* Stops the VM, and starts it again if it ran. */
int vm_rollback(
    struct admin *a, const struct vm *vm, const char *name, struct error *err);
int vm_snapshot_delete(
    struct admin *a, const struct vm *vm, const char *name, struct error *err);

/* ---- send and receive ---- */

/* Of a VM that does not run; to any descriptor. */
int vm_send(struct admin *a, const struct vm *vm, int fd, struct error *err);
/*
 * A failure leaves nothing. -EPERM: it names files or devices of this host,
 * which nobody but a trusted sender may.
 */
int vm_receive(struct admin *a, int fd, bool trust,
    char ret_uuid[ZONE_UUID_LEN + 1], struct error *err);

#endif
