#include "block_rig.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "tap.h"

static const struct config_key keys[] = { BLOCK_CONFIG_KEYS, { NULL } };

struct mevent_loop *brig_loop;
char brig_path[512];

void
brig_image(uint64_t size)
{
	int fd;

	tap_check_int(str_format(brig_path, sizeof(brig_path), "%s/disk.img",
			  tap_tmpdir()),
	    0);
	fd = open(brig_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	tap_check(fd >= 0);
	tap_check_int(ftruncate(fd, (off_t)size), 0);
	close(fd);
	if (brig_loop == NULL)
		tap_check_int(mevent_loop_create(&brig_loop, NULL), 0);
}

int
brig_open(const char *path, const char *opts, struct block_dev **ret,
    struct error *err)
{
	struct config_node *node = config_create();
	char text[600];
	int rc;

	tap_check(node != NULL);
	tap_check_int(str_format(text, sizeof(text), "%s%s", path, opts), 0);
	rc = block_parse(node, text, err);
	if (rc == 0)
		rc = block_open(brig_loop, node, keys, ret, err);
	config_free(node);
	return rc;
}

struct block_dev *
brig_start(const char *opts)
{
	struct error err = ERROR_INIT;
	struct block_dev *bd;

	if (brig_open(brig_path, opts, &bd, &err) == 0)
		return bd;
	if (strstr(err.text, "refuses io_uring") != NULL)
		tap_skip("%s", err.text);
	tap_fail("%s: %s", opts, err.text);
}

void
brig_refused(const char *path, const char *opts, const char *part)
{
	struct error err = ERROR_INIT;
	struct block_dev *bd;

	tap_check(brig_open(path, opts, &bd, &err) < 0);
	tap_check_has(err.text, part);
}

void
brig_end(struct block_dev *bd)
{
	block_close(bd);
	mevent_loop_destroy(brig_loop);
	brig_loop = NULL;
}

/* ---- requests one by one ---- */

struct wait {
	bool over;
	int status;
};

static void
on_done(struct block_req *req, int status)
{
	struct wait *w = req->arg;

	tap_check(!w->over);
	w->over = true;
	w->status = status;
}

int
brig_run(struct block_dev *bd, struct block_req *req)
{
	struct wait w = { false, 0 };

	req->arg = &w;
	req->done = on_done;
	block_submit(bd, req);
	tap_check(!w.over);
	block_kick(bd);
	while (!w.over)
		tap_check_int(mevent_loop_once(brig_loop, 5000), 0);
	tap_check_int(block_inflight(bd), 0);
	return w.status;
}

int
brig_rw(struct block_dev *bd, enum block_op op, uint64_t off, void *p, size_t n)
{
	struct iovec iov = { p, n };
	struct block_req req = {
		.op = op, .offset = off, .len = n, .iov = &iov, .iovcnt = 1
	};

	return brig_run(bd, &req);
}

int
brig_range(struct block_dev *bd, enum block_op op, uint64_t off, uint64_t n)
{
	struct block_req req = { .op = op, .offset = off, .len = n };

	return brig_run(bd, &req);
}
