/*
 * Blocks handed from one thread to others that each see all of them in order.
 */
#ifndef STORE_RING_H
#define STORE_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BLOCKS 8
#define RING_READERS 3

struct ring_block {
	uint8_t *data; /* whole pages */
	size_t n;
};
struct ring {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct ring_block block[RING_BLOCKS];
	size_t size; /* of a block's memory */
	uint64_t put, taken[RING_READERS];
	unsigned readers;
	bool ended, stopped;
};

/* block_size: a multiple of 4096. 0 or -ENOMEM */
int ring_init(struct ring *r, size_t block_size, unsigned readers);
void ring_fini(struct ring *r);
/* The writer: memory of r->size bytes to fill. NULL: the ring was stopped. */
uint8_t *ring_room(struct ring *r);
void ring_put(struct ring *r, size_t n);
void ring_end(struct ring *r); /* nothing follows */
/* A reader: its next block. NULL: the end, or the ring was stopped. */
const struct ring_block *ring_take(struct ring *r, unsigned reader);
void ring_give_back(struct ring *r, unsigned reader);
/* Anybody: everyone else is to end, too. */
void ring_stop(struct ring *r);

#endif
