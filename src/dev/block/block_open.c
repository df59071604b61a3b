/*
 * Opening an image: its options, its lock, its geometry.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/passed.h"
#include "base/str.h"
#include "dev/block/block_impl.h"

#define DEV_FD "/dev/fd/"
#define DIO_ALIGN 4096 /* works where nothing better is known */
#define MAX_PHYSICAL (1u << 20)

/* In the order of the key's range. */
enum aio_kind { AIO_AUTO, AIO_URING, AIO_THREADS };

struct block_conf {
	char *path;
	char *sectorsize; /* NULL: by the medium */
	bool nocache, direct, sync, ro, nodelete;
	uint64_t aio;
};

/* ---- options ---- */

static int
set_option(struct config_node *node, char *opt, struct error *err)
{
	char *value = strchr(opt, '=');

	if (opt[0] == '\0' || opt[0] == '=')
		return error_set(
		    err, EINVAL, "an option between commas is empty");
	if (value == NULL)
		return config_set(node, opt, "true", err);
	*value++ = '\0';
	return config_set(node, opt, value, err);
}

int
block_parse(struct config_node *node, const char *opts, struct error *err)
{
	cleanup_free char *text = NULL;
	char *rest, *opt;
	int rc;

	if (opts == NULL || opts[0] == '\0' || opts[0] == ',')
		return error_set(err, EINVAL,
		    "a disk needs the path of its image or block device");
	text = alloc_strdup(opts);
	if (text == NULL)
		return error_sys(err, ENOMEM, "disk options");
	rest = text;
	opt = strsep(&rest, ",");
	if (strncmp(opt, "path=", 5) == 0)
		opt += 5;
	rc = config_set(node, "path", opt, err);
	while (rc == 0 && (opt = strsep(&rest, ",")) != NULL)
		rc = set_option(node, opt, err);
	return rc;
}

/* FNV-1a of the path */
void
block_default_serial(const char *path, char *buf, size_t size)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *path != '\0'; path++)
		h = (h ^ (uint8_t)*path) * UINT64_C(0x100000001b3);
	h ^= h >> 48;
	(void)str_format(buf, size, "BHYVE-%04X-%04X-%04X",
	    (unsigned)(h >> 32) & 0xffff, (unsigned)(h >> 16) & 0xffff,
	    (unsigned)h & 0xffff);
}

static int
conf_text(const struct config_node *node, const struct config_key *keys,
    const char *name, char **ret, struct error *err)
{
	int rc = config_get_str(node, keys, name, ret, err);

	return rc == -ENOENT ? 0 : rc;
}

static int
conf_read(struct block_conf *c, const struct config_node *node,
    const struct config_key *keys, struct error *err)
{
	const struct {
		const char *name;
		bool *ret;
	} bools[] = {
		{ "nocache", &c->nocache },
		{ "direct", &c->direct },
		{ "sync", &c->sync },
		{ "ro", &c->ro },
		{ "nodelete", &c->nodelete },
	};
	int rc;

	rc = conf_text(node, keys, "path", &c->path, err);
	if (rc == 0 && c->path == NULL)
		return error_set(err, EINVAL,
		    "a disk needs the path of its image or block device");
	if (rc == 0)
		rc = conf_text(node, keys, "sectorsize", &c->sectorsize, err);
	for (unsigned i = 0; rc == 0 && i < ARRAY_LEN(bools); i++)
		rc = config_get_bool(
		    node, keys, bools[i].name, bools[i].ret, err);
	if (rc == 0)
		rc = config_get_uint(node, keys, "aio", &c->aio, err);
	c->direct = c->direct || c->sync;
	return rc;
}

/* ---- opening ---- */

