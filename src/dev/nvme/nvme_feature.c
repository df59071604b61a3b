/*
 * SET FEATURES and GET FEATURES (5.21). Values live until a reset; none can be
 * saved. Most are kept and told only: there is nothing that they could change.
 */
#include <string.h>

#include "base/str.h"
#include "dev/nvme/nvme_impl.h"

#define SAVE (1u << 31)
#define TEMP_OVER 343 /* kelvins, as WCTEMP */
#define TEMP_UNDER 1u /* which of the two thresholds */
#define VECTOR_UNCOALESCED (1u << 16)

void
nvme_features_reset(struct nvme *n)
{
	memset(&n->feat, 0, sizeof(n->feat));
	n->feat.write_cache = true;
	n->feat.temp_over = TEMP_OVER;
}

/* The features that are one word, of which some bits are kept. */
static const struct {
	uint8_t id;
	size_t at;
	uint32_t mask;
} words[] = {
	{ NVME_FEAT_ARBITRATION, offsetof(struct nvme_features, arbitration),
	    0xffffff07 },
	{ NVME_FEAT_POWER, offsetof(struct nvme_features, power), 0xe0 },
	{ NVME_FEAT_ERROR_RECOVERY, offsetof(struct nvme_features, recovery),
	    0xffff },
	{ NVME_FEAT_COALESCING, offsetof(struct nvme_features, coalescing),
	    0xffff },
	{ NVME_FEAT_ATOMICITY, offsetof(struct nvme_features, atomicity), 1 },
	{ NVME_FEAT_EVENTS, offsetof(struct nvme_features, events), 0x31f },
};

static uint32_t *
word_of(struct nvme *n, unsigned id, uint32_t *ret_mask)
{
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].id == id) {
			*ret_mask = words[i].mask;
			return (
			    uint32_t *)(void *)((char *)&n->feat + words[i].at);
		}
	return NULL;
}

/* ---- those that are more ---- */

/* There is one sensor; over (0) and under (1) thresholds; 5.21.1.4. */
static uint16_t *
threshold(struct nvme *n, uint32_t v)
{
	unsigned sensor = v >> 16 & 0xf, kind = v >> 20 & 0x3;

	if ((sensor != 0 && sensor != 0xf) || kind > TEMP_UNDER)
		return NULL;
	return kind == TEMP_UNDER ? &n->feat.temp_under : &n->feat.temp_over;
}

static uint16_t
get_temperature(struct nvme *n, uint32_t v, uint32_t *ret)
{
	const uint16_t *t = threshold(n, v);

	if (t == NULL)
		return NVME_INVALID_FIELD;
	*ret = *t;
	return NVME_OK;
}

static uint16_t
set_temperature(struct nvme *n, uint32_t v, uint32_t *ret)
{
	uint16_t *t = threshold(n, v);

	if (t == NULL)
		return NVME_INVALID_FIELD;
	*t = (uint16_t)v;
	return NVME_OK;
}

static uint16_t
get_write_cache(struct nvme *n, uint32_t v, uint32_t *ret)
{
	*ret = n->feat.write_cache;
	return NVME_OK;
}

static uint16_t
set_write_cache(struct nvme *n, uint32_t v, uint32_t *ret)
{
	n->feat.write_cache = (v & 1) != 0;
	return NVME_OK;
}

static uint16_t
get_queues(struct nvme *n, uint32_t v, uint32_t *ret)
{
	*ret = (n->nqueues - 1) << 16 | (n->nqueues - 1);
	return NVME_OK;
}

/* All get what there is; only before the first queue, 5.21.1.7. */
static uint16_t
set_queues(struct nvme *n, uint32_t v, uint32_t *ret)
{
	if ((v & 0xffff) == 0xffff || v >> 16 == 0xffff)
		return NVME_INVALID_FIELD;
	for (unsigned i = 1; i <= n->nqueues; i++)
		if (n->cq[i].live || n->sq[i].live)
			return NVME_SEQUENCE;
	return get_queues(n, v, ret);
}

static uint16_t
get_vector(struct nvme *n, uint32_t v, uint32_t *ret)
{
	unsigned i = v & 0xffff;

	if (i > n->nqueues)
		return NVME_INVALID_FIELD;
	*ret = i | (n->feat.uncoalesced[i] ? VECTOR_UNCOALESCED : 0);
	return NVME_OK;
}

static uint16_t
set_vector(struct nvme *n, uint32_t v, uint32_t *ret)
{
	unsigned i = v & 0xffff;

	if (i > n->nqueues)
		return NVME_INVALID_FIELD;
	n->feat.uncoalesced[i] = (v & VECTOR_UNCOALESCED) != 0;
	return NVME_OK;
}

static const struct {
	uint8_t id;
	uint16_t (*get)(struct nvme *n, uint32_t v, uint32_t *ret);
	uint16_t (*set)(struct nvme *n, uint32_t v, uint32_t *ret);
} others[] = {
	{ NVME_FEAT_TEMPERATURE, get_temperature, set_temperature },
	{ NVME_FEAT_WRITE_CACHE, get_write_cache, set_write_cache },
	{ NVME_FEAT_QUEUES, get_queues, set_queues },
	{ NVME_FEAT_VECTOR, get_vector, set_vector },
};

/* ---- the two commands ---- */

uint16_t
nvme_get_features(struct nvme *n, struct nvme_req *req)
{
	unsigned id = req->sqe.cdw10 & 0xff;
	uint32_t mask;
	const uint32_t *word = word_of(n, id, &mask);

	if (word != NULL) {
		req->result = *word;
		return NVME_OK;
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		if (others[i].id == id)
			return others[i].get(n, req->sqe.cdw11, &req->result);
	return NVME_INVALID_FIELD;
}

uint16_t
nvme_set_features(struct nvme *n, struct nvme_req *req)
{
	unsigned id = req->sqe.cdw10 & 0xff;
	uint32_t v = req->sqe.cdw11, mask, *word = word_of(n, id, &mask);

	if ((req->sqe.cdw10 & SAVE) != 0)
		return NVME_NOT_SAVEABLE;
	/* The only power state is 0, and no error is told early. */
	if ((id == NVME_FEAT_POWER && (v & 0x1f) != 0) ||
	    (id == NVME_FEAT_ERROR_RECOVERY && (v & 0x10000) != 0))
		return NVME_INVALID_FIELD;
	if (word != NULL) {
		*word = v & mask;
		return NVME_OK;
	}
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		if (others[i].id == id)
			return others[i].set(n, v, &req->result);
	return NVME_INVALID_FIELD;
}
