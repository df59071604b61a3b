/*
 * One request by system calls that block: what pool threads do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/str.h"
#include "dev/block/block_impl.h"

/* Never written, hence one page of zeroes to the host. Aligned for O_DIRECT. */
static uint8_t zeroes[64 << 10] __attribute__((aligned(4096)));

static int
sync_rw(struct block_dev *bd, struct block_req *req)
{
	struct block_piece p;
	ssize_t n;
	int rc;

	do {
		block_next_piece(bd, req, &p);
		n = req->op == BLOCK_READ
		    ? preadv(bd->fd, p.iov, p.n, (off_t)p.offset)
		    : pwritev(bd->fd, p.iov, p.n, (off_t)p.offset);
		rc = block_piece_done(bd, req, n < 0 ? -errno : (int)n);
	} while (rc == 1);
	return rc;
}

static int
sync_flush(const struct block_dev *bd)
{
	return fdatasync(bd->fd) == 0 ? 0 : -errno;
}

static int
sync_range(const struct block_dev *bd, const struct block_req *req,
    unsigned long device_ioctl)
{
	uint64_t range[2] = { req->offset, req->len };
	int rc;

	do {
		if (bd->is_device)
			rc = ioctl(bd->fd, device_ioctl, range);
		else
			rc = fallocate(bd->fd, block_range_mode(req),
			    (off_t)req->offset, (off_t)req->len);
	} while (rc == -1 && errno == EINTR);
	return rc == 0 ? 0 : -errno;
}

int
block_range_mode(const struct block_req *req)
{
	bool punch = req->op == BLOCK_DISCARD || req->unmap;

	return FALLOC_FL_KEEP_SIZE |
	    (punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

bool
block_not_offered(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -ENOTTY;
}

static int
sync_discard(const struct block_dev *bd, const struct block_req *req)
{
	int rc = sync_range(bd, req, BLKDISCARD);

	/* It is a hint; a medium that cannot take it has obeyed. */
	return block_not_offered(rc) ? 0 : rc;
}

static int
write_zeroes(const struct block_dev *bd, uint64_t off, uint64_t len)
{
	ssize_t n;

	while (len > 0) {
		n = pwrite(
		    bd->fd, zeroes, MIN(len, sizeof(zeroes)), (off_t)off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -EIO : -errno;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int
sync_write_zeroes(const struct block_dev *bd, const struct block_req *req)
{
	int rc = sync_range(bd, req, BLKZEROOUT);

	if (block_not_offered(rc))
		rc = write_zeroes(bd, req->offset, req->len);
	if (rc == 0 && bd->direct)
		rc = sync_flush(bd);
	return rc;
}

int
block_sync(struct block_dev *bd, struct block_req *req)
{
	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return sync_rw(bd, req);
	case BLOCK_FLUSH:
		return sync_flush(bd);
	case BLOCK_DISCARD:
		return sync_discard(bd, req);
	case BLOCK_WRITE_ZEROES:
		return sync_write_zeroes(bd, req);
	}
	return -EINVAL;
}