/* A descriptor that was handed to us; 'what it is open for' must fit. */
static int
inherit_fd(const struct block_conf *c, int n, struct error *err)
{
	int fd, fl;

	fl = fcntl(n, F_GETFL);
	if (fl == -1)
		return error_sys(err, errno, "%s", c->path);
	if (!c->ro && (fl & O_ACCMODE) != O_RDWR)
		return error_set(err, EACCES,
		    "%s: is not open for reading and writing; "
		    "use the option 'ro'",
		    c->path);
	if (c->direct && (fl & O_DSYNC) == 0)
		return error_set(err, EINVAL,
		    "%s: 'direct' needs a descriptor opened with O_DSYNC",
		    c->path);
	if (c->nocache && fcntl(n, F_SETFL, fl | O_DIRECT) == -1)
		return error_sys(
		    err, errno, "%s: cannot do 'nocache'", c->path);
	fd = fcntl(n, F_DUPFD_CLOEXEC, 0);
	if (fd == -1)
		return error_sys(err, errno, "%s", c->path);
	return fd;
}

static int
inherit_number(const struct block_conf *c, struct error *err)
{
	uint64_t n;

	if (str_to_u64(c->path + strlen(DEV_FD), 0, INT32_MAX, &n) != 0)
		return error_set(
		    err, EINVAL, "%s: no number of a file descriptor", c->path);
	return inherit_fd(c, (int)n, err);
}

static int
open_failed(const struct block_conf *c, int code, struct error *err)
{
	if (c->nocache && code == EINVAL)
		return error_set(err, code,
		    "%s: the file system cannot bypass the page cache; "
		    "leave out 'nocache'",
		    c->path);
	if (!c->ro && (code == EACCES || code == EROFS))
		return error_sys(err, code,
		    "%s: cannot open for writing (a disk that is only read "
		    "takes the option 'ro')",
		    c->path);
	if (code == EBUSY)
		return error_set(err, code,
		    "%s: the block device is in use (mounted, or part of "
		    "another device)",
		    c->path);
	return error_sys(err, code, "%s: cannot open", c->path);
}

static int
open_image(const struct block_conf *c, struct error *err)
{
	int flags = O_CLOEXEC | O_NONBLOCK | (c->ro ? O_RDONLY : O_RDWR) |
	    (c->nocache ? O_DIRECT : 0) | (c->direct ? O_DSYNC : 0);
	struct stat sb;
	int fd;

	if (strncmp(c->path, DEV_FD, strlen(DEV_FD)) == 0)
		return inherit_number(c, err);
	if (passed_has(c->path)) {
		cleanup_close int passed = passed_open(c->path, O_RDONLY);

		return passed < 0 ? error_sys(err, -passed, "%s", c->path)
				  : inherit_fd(c, passed, err);
	}
	/* O_NONBLOCK, lest a FIFO hang us; it means nothing to disks. */
	if (stat(c->path, &sb) == 0 && S_ISBLK(sb.st_mode) && !c->ro)
		flags |= O_EXCL; /* on a block device: not while mounted */
	fd = open(c->path, flags);
	if (fd == -1)
		return open_failed(c, errno, err);
	(void)fd_set_nonblock(fd, false);
	return fd;
}

static int
lock_image(const struct block_conf *c, int fd, struct error *err)
{
	int rc = fd_lock_ofd(fd, !c->ro);

	if (rc == -EAGAIN && c->ro)
		return error_set(err, EAGAIN,
		    "%s: in use by another process (shared lock refused); "
		    "stop the VM that writes to it",
		    c->path);
	if (rc == -EAGAIN)
		return error_set(err, EAGAIN,
		    "%s: in use by another process (exclusive lock refused); "
		    "stop the other VM or open it with 'ro' in both",
		    c->path);
	if (rc != 0)
		return error_sys(err, -rc, "%s: cannot lock", c->path);
	return 0;
}

/* ---- geometry ---- */

