/*
 * Commands to the controller (5).
 */
#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

static bool
queue_id_free(const struct nvme *n, unsigned id, bool live)
{
	return id != 0 && id <= n->nqueues && !live;
}

static bool
queue_id_live(const struct nvme *n, unsigned id, bool live)
{
	return id != 0 && id <= n->nqueues && live;
}

static uint16_t
admin_create_cq(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;
	unsigned id = c->cdw10 & 0xffff, vector = c->cdw11 >> 16;
	uint32_t size = (c->cdw10 >> 16) + 1;

	if (id >= NVME_QUEUES || !queue_id_free(n, id, n->cq[id].live))
		return NVME_QID_INVALID;
	if (size < 2 || size > n->max_entries)
		return NVME_QSIZE_INVALID;
	if ((c->cdw11 & NVME_QUEUE_CONTIGUOUS) == 0 ||
	    NVME_CC_IOCQES(ATOMIC_GET(&n->cc)) != NVME_CQE_SHIFT)
		return NVME_INVALID_FIELD;
	if (vector > n->nqueues)
		return NVME_VECTOR_INVALID;
	return nvme_cq_open(n, id, c->prp1, size, (uint16_t)vector,
	    (c->cdw11 & NVME_QUEUE_IEN) != 0);
}

static uint16_t
admin_create_sq(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;
	unsigned id = c->cdw10 & 0xffff, cqid = c->cdw11 >> 16;
	uint32_t size = (c->cdw10 >> 16) + 1;

	if (id >= NVME_QUEUES || !queue_id_free(n, id, n->sq[id].live))
		return NVME_QID_INVALID;
	if (cqid >= NVME_QUEUES || !queue_id_live(n, cqid, n->cq[cqid].live))
		return NVME_CQ_INVALID;
	if (size < 2 || size > n->max_entries)
		return NVME_QSIZE_INVALID;
	if ((c->cdw11 & NVME_QUEUE_CONTIGUOUS) == 0 ||
	    NVME_CC_IOSQES(ATOMIC_GET(&n->cc)) != NVME_SQE_SHIFT)
		return NVME_INVALID_FIELD;
	return nvme_sq_open(n, id, c->prp1, size, cqid);
}

static uint16_t
admin_delete_sq(struct nvme *n, struct nvme_req *req)
{
	unsigned id = req->sqe.cdw10 & 0xffff;

	if (id >= NVME_QUEUES || !queue_id_live(n, id, n->sq[id].live) ||
	    n->sq[id].deleting != NULL)
		return NVME_QID_INVALID;
	nvme_sq_delete(&n->sq[id], req);
	return NVME_PENDING;
}

static uint16_t
admin_delete_cq(struct nvme *n, struct nvme_req *req)
{
	unsigned id = req->sqe.cdw10 & 0xffff;

	if (id >= NVME_QUEUES || !queue_id_live(n, id, n->cq[id].live))
		return NVME_QID_INVALID;
	if (n->cq[id].nsq > 0)
		return NVME_QUEUE_DELETION;
	nvme_cq_close(&n->cq[id]);
	nvme_intx_update(n);
	return NVME_OK;
}

/*
 * What has been given to the back end is not taken back: "not aborted" is an
 * answer (5.1). Requests for events are.
 */
static uint16_t
admin_abort(struct nvme *n, struct nvme_req *req)
{
	unsigned sqid = req->sqe.cdw10 & 0xffff;
	uint16_t cid = (uint16_t)(req->sqe.cdw10 >> 16);

	if (sqid > n->nqueues || !n->sq[sqid].live)
		return NVME_INVALID_FIELD;
	req->result = sqid == 0 && nvme_event_abort(n, cid) ? 0 : 1;
	return NVME_OK;
}

static const struct {
	uint8_t opcode;
	uint16_t (*fn)(struct nvme *n, struct nvme_req *req);
} commands[] = {
	{ NVME_ADMIN_DELETE_SQ, admin_delete_sq },
	{ NVME_ADMIN_CREATE_SQ, admin_create_sq },
	{ NVME_ADMIN_GET_LOG, nvme_get_log },
	{ NVME_ADMIN_DELETE_CQ, admin_delete_cq },
	{ NVME_ADMIN_CREATE_CQ, admin_create_cq },
	{ NVME_ADMIN_IDENTIFY, nvme_identify },
	{ NVME_ADMIN_ABORT, admin_abort },
	{ NVME_ADMIN_SET_FEATURES, nvme_set_features },
	{ NVME_ADMIN_GET_FEATURES, nvme_get_features },
	{ NVME_ADMIN_ASYNC_EVENT, nvme_event_request },
	{ NVME_ADMIN_DOORBELLS, nvme_doorbells },
};

uint16_t
nvme_admin(struct nvme *n, struct nvme_req *req)
{
	const struct nvme_sqe *c = &req->sqe;

	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].opcode != c->opcode)
			continue;
		if (!NVME_SQE_PLAIN(c->flags))
			return NVME_INVALID_FIELD;
		return commands[i].fn(n, req);
	}
	return NVME_INVALID_OPCODE;
}
