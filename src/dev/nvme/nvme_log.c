/*
 * GET LOG PAGE (5.14): errors, SMART, firmware.
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

#define ERROR_SIZE 64
#define PAGE_SIZE_MAX (NVME_ERRORS * ERROR_SIZE)
#define RETAIN_EVENT (1u << 15)
#define HOUR_NS (UINT64_C(3600) * 1000000000)

void
nvme_log_error(struct nvme *n, const struct nvme_req *req)
{
	uint64_t i = n->smart.errors++ % NVME_ERRORS;

	n->errors[i] = (struct nvme_error){
		.lba = (uint64_t)req->sqe.cdw11 << 32 | req->sqe.cdw10,
		.sqid = req->sq->id,
		.cid = req->sqe.cid,
		.status = req->status,
		.nsid = req->sqe.nsid,
	};
}

/* The last one first, 5.14.1.1. */
static unsigned
log_error(struct nvme *n, uint8_t *p)
{
	uint64_t count = n->smart.errors;

	for (unsigned i = 0; i < NVME_ERRORS && i < count; i++) {
		uint64_t nth = count - i;
		const struct nvme_error *e =
		    &n->errors[(nth - 1) % NVME_ERRORS];

		store_le64(p, nth);
		store_le16(p + 8, e->sqid);
		store_le16(p + 10, e->cid);
		store_le16(p + 12, (uint16_t)(e->status << 1));
		store_le16(p + 14, 0xffff); /* no byte to point at */
		store_le64(p + 16, e->sqid != 0 ? e->lba : 0);
		store_le32(p + 24, e->nsid);
		p += ERROR_SIZE;
	}
	return NVME_ERRORS * ERROR_SIZE;
}

/* Thousands of 512 bytes, rounded up. */
static uint64_t
data_units(uint64_t sectors)
{
	return (sectors + 999) / 1000;
}

static unsigned
log_smart(struct nvme *n, uint8_t *p)
{
	const struct nvme_smart *s = &n->smart;

	store_le16(p + 1, 296); /* kelvins */
	p[3] = 100; /* spare, and the threshold for it, in per cent */
	p[4] = 10;
	store_le64(p + 32, data_units(s->sectors_read));
	store_le64(p + 48, data_units(s->sectors_written));
	store_le64(p + 64, s->reads);
	store_le64(p + 80, s->writes);
	store_le64(p + 112, 1); /* power cycles */
	store_le64(p + 128, (mevent_now_ns() - s->born) / HOUR_NS);
	store_le64(p + 160, s->media_errors);
	store_le64(p + 176, s->errors);
	return 512;
}

static unsigned
log_firmware(struct nvme *n, uint8_t *p)
{
	p[0] = 1; /* the active slot */
	memcpy(p + 8, "1.0     ", 8);
	return 512;
}

static unsigned
log_page(struct nvme *n, unsigned page, uint8_t *p)
{
	static unsigned (*const pages[])(struct nvme * n, uint8_t * p) = {
		[NVME_LOG_ERROR] = log_error,
		[NVME_LOG_SMART] = log_smart,
		[NVME_LOG_FIRMWARE] = log_firmware,
	};

	if (page >= ARRAY_LEN(pages) || pages[page] == NULL)
		return 0;
	return pages[page](n, p);
}

uint16_t
nvme_get_log(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;
	unsigned page = c->cdw10 & 0xff, size;
	uint64_t dwords = (uint64_t)(c->cdw11 & 0xffff) << 16 | c->cdw10 >> 16;
	uint64_t off = (uint64_t)c->cdw13 << 32 | c->cdw12, len;
	uint8_t p[PAGE_SIZE_MAX] = { 0 };
	uint16_t status;

	size = log_page(n, page, p);
	if (size == 0)
		return NVME_LOG_INVALID;
	if (page == NVME_LOG_SMART && c->nsid != 0 && c->nsid != NVME_NSID_ALL)
		return NVME_INVALID_FIELD;
	len = (dwords + 1) * 4;
	if (off % 4 != 0 || off > size || len > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	/* Bytes behind the page are undefined: left as they are. */
	len = MIN(len, size - off);
	status = len > 0 ? nvme_put(n, req, p + off, len) : NVME_OK;
	if (status == NVME_OK && page == NVME_LOG_ERROR &&
	    (c->cdw10 & RETAIN_EVENT) == 0)
		nvme_event_unmask(n);
	return status;
}
