/*
 * Process ids come again; a process id with its start time and the host's boot
 * id does not.
 */
#include "zone/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define RECORD "state"
#define RECORD_MAX (64U << 10)
#define RECORD_VERSION 1
#define STAT_START 22 /* field of /proc/PID/stat, proc(5) */

int
zone_live_path(const char *root, const char *zone, char *buf, size_t size)
{
	return str_format(buf, size, "%s/run/zhyve%s%s", root,
	    zone != NULL ? "/" : "", zone != NULL ? zone : "");
}

static int
make_dirs(const char *root, const char *zone, struct error *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = { { "", 0755 }, { "/run", 0755 }, { "/run/zhyve", 0755 } };
	char path[ZONE_LIVE_PATH];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		str_format(path, sizeof(path), "%s%s", root, dirs[i].name);
		if (path[0] != '\0' && mkdir(path, dirs[i].mode) != 0 &&
		    errno != EEXIST)
			return error_sys(err, errno, "%s", path);
	}
	zone_live_path(root, zone, path, sizeof(path));
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_sys(err, errno, "%s", path);
	return 0;
}

int
zone_live_open(const char *root, const char *zone, bool make, struct error *err)
{
	char path[ZONE_LIVE_PATH];
	int fd, rc;

	rc = zone_live_path(root, zone, path, sizeof(path));
	if (rc < 0)
		return error_set(err, ENAMETOOLONG, "root: path too long");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && make) {
		rc = make_dirs(root, zone, err);
		if (rc < 0)
			return rc;
		fd =
		    open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	return fd < 0 ? error_sys(err, errno, "%s", path) : fd;
}

/* ---- processes ---- */

static int
read_text(const char *path, char *text, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = fd_read_full(fd, text, size - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

int
zone_live_start_time(pid_t pid, uint64_t *ret)
{
	char path[64], text[1024];
	unsigned long long start;
	char *p;
	int rc;

	str_format(path, sizeof(path), "/proc/%d/stat", (int)pid);
	rc = read_text(path, text, sizeof(text));
	if (rc < 0)
		return -ESRCH;
	/* the name, field 2, may hold anything, blanks and ')' too */
	p = strrchr(text, ')');
	for (int field = 2; p != NULL && field < STAT_START; field++)
		p = strchr(p + 1, ' ');
	/* a zombie lives no more: field 3 */
	if (p == NULL || sscanf(p, " %llu", &start) != 1 ||
	    strrchr(text, ')')[2] == 'Z')
		return -ESRCH;
	*ret = start;
	return 0;
}

static const char *
boot_id(void)
{
	static char id[64];

	if (id[0] == '\0' &&
	    read_text("/proc/sys/kernel/random/boot_id", id, sizeof(id)) < 0)
		strcpy(id, "unknown");
	id[strcspn(id, "\n")] = '\0';
	return id;
}

/* ---- the record ---- */

static int
parse(struct nvlist *nvl, struct zone_live *ret)
{
	const char *state = NULL, *step = NULL, *boot = NULL;
	uint64_t version = 0, instance = 0, pid = 0, start = 0, now = 0;
	struct zone_live l = { .record = nvl };

	if (nvlist_get_u64(nvl, "version", &version) < 0 ||
	    version != RECORD_VERSION ||
	    nvlist_get_str(nvl, "state", &state) < 0 ||
	    zone_state_parse(state, &l.state) < 0 ||
	    nvlist_get_str(nvl, "step", &step) < 0 ||
	    nvlist_get_str(nvl, "boot_id", &boot) < 0 ||
	    nvlist_get_u64(nvl, "instance", &instance) < 0 ||
	    nvlist_get_u64(nvl, "pid", &pid) < 0 || pid > INT32_MAX ||
	    nvlist_get_u64(nvl, "start", &start) < 0)
		return -EINVAL;
	l.step = step;
	l.instance = instance;
	l.pid = (pid_t)pid;
	l.alive = pid != 0 && strcmp(boot, boot_id()) == 0 &&
	    zone_live_start_time(l.pid, &now) == 0 && now == start;
	*ret = l;
	return 0;
}

int
zone_live_read(const char *root, const char *zone, struct zone_live *ret)
{
	char path[ZONE_LIVE_PATH + 16];
	struct nvlist *nvl = NULL;
	struct buf b;
	int rc;

	rc = zone_live_path(root, zone, path, ZONE_LIVE_PATH);
	if (rc < 0)
		return rc;
	strcat(path, "/" RECORD);
	buf_init(&b, RECORD_MAX);
	rc = fd_read_file(AT_FDCWD, path, &b);
	if (rc == 0)
		rc = nvlist_unpack(b.data, b.len, &nvl, NULL);
	if (rc == 0)
		rc = parse(nvl, ret);
	buf_fini(&b);
	if (rc < 0)
		nvlist_free(nvl);
	return rc;
}

void
zone_live_fini(struct zone_live *live)
{
	nvlist_free(live->record);
	live->record = NULL;
}

int
zone_live_put(
    int dir, const char *name, const void *data, size_t n, struct error *err)
{
	cleanup_close int fd = -1;
	char temp[64];
	int rc;

	rc = str_format(temp, sizeof(temp), ".%s.new", name);
	if (rc < 0)
		return error_sys(err, -rc, "%s", name);
	fd = openat(dir, temp,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, errno, "cannot write %s", name);
	rc = fd_write_all(fd, data, n);
	if (rc == 0 && renameat(dir, temp, dir, name) != 0)
		rc = -errno;
	if (rc < 0) {
		unlinkat(dir, temp, 0);
		return error_sys(err, -rc, "cannot write %s", name);
	}
	return 0;
}

int
zone_live_write(int dir, struct nvlist *record, struct error *err)
{
	uint64_t pid = 0, start = 0;
	struct buf b;
	int rc;

	if (nvlist_get_u64(record, "pid", &pid) == 0 && pid != 0)
		(void)zone_live_start_time((pid_t)pid, &start);
	rc = nvlist_add_u64(record, "version", RECORD_VERSION);
	if (rc == 0)
		rc = nvlist_add_str(record, "boot_id", boot_id());
	if (rc == 0)
		rc = nvlist_add_u64(record, "start", start);
	if (rc < 0)
		return error_set(err, ENOMEM, "out of memory");
	buf_init(&b, RECORD_MAX);
	rc = nvlist_pack(record, &b);
	if (rc < 0)
		error_sys(err, -rc, "record of the zone");
	else
		rc = zone_live_put(dir, RECORD, b.data, b.len, err);
	buf_fini(&b);
	return rc;
}

int
zone_live_forget(int dir)
{
	return unlinkat(dir, RECORD, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

enum zone_state
zone_live_state(const char *root, const struct zone_entry *e)
{
	enum zone_state state = e->state;
	struct zone_live live;

	if (zone_live_read(root, e->name, &live) < 0)
		return state;
	if (live.alive && live.state > ZONE_STATE_INSTALLED)
		state = live.state;
	zone_live_fini(&live);
	return state;
}