static bool
is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static int
parse_sectorsize(const char *text, struct block_info *in, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	char *phys;
	uint64_t l, p;

	if (copy == NULL)
		return error_sys(err, ENOMEM, "sectorsize");
	phys = strchr(copy, '/');
	if (phys != NULL)
		*phys++ = '\0';
	if (str_to_u64(copy, 512, 4096, &l) != 0 || (l != 512 && l != 4096))
		return error_set(err, EINVAL,
		    "sectorsize=%s: the logical size is 512 or 4096", text);
	p = MAX(l, (uint64_t)in->physical_size);
	if (phys != NULL &&
	    (str_to_u64(phys, l, MAX_PHYSICAL, &p) != 0 || !is_pow2(p)))
		return error_set(err, EINVAL,
		    "sectorsize=%s: the physical size is a power of two and "
		    "at least the logical one",
		    text);
	in->sector_size = (uint32_t)l;
	in->physical_size = (uint32_t)p;
	return 0;
}

static int
probe_device(struct block_dev *bd, struct error *err)
{
	unsigned phys = 0;
	uint64_t size;
	int logical = 0;

	if (ioctl(bd->fd, BLKGETSIZE64, &size) == -1 ||
	    ioctl(bd->fd, BLKSSZGET, &logical) == -1)
		return error_sys(
		    err, errno, "%s: cannot get its size", bd->path);
	if (ioctl(bd->fd, BLKPBSZGET, &phys) == -1)
		phys = (unsigned)logical;
	bd->info.size = size;
	bd->info.sector_size = (uint32_t)logical;
	bd->info.physical_size = phys;
	bd->mem_align = bd->io_align = (uint32_t)logical;
	return 0;
}

static void
probe_file(struct block_dev *bd, const struct stat *sb)
{
	bd->info.size = (uint64_t)sb->st_size;
	bd->info.sector_size = 512;
	bd->info.physical_size = is_pow2((uint64_t)sb->st_blksize)
	    ? (uint32_t)MIN((uint64_t)sb->st_blksize, (uint64_t)MAX_PHYSICAL)
	    : 512;
	bd->mem_align = bd->io_align = DIO_ALIGN;
}

/* What O_DIRECT asks for: told by Linux 6.1, else found by trying. */
static void
probe_direct(struct block_dev *bd)
{
	struct statx sx;
	void *buf;

	if (!bd->nocache)
		return;
	if (statx(bd->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN) != 0 && sx.stx_dio_mem_align != 0 &&
	    sx.stx_dio_offset_align != 0) {
		bd->mem_align = sx.stx_dio_mem_align;
		bd->io_align = sx.stx_dio_offset_align;
		return;
	}
	if (!bd->is_device && posix_memalign(&buf, DIO_ALIGN, 512) == 0) {
		if (pread(bd->fd, buf, 512, 0) == 512)
			bd->mem_align = bd->io_align = 512;
		free(buf);
	}
}

static int
check_geometry(struct block_dev *bd, struct error *err)
{
	struct block_info *in = &bd->info;

	if (in->sector_size != 512 && in->sector_size != 4096)
		return error_set(err, EINVAL,
		    "%s: sectors of %u bytes; set sectorsize to 512 or 4096",
		    bd->path, in->sector_size);
	if (bd->nocache && bd->io_align > in->sector_size)
		return error_set(err, EINVAL,
		    "%s: 'nocache' works in units of %u bytes here; add "
		    "sectorsize=%u or leave it out",
		    bd->path, bd->io_align, bd->io_align);
	if (in->size < in->sector_size)
		return error_set(err, EINVAL,
		    "%s: is shorter than one sector of %u bytes", bd->path,
		    in->sector_size);
	if (in->size % in->sector_size != 0)
		log_warn("block",
		    "%s: the last %u bytes are no whole sector and not used",
		    bd->path, (unsigned)(in->size % in->sector_size));
	in->size = ROUND_DOWN(in->size, (uint64_t)in->sector_size);
	return 0;
}

