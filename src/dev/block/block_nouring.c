/*
 * A build without liburing: io_uring is refused, always.
 */
#include <errno.h>

#include "dev/block/block_impl.h"

int block_uring_refuse;

int
block_uring_create(struct block_dev *bd, struct block_uring **ret)
{
	return -ENOSYS;
}

void
block_uring_destroy(struct block_uring *u)
{
}

void
block_uring_start(struct block_uring *u, struct block_req *req)
{
}

bool
block_uring_submit(struct block_uring *u)
{
	return true;
}

void
block_uring_reap(struct block_uring *u, bool wait)
{
}

unsigned
block_uring_inflight(const struct block_uring *u)
{
	return 0;
}
