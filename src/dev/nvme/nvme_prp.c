/*
 * Physical region pages: where in the guest's memory a command's data is (4.3).
 *
 * A list's entries are copied once; no more of them than the data has pages, so
 * a list that leads to itself ends.
 */
#include <string.h>

#include "base/str.h"
#include "dev/nvme/nvme_impl.h"
#include "vmm/vm.h"

#define ENTRIES (NVME_PAGE / 8)

struct walk {
	struct nvme *n;
	struct nvme_req *req;
	uint64_t left;
};

/* The next bytes of the data are at gpa, as far as its page goes. */
static uint16_t
walk_page(struct walk *w, uint64_t gpa)
{
	uint64_t len = MIN(NVME_PAGE - gpa % NVME_PAGE, w->left);
	struct nvme_req *req = w->req;
	struct iovec *last = req->niov > 0 ? &req->iov[req->niov - 1] : NULL;
	uint8_t *host = vm_mem_ram(w->n->mem, GPA(gpa), len);

	if (host == NULL)
		return NVME_DATA_TRANSFER;
	w->left -= len;
	if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == host) {
		last->iov_len += len;
		return NVME_OK;
	}
	if (req->niov == NVME_IOV)
		return NVME_INVALID_FIELD;
	req->iov[req->niov++] =
	    (struct iovec){ .iov_base = host, .iov_len = len };
	return NVME_OK;
}

static uint16_t
walk_whole_page(struct walk *w, uint64_t gpa)
{
	return gpa % NVME_PAGE == 0 ? walk_page(w, gpa) : NVME_PRP_OFFSET;
}

/* Follow lists from gpa until the data is complete. */
static uint16_t
walk_list(struct walk *w, uint64_t gpa)
{
	uint64_t entry[ENTRIES];
	uint16_t status = gpa % 8 == 0 ? NVME_OK : NVME_PRP_OFFSET;

	while (status == NVME_OK && w->left > 0) {
		uint64_t room = (NVME_PAGE - gpa % NVME_PAGE) / 8;
		uint64_t need = (w->left + NVME_PAGE - 1) / NVME_PAGE;
		bool more = need > room; /* the last one leads to a list */
		uint64_t n = MIN(need, room);

		if (vm_mem_read(w->n->mem, GPA(gpa), entry, n * 8) < 0)
			return NVME_DATA_TRANSFER;
		for (uint64_t i = 0; status == NVME_OK && i < n - more; i++)
			status = walk_whole_page(w, entry[i]);
		if (!more)
			break;
		gpa = entry[n - 1];
		if (gpa % NVME_PAGE != 0)
			return NVME_PRP_OFFSET;
	}
	return status;
}

uint16_t
nvme_prp_map(struct nvme *n, struct nvme_req *req, uint64_t len)
{
	struct walk w = { .n = n, .req = req, .left = len };
	uint16_t status;

	req->niov = 0;
	if (len == 0 || len > NVME_MAX_DATA)
		return NVME_INVALID_FIELD;
	if (req->sqe.prp1 % 4 != 0)
		return NVME_PRP_OFFSET;
	status = walk_page(&w, req->sqe.prp1);
	if (status != NVME_OK || w.left == 0)
		return status;
	if (w.left <= NVME_PAGE)
		return walk_whole_page(&w, req->sqe.prp2);
	return walk_list(&w, req->sqe.prp2);
}

void
nvme_dirty(struct nvme *n, const struct nvme_req *req)
{
	for (unsigned i = 0; i < req->niov; i++)
		vm_mem_dirty(n->mem, req->iov[i].iov_base, req->iov[i].iov_len);
}

uint16_t
nvme_put(struct nvme *n, struct nvme_req *req, const void *data, uint64_t len)
{
	uint16_t status = nvme_prp_map(n, req, len);
	const uint8_t *p = data;

	if (status != NVME_OK)
		return status;
	for (unsigned i = 0; i < req->niov; i++) {
		memcpy(req->iov[i].iov_base, p, req->iov[i].iov_len);
		p += req->iov[i].iov_len;
	}
	nvme_dirty(n, req);
	return NVME_OK;
}

uint16_t
nvme_get(struct nvme *n, struct nvme_req *req, void *data, uint64_t len)
{
	uint16_t status = nvme_prp_map(n, req, len);
	uint8_t *p = data;

	if (status != NVME_OK)
		return status;
	for (unsigned i = 0; i < req->niov; i++) {
		memcpy(p, req->iov[i].iov_base, req->iov[i].iov_len);
		p += req->iov[i].iov_len;
	}
	/* The compiler must not look there again: the guest writes too. */
	__asm__ volatile("" ::: "memory");
	return NVME_OK;
}
