/*
 * A ring of blocks. A block is moved as whole, so locking costs nothing.
 */
#include "store/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"

int
ring_init(struct ring *r, size_t block_size, unsigned readers)
{
	*r = (struct ring){ .size = block_size, .readers = readers };
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	for (size_t i = 0; i < RING_BLOCKS; i++) {
		r->block[i].data = alloc_pages(block_size);
		if (r->block[i].data == NULL) {
			ring_fini(r);
			return -ENOMEM;
		}
	}
	return 0;
}

void
ring_fini(struct ring *r)
{
	for (size_t i = 0; i < RING_BLOCKS; i++)
		free(r->block[i].data);
	pthread_cond_destroy(&r->moved);
	pthread_mutex_destroy(&r->lock);
}

static bool
has_room(const struct ring *r)
{
	for (unsigned i = 0; i < r->readers; i++)
		if (r->put - r->taken[i] >= RING_BLOCKS)
			return false;
	return true;
}

uint8_t *
ring_room(struct ring *r)
{
	uint8_t *p = NULL;

	pthread_mutex_lock(&r->lock);
	while (!r->stopped && !has_room(r))
		pthread_cond_wait(&r->moved, &r->lock);
	if (!r->stopped)
		p = r->block[r->put % RING_BLOCKS].data;
	pthread_mutex_unlock(&r->lock);
	return p;
}

static void
change(struct ring *r, uint64_t *counter, bool *flag)
{
	pthread_mutex_lock(&r->lock);
	if (counter != NULL)
		(*counter)++;
	if (flag != NULL)
		*flag = true;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

void
ring_put(struct ring *r, size_t n)
{
	r->block[r->put % RING_BLOCKS].n = n;
	change(r, &r->put, NULL);
}

void
ring_end(struct ring *r)
{
	change(r, NULL, &r->ended);
}

void
ring_stop(struct ring *r)
{
	change(r, NULL, &r->stopped);
}

const struct ring_block *
ring_take(struct ring *r, unsigned reader)
{
	const struct ring_block *b = NULL;

	pthread_mutex_lock(&r->lock);
	while (!r->stopped && !r->ended && r->taken[reader] == r->put)
		pthread_cond_wait(&r->moved, &r->lock);
	if (!r->stopped && r->taken[reader] < r->put)
		b = &r->block[r->taken[reader] % RING_BLOCKS];
	pthread_mutex_unlock(&r->lock);
	return b;
}

void
ring_give_back(struct ring *r, unsigned reader)
{
	change(r, &r->taken[reader], NULL);
}