static int
probe(struct block_dev *bd, const struct block_conf *c, struct error *err)
{
	struct stat sb;
	int rc = 0;

	if (fstat(bd->fd, &sb) == -1)
		return error_sys(err, errno, "%s", bd->path);
	bd->is_device = S_ISBLK(sb.st_mode);
	if (bd->is_device)
		rc = probe_device(bd, err);
	else if (S_ISREG(sb.st_mode))
		probe_file(bd, &sb);
	else
		return error_set(err, ENODEV,
		    "%s: is neither a file nor a block device", bd->path);
	if (rc == 0 && c->sectorsize != NULL) {
		rc = parse_sectorsize(c->sectorsize, &bd->info, err);
		if (rc != 0)
			return error_prefix(err, "%s", bd->path);
	}
	if (rc != 0)
		return rc;
	probe_direct(bd);
	bd->info.readonly = c->ro;
	bd->info.can_discard = !c->ro && !c->nodelete;
	return check_geometry(bd, err);
}

/* ---- all together ---- */

static void
come_back(void *arg)
{
	block_run(arg);
}

static int
choose_aio(struct block_dev *bd, uint64_t kind, struct error *err)
{
	int rc = -ENOSYS;

	bd->info.aio = "threads";
	bd->info.max_inflight = BLOCK_POOL_DEPTH;
	if (kind == AIO_THREADS)
		return 0;
	rc = block_uring_create(bd, &bd->uring);
	if (rc == 0) {
		bd->info.aio = "io_uring";
		bd->info.max_inflight = BLOCK_URING_DEPTH;
		return 0;
	}
	if (kind == AIO_URING)
		return error_sys(err, -rc,
		    "%s: aio=io_uring, but the host refuses io_uring",
		    bd->path);
	log_info("block", "%s: threads do the I/O: io_uring is refused (%s)",
	    bd->path, strerrordesc_np(-rc));
	return 0;
}

static int
open_with(struct block_dev *bd, const struct block_conf *c, struct error *err)
{
	int rc;

	bd->nocache = c->nocache;
	bd->direct = c->direct;
	bd->path = alloc_strdup(c->path);
	if (bd->path == NULL)
		return error_sys(err, ENOMEM, "%s", c->path);
	rc = open_image(c, err);
	if (rc < 0)
		return rc;
	bd->fd = rc;
	rc = lock_image(c, bd->fd, err);
	if (rc == 0)
		rc = probe(bd, c, err);
	if (rc == 0)
		rc = mevent_add_notifier(
		    bd->loop, come_back, bd, &bd->again, err);
	if (rc == 0)
		rc = choose_aio(bd, c->aio, err);
	return rc;
}

static int
open_node(struct mevent_loop *loop, const struct config_node *node,
    const struct config_key *keys, bool ro, struct block_dev **ret,
    struct error *err)
{
	struct block_conf c = { .path = NULL };
	struct block_dev *bd = NULL;
	int rc;

	rc = conf_read(&c, node, keys, err);
	c.ro = c.ro || ro;
	if (rc == 0) {
		bd = alloc_zero(1, sizeof(*bd));
		if (bd == NULL)
			rc = error_sys(err, ENOMEM, "%s", c.path);
	}
	if (rc == 0) {
		bd->fd = -1;
		bd->loop = loop;
		bd->last = &bd->first;
		rc = open_with(bd, &c, err);
	}
	free(c.path);
	free(c.sectorsize);
	if (rc == 0)
		*ret = bd;
	else
		block_close(bd);
	return rc;
}

int
block_open(struct mevent_loop *loop, const struct config_node *node,
    const struct config_key *keys, struct block_dev **ret, struct error *err)
{
	return open_node(loop, node, keys, false, ret, err);
}

int
block_open_readonly(struct mevent_loop *loop, const struct config_node *node,
    const struct config_key *keys, struct block_dev **ret, struct error *err)
{
	return open_node(loop, node, keys, true, ret, err);
}
