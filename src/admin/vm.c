/*
 * Finding a VM, working on it, and what a supervisor does with it.
 */
#include "admin/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/brand.h"
#include "zone/verify.h"

#define STOP_SECONDS 180 /* what SmartOS gives a guest */
#define WORDS_MAX 31 /* arguments of a boot that a supervisor takes */

int
vm_find(struct admin *a, const char *what, struct vm *ret, struct error *err)
{
	struct zone_index *ix = NULL;
	const struct zone_entry *e;
	int rc = zone_store_index(a->store, &ix, err);

	if (rc < 0)
		return rc;
	e = zone_index_find_uuid(ix, what);
	if (e == NULL && strcmp(what, "global") != 0)
		e = zone_index_find(ix, what);
	if (e == NULL) {
		rc = error_set(err, ENOENT, "there is no VM '%.64s'", what);
	} else {
		strcpy(ret->name, e->name);
		strcpy(ret->uuid, e->uuid);
		ret->state = zone_live_state(a->root, e);
	}
	zone_index_free(ix);
	return rc;
}

int
vm_uuid(char ret[ZONE_UUID_LEN + 1], struct error *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return error_sys(err, errno, "uuid");
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*ret++ = '-';
		snprintf(ret, 3, "%02x", b[i]);
		ret += 2;
	}
	return 0;
}

int
vm_verify(struct admin *a, const struct zone_conf *conf, struct error *err)
{
	const char *name = zone_conf_get(conf, "brand");
	struct zone_brand *brand = NULL;
	int rc;

	rc = zone_brand_load(a->brands, name != NULL ? name : "", &brand, err);
	if (rc == 0)
		rc = zone_verify(conf, brand, err);
	zone_brand_free(brand);
	return rc;
}

const char *
vm_text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

uint64_t
vm_mib(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 ? (uint64_t)n * MiB : 0;
}

char *
vm_pool(const struct zone_conf *conf)
{
	json_t *v = manifest_get(conf, "zpool");
	char *pool = alloc_strdup(v != NULL ? json_string_value(v) : "zones");

	json_decref(v);
	return pool;
}

/* ---- work ---- */

int
vm_work_begin(struct vm_work *w, struct admin *a, const struct vm *vm,
    unsigned states, const char *what, struct error *err)
{
	struct vm now;
	int rc;

	*w = (struct vm_work){ .a = a, .vm = vm, .lock = -1 };
	buf_init(&w->base, ZONE_XML_MAX);
	rc = w->lock = admin_lock_in(a, vm->name, states, what, err);
	if (rc >= 0)
		rc = vm_find(a, vm->name, &now, err);
	if (rc == 0)
		rc = zone_store_load(
		    a->store, vm->name, false, &w->conf, &w->base, err);
	if (rc == 0)
		rc = volume_pools_open(a->root, &w->pools, err);
	if (rc < 0)
		vm_work_end(w);
	else
		w->state = now.state;
	return rc;
}

void
vm_work_end(struct vm_work *w)
{
	zone_conf_free(w->conf);
	buf_fini(&w->base);
	volume_pools_close(w->pools);
	fd_close(&w->lock);
	w->conf = NULL;
	w->pools = NULL;
}

int
vm_work_save(struct vm_work *w, struct zone_conf *conf, struct error *err)
{
	int rc = vm_verify(w->a, conf, err);

	return rc < 0
	    ? rc
	    : zone_store_save(w->a->store, w->vm->name, conf, &w->base, err);
}

/* A change of one property needs no lock but the store's: the last one wins. */
int
vm_set_autoboot(
    struct admin *a, const struct vm *vm, bool on, struct error *err)
{
	const char *want = on ? "true" : "false", *has;
	struct zone_conf *conf = NULL;
	struct buf base;
	int rc;

	buf_init(&base, ZONE_XML_MAX);
	for (int i = 0; i < 10; i++) {
		buf_reset(&base);
		rc = zone_store_load(
		    a->store, vm->name, false, &conf, &base, err);
		if (rc < 0)
			break;
		has = zone_conf_get(conf, "autoboot");
		if (has == NULL || strcmp(has, want) != 0) {
			rc = zone_conf_set_text(conf, "autoboot", want, err);
			if (rc == 0)
				rc = zone_store_save(
				    a->store, vm->name, conf, &base, err);
		}
		zone_conf_free(conf);
		conf = NULL;
		if (rc != -EBUSY)
			break;
	}
	buf_fini(&base);
	return rc;
}

/* ---- run ---- */

static int
check_ours(const struct vm *vm, const char *what, struct error *err)
{
	if (vm->state >= ZONE_STATE_INSTALLED)
		return 0;
	return error_set(err, EINVAL,
	    "VM %s is %s: it cannot %s; delete it, or wait if somebody makes "
	    "it",
	    vm->name, zone_state_name(vm->state), what);
}

