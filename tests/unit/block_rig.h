/*
 * A block back end on an image of its own, and requests to it one by one. The
 * test's thread is the loop's.
 */
#ifndef UNIT_BLOCK_RIG_H
#define UNIT_BLOCK_RIG_H

#include "dev/block/block_impl.h"

extern struct mevent_loop *brig_loop;
extern char brig_path[512]; /* of the image */

/* An empty image, and the loop. */
void brig_image(uint64_t size);
int brig_open(const char *path, const char *opts, struct block_dev **ret,
    struct error *err);
/* The image; skips the test where io_uring is asked for and refused. */
struct block_dev *brig_start(const char *opts);
/* It must not open, and the message has this part. */
void brig_refused(const char *path, const char *opts, const char *part);
/* Closes it and ends the loop. */
void brig_end(struct block_dev *bd);
/* Until it is done; its status. */
int brig_run(struct block_dev *bd, struct block_req *req);
int brig_rw(
    struct block_dev *bd, enum block_op op, uint64_t off, void *p, size_t n);
int
brig_range(struct block_dev *bd, enum block_op op, uint64_t off, uint64_t n);

#endif
