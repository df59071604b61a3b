/*
 * Block back ends: raw files and block devices. The format is raw and stated,
 * never probed. A path "/dev/fd/N" means the open descriptor N (zones). I/O by
 * io_uring with a bounded number in flight; by a thread pool where io_uring is
 * refused.
 *
 * An OFD lock on the image (exclusive, shared when read-only) keeps a second
 * writer off; a lock conflict is an error that names the file.
 *
 * Threads: everything except block_open and block_close is called on the loop's
 * thread, completions run there too.
 */
#ifndef DEV_BLOCK_BLOCK_H
#define DEV_BLOCK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/config.h"
#include "base/error.h"
#include "base/mevent.h"

struct block_dev;

/*
 * Key-table rows that every disk model includes: path, nocache, direct, sync,
 * ro, sectorsize ("512" or "512/4096"), nodelete, bootindex, ser, aio
 * (auto|io_uring|threads). The second form puts text in front of each name.
 */
#define BLOCK_CONFIG_KEYS_AT(at)                                            \
	{ at "path", CONFIG_PATH, NULL, NULL, 0,                            \
		"image file or block device, raw" },                        \
	    { at "nocache", CONFIG_BOOL, "false", NULL, 0,                  \
		    "bypass the host's page cache (O_DIRECT)" },            \
	    { at "direct", CONFIG_BOOL, "false", NULL, 0,                   \
		    "write through to the medium (O_DSYNC)" },              \
	    { at "sync", CONFIG_BOOL, "false", NULL, 0, "same as direct" }, \
	    { at "ro", CONFIG_BOOL, "false", NULL, 0, "read-only" },        \
	    { at "sectorsize", CONFIG_STRING, NULL, NULL, 0,                \
		    "logical[/physical] sector size in bytes" },            \
	    { at "nodelete", CONFIG_BOOL, "false", NULL, 0,                 \
		    "do not offer discard to the guest" },                  \
	    { at "bootindex", CONFIG_UINT, NULL, "0..255", 0,               \
		    "place in the firmware's boot order" },                 \
	    { at "ser", CONFIG_STRING, NULL, NULL, 0,                       \
		    "serial number, at most 20 characters" },               \
	{                                                                   \
		at "aio", CONFIG_ENUM, "auto", "auto|io_uring|threads", 0,  \
		    "how disk I/O is done"                                  \
	}
#define BLOCK_CONFIG_KEYS BLOCK_CONFIG_KEYS_AT("")

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD, /* contents undefined after, zero where cheap */
	BLOCK_WRITE_ZEROES,
};

/* Owned by the caller, untouched by it from submission to completion. */
struct block_req {
	enum block_op op;
	bool unmap; /* WRITE_ZEROES may deallocate */
	uint64_t offset; /* bytes, sector multiple */
	uint64_t len; /* bytes; READ/WRITE: sum of iov */
	/* Changed by the back end while in flight, restored at the end. */
	struct iovec *iov;
	int iovcnt;
	/* status: 0 or negative errno */
	void (*done)(struct block_req *req, int status);
	void *arg;
	/* back end's own */
	uint64_t priv[6];
	struct block_req *next;
};

struct block_info {
	uint64_t size; /* bytes, multiple of sector_size */
	uint32_t sector_size; /* logical: 512 or 4096 */
	uint32_t physical_size;
	bool readonly;
	bool can_discard;
	uint32_t max_inflight; /* submissions beyond wait inside */
	const char *aio; /* "io_uring" or "threads" */
};

/*
 * node: the disk's configuration node, keys: a table that includes
 * BLOCK_CONFIG_KEYS. loop: whose thread completions run on.
 */
int block_open(struct mevent_loop *loop, const struct config_node *node,
    const struct config_key *keys, struct block_dev **ret, struct error *err);
/* As with "ro" set. */
int
block_open_readonly(struct mevent_loop *loop, const struct config_node *node,
    const struct config_key *keys, struct block_dev **ret, struct error *err);
/* Drains first; on the loop's thread, or when that no longer runs. */
void block_close(struct block_dev *bd); /* NULL is allowed */
const struct block_info *block_info(const struct block_dev *bd);
/*
 * A serial number of BLOCK_SERIAL_LEN characters that stays the same as long as
 * the path does.
 */
#define BLOCK_SERIAL_LEN 20
void block_default_serial(const char *path, char *buf, size_t size);
/* Parse the -s text "path[,opt[=v]]..." into the node. */
int block_parse(struct config_node *node, const char *opts, struct error *err);

/*
 * Queue a request; block_kick() starts what was queued since (one system
 * call for the batch). Range errors complete with -EINVAL. done() may run
 * inside block_kick(), never inside block_submit(); it may submit and kick.
 */
void block_submit(struct block_dev *bd, struct block_req *req);
void block_kick(struct block_dev *bd);
unsigned block_inflight(const struct block_dev *bd);
/* Called after each batch of completions; the place for one interrupt. */
void block_on_batch(struct block_dev *bd, void (*fn)(void *arg), void *arg);
/*
 * Complete what was not started with -ECANCELED and wait for the rest; done()
 * runs for all of them before it returns. It must not submit cancelled ones
 * again; what it submits of the others stays queued.
 */
void block_drain(struct block_dev *bd);

#endif