/* What is only for this boot is told in words that the brand knows. */
static int
start_words(const struct vm_start *how, struct buf *b, const char **words,
    size_t max, struct error *err)
{
	const struct {
		const char *name;
		const char *const *v;
		size_t n;
	} lists[] = {
		{ "cdrom", how->cdroms, how->ncdroms },
		{ "disk", how->disks, how->ndisks },
		{ "order", &how->order, how->order != NULL },
	};
	size_t n = 0, at[32];

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t k = 0; k < lists[i].n; k++) {
			if (n == max || n == ARRAY_LEN(at))
				return error_set(err, E2BIG,
				    "more than %zu disks for one boot", max);
			at[n++] = b->len;
			buf_printf(
			    b, "zhyve.%s=%s", lists[i].name, lists[i].v[k]);
			buf_put_u8(b, 0);
		}
	if (buf_error(b) != 0)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		words[i] = (const char *)b->data + at[i];
	return (int)n;
}

/* A request's arguments stand in for the configured ones: those come along. */
static int
configured_words(struct admin *a, const struct vm *vm, char **text,
    const char **words, size_t max, struct error *err)
{
	struct zone_conf *conf = NULL;
	const char *bootargs;
	char *save = NULL;
	size_t n = 0;
	int rc;

	rc = zone_store_load(a->store, vm->name, false, &conf, NULL, err);
	if (rc < 0)
		return rc;
	bootargs = zone_conf_get(conf, "bootargs");
	*text = alloc_strdup(bootargs != NULL ? bootargs : "");
	zone_conf_free(conf);
	if (*text == NULL)
		return error_set(err, ENOMEM, "out of memory");
	for (char *w = strtok_r(*text, " \t", &save); w != NULL && n < max;
	     w = strtok_r(NULL, " \t", &save))
		words[n++] = w;
	return (int)n;
}

int
vm_start(struct admin *a, const struct vm *vm, const struct vm_start *how,
    struct error *err)
{
	struct admin_request rq = { .command = "boot" };
	cleanup_free char *text = NULL;
	const char *words[WORDS_MAX];
	struct buf b;
	int rc = check_ours(vm, "start", err);

	if (rc < 0)
		return rc;
	if (vm->state > ZONE_STATE_READY)
		return error_set(
		    err, EALREADY, "VM %s is running already", vm->name);
	buf_init(&b, 1 << 16);
	if (how != NULL)
		rc = start_words(how, &b, words, WORDS_MAX / 2, err);
	if (rc > 0) {
		rq.args = words;
		rq.nargs = (size_t)rc;
		rc = configured_words(
		    a, vm, &text, words + rc, WORDS_MAX - (size_t)rc, err);
		rq.nargs += rc > 0 ? (size_t)rc : 0;
	}
	if (rc >= 0)
		rc = admin_request(a, vm->name, &rq, NULL, err);
	buf_fini(&b);
	return rc < 0 ? rc : vm_set_autoboot(a, vm, true, err);
}

static int
request(
    struct admin *a, const struct vm *vm, const char *what, struct error *err)
{
	const struct admin_request rq = { .command = what };

	return admin_request(a, vm->name, &rq, NULL, err);
}

/* Who does not listen to the button is halted. */
static int
press(struct admin *a, const struct vm *vm, bool reboot, uint64_t seconds,
    struct error *err)
{
	const struct admin_request rq = { .command = "shutdown",
		.reboot = reboot,
		.timeout = seconds != 0 ? seconds : STOP_SECONDS };
	struct error late = ERROR_INIT;

	if (admin_request(a, vm->name, &rq, NULL, &late) == 0)
		return 0;
	if (reboot)
		return request(a, vm, "reboot", err);
	return request(a, vm, "halt", err);
}

int
vm_stop(struct admin *a, const struct vm *vm, bool force, uint64_t seconds,
    struct error *err)
{
	int rc = check_ours(vm, "stop", err);

	if (rc == 0 && vm->state == ZONE_STATE_INSTALLED)
		rc = error_set(
		    err, EALREADY, "VM %s is stopped already", vm->name);
	if (rc == 0)
		rc = force || vm->state != ZONE_STATE_RUNNING
		    ? request(a, vm, "halt", err)
		    : press(a, vm, false, seconds, err);
	return rc < 0 ? rc : vm_set_autoboot(a, vm, false, err);
}

int
vm_reboot(struct admin *a, const struct vm *vm, bool force, uint64_t seconds,
    struct error *err)
{
	if (vm->state != ZONE_STATE_RUNNING)
		return error_set(err, EINVAL,
		    "VM %s is not running, but %s; start it", vm->name,
		    vm_state_name(a, vm->name, vm->state));
	return force ? request(a, vm, "reboot", err)
		     : press(a, vm, true, seconds, err);
}

int
vm_nmi(struct admin *a, const struct vm *vm, struct error *err)
{
	if (vm->state != ZONE_STATE_RUNNING)
		return error_set(err, EINVAL,
		    "VM %s is not running, but %s; start it", vm->name,
		    vm_state_name(a, vm->name, vm->state));
	return request(a, vm, "nmi", err);
}
