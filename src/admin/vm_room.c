/*
 * What update_disks says of volumes that stay: compression and refreservation.
 * What may fail for want of room comes before the configuration is written, and
 * can be taken back; what only gives room back comes after it.
 */
#include <errno.h>
#include <string.h>

#include "admin/vm_impl.h"
#include "base/str.h"

/* A disk that an update names, as it is and as it is to be. */
struct change {
	const char *path;
	const json_t *to; /* of the payload */
	json_t *was; /* of the configuration */
	size_t at;
};

static bool
says(const struct change *c, const char *name)
{
	return json_object_get(c->to, name) != NULL;
}

/* fn of each disk of update_disks that the configuration has. */
static int
each_change(const struct vm_work *w, const json_t *payload,
    int (*fn)(const struct vm_work *w, const struct change *c, void *arg,
	struct error *err),
    void *arg, struct error *err)
{
	json_t *disks = manifest_get(w->conf, "disks"), *was;
	struct change c = { NULL };
	size_t k;
	int rc = 0;

	json_array_foreach(json_object_get(payload, "update_disks"), c.at, c.to)
	{
		c.path = vm_text(c.to, "path");
		json_array_foreach(disks, k, was)
		{
			c.was = was;
			if (rc == 0 && c.path != NULL &&
			    vm_text(was, "path") != NULL &&
			    strcmp(vm_text(was, "path"), c.path) == 0 &&
			    (rc = fn(w, &c, arg, err)) < 0)
				error_prefix(err, "update_disks.%zu", c.at);
		}
	}
	json_decref(disks);
	return rc;
}

/* ---- before anything is done ---- */

static int
check(const struct vm_work *w, const struct change *c, void *arg,
    struct error *err)
{
	const char *what =
	    says(c, "compression") ? "compression" : "refreservation";
	uint64_t size = vm_mib(says(c, "size") ? c->to : c->was, "size");
	uint64_t keep = vm_mib(
	    says(c, "refreservation") ? c->to : c->was, "refreservation");
	struct volume_id id;

	if (!says(c, "compression") && !says(c, "refreservation") &&
	    !says(c, "size"))
		return 0;
	if (keep > size && size != 0)
		return error_set(err, EINVAL,
		    "refreservation: %ju is more than the size, %ju",
		    (uintmax_t)(keep / MiB), (uintmax_t)(size / MiB));
	if (!says(c, "compression") && !says(c, "refreservation"))
		return 0;
	if (volume_parse(c->path, &id) < 0 || strcmp(id.zone, w->vm->uuid) != 0)
		return error_set(err, EINVAL,
		    "%s: %.160s is no volume of this VM", what, c->path);
	if (says(c, "refreservation") &&
	    keep < vm_mib(c->was, "refreservation") &&
	    w->state > ZONE_STATE_INSTALLED)
		return error_set(err, EBUSY,
		    "refreservation: VM %s is running: stop it before less is "
		    "set aside",
		    w->vm->name);
	return 0;
}

int
vm_room_check(const struct vm_work *w, const json_t *payload, struct error *err)
{
	return each_change(w, payload, check, NULL, err);
}

/* ---- before the configuration is written ---- */

struct grow {
	struct buf *note;
	bool back; /* what was done is taken back */
};

/* A pool that does not compress keeps the word, as at the VM's making. */
static int
compress(const struct vm_work *w, const struct change *c, const struct grow *g,
    struct error *err)
{
	struct error late = ERROR_INIT;
	int rc;

	rc = volume_set_compression(w->pools, c->path,
	    vm_text(g->back ? c->was : c->to, "compression"), &late);
	if (rc == -EOPNOTSUPP) {
		if (!g->back)
			vm_note(g->note,
			    "update_disks.%zu: compression is only kept: %s",
			    c->at, late.text);
		return 0;
	}
	return rc < 0 ? error_set(err, -rc, "compression: %s", late.text) : 0;
}

static int
grow(const struct vm_work *w, const struct change *c, void *arg,
    struct error *err)
{
	const struct grow *g = arg;
	uint64_t was = vm_mib(c->was, "refreservation");
	uint64_t to = vm_mib(c->to, "refreservation");
	int rc = 0;

	if (says(c, "compression"))
		rc = compress(w, c, g, err);
	if (rc < 0 || !says(c, "refreservation") || to <= was)
		return rc;
	if (g->back && w->state > ZONE_STATE_INSTALLED)
		return 0; /* it only has more room than it says */
	return volume_set_refreservation(
	    w->pools, c->path, g->back ? was : to, g->back, err);
}

int
vm_room_grow(const struct vm_work *w, const json_t *payload, struct buf *note,
    struct error *err)
{
	struct grow g = { note, false };

	return each_change(w, payload, grow, &g, err);
}

void
vm_room_undo(const struct vm_work *w, const json_t *payload)
{
	struct error late = ERROR_INIT;
	struct grow g = { NULL, true };

	(void)each_change(w, payload, grow, &g, &late);
}

/* ---- after it ---- */

static int
give_back(const struct vm_work *w, const struct change *c, void *arg,
    struct error *err)
{
	uint64_t to = vm_mib(c->to, "refreservation");

	if (!says(c, "refreservation") ||
	    to >= vm_mib(c->was, "refreservation"))
		return 0;
	return volume_set_refreservation(w->pools, c->path, to, true, err);
}

int
vm_room_give_back(
    const struct vm_work *w, const json_t *payload, struct error *err)
{
	return each_change(w, payload, give_back, NULL, err);
}
