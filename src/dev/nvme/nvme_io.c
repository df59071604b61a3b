/*
 * Commands to the namespace (6): READ, WRITE, FLUSH, WRITE ZEROES and DATASET
 * MANAGEMENT, of which deallocation does something.
 */
#include <errno.h>

#include "base/alloc.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

#define SMART_SECTOR 512

static void io_done(struct block_req *br, int rc);

static void
io_submit(struct nvme_req *req, enum block_op op, uint64_t offset, uint64_t len)
{
	struct block_req *br = &req->br;

	br->op = op;
	br->offset = offset;
	br->len = len;
	br->iov = req->iov;
	br->iovcnt = (int)req->niov;
	br->done = io_done;
	br->arg = req;
	block_submit(req->sq->n->bd, br);
}

static uint64_t
io_start(const struct nvme_sqe *c)
{
	return (uint64_t)c->cdw11 << 32 | c->cdw10;
}

static uint64_t
io_length(const struct nvme_sqe *c)
{
	return (c->cdw12 & 0xffff) + UINT64_C(1);
}

static bool
io_in_range(const struct nvme *n, uint64_t start, uint64_t length)
{
	return start <= n->lbas && length <= n->lbas - start;
}

/* ---- the end of a command ---- */

static void
io_submit_range(struct nvme_req *req)
{
	const struct nvme_range *r = &req->ranges[req->range];
	unsigned shift = req->sq->n->lba_shift;

	io_submit(req, BLOCK_DISCARD, r->start << shift,
	    (uint64_t)r->length << shift);
}

/* Ranges of nothing are allowed, and no work. */
static bool
io_next_range(struct nvme_req *req)
{
	while (req->range < req->nranges && req->ranges[req->range].length == 0)
		req->range++;
	return req->range < req->nranges;
}

/* Must a write be on the medium before it is reported? */
static bool
io_write_through(const struct nvme_req *req)
{
	return (req->sqe.opcode == NVME_IO_WRITE ||
		   req->sqe.opcode == NVME_IO_WRITE_ZEROES) &&
	    ((req->sqe.cdw12 & NVME_RW_FUA) != 0 ||
		!req->sq->n->feat.write_cache);
}

/* Has the command another step? Then it is on its way. */
static bool
io_next_step(struct nvme_req *req)
{
	if (req->range < req->nranges) {
		req->range++;
		if (io_next_range(req)) {
			io_submit_range(req);
			return true;
		}
	}
	if (io_write_through(req) && !req->synced) {
		req->synced = true;
		io_submit(req, BLOCK_FLUSH, 0, 0);
		return true;
	}
	return false;
}

static uint16_t
io_status(const struct nvme_req *req, int rc)
{
	if (rc == -ENOSPC)
		return NVME_CAPACITY;
	return req->sqe.opcode == NVME_IO_READ ? NVME_READ_ERROR
					       : NVME_WRITE_FAULT;
}

static void
io_count(struct nvme *n, const struct nvme_req *req)
{
	uint64_t sectors = req->bytes / SMART_SECTOR;

	if (req->sqe.opcode == NVME_IO_READ) {
		n->smart.reads++;
		n->smart.sectors_read += sectors;
	} else if (req->sqe.opcode == NVME_IO_WRITE) {
		n->smart.writes++;
		n->smart.sectors_written += sectors;
	}
}

static void
io_done(struct block_req *br, int rc)
{
	struct nvme_req *req = br->arg;
	struct nvme *n = req->sq->n;

	/* One that failed may have read a part. */
	if (req->sqe.opcode == NVME_IO_READ)
		nvme_dirty(n, req);
	if (n->draining) {
		nvme_req_put(req);
		return;
	}
	/* Deallocation is a hint: a medium without it has obeyed. */
	if (req->sqe.opcode == NVME_IO_DSM && rc == -EOPNOTSUPP)
		rc = 0;
	if (rc == 0 && io_next_step(req))
		return;
	if (rc == 0)
		io_count(n, req);
	else
		n->smart.media_errors++;
	nvme_complete(req, rc == 0 ? NVME_OK : io_status(req, rc));
}

/* ---- commands ---- */

static uint16_t
io_flush(struct nvme *n, struct nvme_req *req)
{
	io_submit(req, BLOCK_FLUSH, 0, 0);
	return NVME_PENDING;
}

static uint16_t
io_read_write(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;
	bool write = c->opcode == NVME_IO_WRITE;
	uint64_t start = io_start(c), length = io_length(c);
	uint16_t status;

	req->bytes = length << n->lba_shift;
	if (req->bytes > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	if (!io_in_range(n, start, length))
		return NVME_LBA_RANGE;
	status = nvme_prp_map(n, req, req->bytes);
	if (status != NVME_OK)
		return status;
	io_submit(req, write ? BLOCK_WRITE : BLOCK_READ, start << n->lba_shift,
	    req->bytes);
	return NVME_PENDING;
}

static uint16_t
io_write_zeroes(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;
	uint64_t start = io_start(c), length = io_length(c);

	if (!io_in_range(n, start, length))
		return NVME_LBA_RANGE;
	req->br.unmap = n->dsm && (c->cdw12 & NVME_WZ_DEALLOCATE) != 0;
	io_submit(req, BLOCK_WRITE_ZEROES, start << n->lba_shift,
	    length << n->lba_shift);
	return NVME_PENDING;
}

static uint16_t
io_dsm(struct nvme *n, struct nvme_req *req)
{
	unsigned count = (req->sqe.cdw10 & 0xff) + 1;
	uint16_t status;

	req->ranges = alloc_zero(count, sizeof(*req->ranges));
	if (req->ranges == NULL)
		return NVME_INTERNAL;
	status = nvme_get(n, req, req->ranges, count * sizeof(*req->ranges));
	if (status != NVME_OK)
		return status;
	for (unsigned i = 0; i < count; i++)
		if (!io_in_range(
			n, req->ranges[i].start, req->ranges[i].length))
			return NVME_LBA_RANGE;
	if ((req->sqe.cdw11 & NVME_DSM_DEALLOCATE) == 0)
		return NVME_OK;
	req->niov = 0;
	req->nranges = count;
	if (!io_next_range(req))
		return NVME_OK;
	io_submit_range(req);
	return NVME_PENDING;
}

static const struct {
	uint8_t opcode;
	bool writes, needs_dsm;
	uint16_t (*fn)(struct nvme *n, struct nvme_req *req);
} commands[] = {
	{ NVME_IO_FLUSH, false, false, io_flush },
	{ NVME_IO_WRITE, true, false, io_read_write },
	{ NVME_IO_READ, false, false, io_read_write },
	{ NVME_IO_WRITE_ZEROES, true, false, io_write_zeroes },
	{ NVME_IO_DSM, true, true, io_dsm },
};

static bool
io_has_ns(const struct nvme_sqe *c)
{
	return c->nsid == 1 ||
	    (c->nsid == NVME_NSID_ALL && c->opcode == NVME_IO_FLUSH);
}

uint16_t
nvme_io(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;

	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].opcode != c->opcode ||
		    (commands[i].needs_dsm && !n->dsm))
			continue;
		if (!NVME_SQE_PLAIN(c->flags))
			return NVME_INVALID_FIELD;
		if (!io_has_ns(c))
			return NVME_INVALID_NS;
		if (commands[i].writes && n->readonly)
			return NVME_WRITE_PROTECTED;
		return commands[i].fn(n, req);
	}
	return NVME_INVALID_OPCODE;
}
