/*
 * vmadm send: a VM that does not run, as a stream.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/vm_impl.h"
#include "admin/vm_stream.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "zone/assign.h"

static int
put_json(
    struct stream *s, enum stream_type type, const json_t *o, struct error *err)
{
	char *dump = json_dumps(o, JSON_COMPACT);
	int rc;

	if (dump == NULL)
		return error_set(err, ENOMEM, "out of memory");
	rc = stream_put(s, type, dump, strlen(dump), err);
	str_cleanup_free(&dump);
	return rc;
}

static int
send_files(struct stream *s, struct vm_work *w, struct error *err)
{
	static const char *const files[] = { "customer_metadata",
		"internal_metadata", "tags", "routes" };
	cleanup_close int dir = vm_config_dir(w->a, w->conf, true, err);
	json_t *all = json_object(), *o;
	int rc = dir < 0 ? dir : 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(files); i++) {
		rc = vm_file_get(dir, files[i], &o, err);
		if (rc == 0 && json_object_set_new(all, files[i], o) != 0)
			rc = error_set(err, ENOMEM, "out of memory");
	}
	if (rc == 0)
		rc = put_json(s, STREAM_FILES, all, err);
	json_decref(all);
	return rc;
}

/* The firmware's variables: what to boot is in there. */
static int
send_vars(struct stream *s, struct vm_work *w, struct error *err)
{
	const char *zonepath = zone_conf_get(w->conf, "zonepath");
	char path[ADMIN_PATH + 16];
	struct buf b;
	int rc;

	rc = admin_path(w->a, zonepath, zonepath, path, ADMIN_PATH, err);
	if (rc < 0)
		return rc;
	strcat(path, "/uefivars");
	buf_init(&b, STREAM_RECORD_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc >= 0)
		rc = stream_put(s, STREAM_VARS, b.data, b.len, err);
	else if (rc == -ENOENT)
		rc = 0;
	else
		rc = error_sys(err, -rc, "%s", path);
	buf_fini(&b);
	return rc;
}

/* ---- volumes ---- */

/* Offset in front; all zero says nothing. */
static int
send_chunk(struct stream *s, int fd, uint64_t at, size_t n, uint8_t *chunk,
    struct error *err)
{
	ssize_t got = fd_pread_full(fd, chunk + 8, n, (off_t)at);

	if (got != (ssize_t)n)
		return error_sys(
		    err, got < 0 ? (int)-got : EIO, "cannot read a disk");
	if (chunk[8] == 0 && memcmp(chunk + 8, chunk + 9, n - 1) == 0)
		return 0;
	store_be64(chunk, at);
	return stream_put(s, STREAM_DATA, chunk, n + 8, err);
}

static int
send_data(struct stream *s, int fd, uint64_t size, struct error *err)
{
	cleanup_free uint8_t *chunk = alloc_bytes(STREAM_CHUNK + 8);
	uint64_t at = 0;
	off_t data;
	int rc = 0;

	if (chunk == NULL)
		return error_set(err, ENOMEM, "out of memory");
	while (rc == 0 && at < size) {
		/* devices know no holes: -1, and all of it is read */
		data = lseek(fd, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		if (data > 0 && (uint64_t)data > at)
			at = ROUND_DOWN((uint64_t)data, 4096);
		rc = send_chunk(s, fd, at,
		    (size_t)MIN(size - at, (uint64_t)STREAM_CHUNK), chunk, err);
		at += STREAM_CHUNK;
	}
	return rc;
}

static int
send_volume(struct stream *s, struct vm_work *w, const char *conf_path,
    struct error *err)
{
	cleanup_close int fd = -1;
	char path[ADMIN_PATH];
	struct volume_info info;
	json_t *head;
	int rc;

	rc = volume_stat(w->pools, conf_path, &info, err);
	if (rc == 0)
		rc = volume_path(w->pools, conf_path, path, sizeof(path), err);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	head = json_pack("{s:s, s:I}", "path", info.conf_path, "size",
	    (json_int_t)info.size);
	rc = put_json(s, STREAM_VOLUME, head, err);
	json_decref(head);
	return rc < 0 ? rc : send_data(s, fd, info.size, err);
}

static bool
is_elsewhere(const struct zone_res *disk)
{
	const char *there = zone_res_pair(disk, "nocreate");

	return zone_res_flag(disk, "readonly") ||
	    strcmp(zone_res_lookup(disk, "media"), "cdrom") == 0 ||
	    (there != NULL && strcmp(there, "true") == 0);
}

static int
send_volumes(struct stream *s, struct vm_work *w, struct error *err)
{
	const struct zone_res *disk;
	const char *path;
	struct volume_id id;
	size_t at = ZONE_NEW;
	int rc = 0;

	while (rc == 0 && (disk = zone_conf_next_disk(w->conf, &at)) != NULL) {
		path = zone_res_disk_path(disk);
		if (volume_parse(path, &id) == 0 &&
		    strcmp(id.zone, w->vm->uuid) == 0)
			rc = send_volume(s, w, path, err);
		else if (!is_elsewhere(disk))
			rc = error_set(err, EINVAL,
			    "disk %.160s is no volume of this VM: it would not "
			    "be there at the other end; say nocreate if it is",
			    path);
	}
	return rc;
}

static int
send_all(struct vm_work *w, int fd, struct error *err)
{
	uint8_t count[8];
	struct stream s;
	int rc = stream_begin(&s, fd, err);

	if (rc == 0)
		rc =
		    stream_put(&s, STREAM_CONF, w->base.data, w->base.len, err);
	if (rc == 0)
		rc = send_files(&s, w, err);
	if (rc == 0)
		rc = send_vars(&s, w, err);
	if (rc == 0)
		rc = send_volumes(&s, w, err);
	store_be64(count, s.records);
	return rc < 0 ? rc
		      : stream_put(&s, STREAM_END, count, sizeof(count), err);
}

int
vm_send(struct admin *a, const struct vm *vm, int fd, struct error *err)
{
	struct vm_work w;
	int rc;

	rc = vm_work_begin(&w, a, vm, ADMIN_IN(INSTALLED), "sending it", err);
	if (rc < 0)
		return rc;
	rc = vm_verify(a, w.conf, err);
	if (rc == 0)
		rc = send_all(&w, fd, err);
	vm_work_end(&w);
	return rc;
}
