/*
 * A VM as one stream: vmadm send and receive.
 *
 *   head     "zhyveVM\n", version (be32), 0 (be32)
 *   record   type, 0 (be32 each), length (be64), CRC-32 of the payload, CRC-32
 *            of these 20 bytes (be32 each); then the payload
 *
 * Records come in this order: CONF (the configuration, XML), FILES (an object
 * of customer_metadata, internal_metadata, tags, routes), VARS (the firmware's
 * variables; may be absent), then of each volume VOLUME (an object: path, size
 * in bytes) and its DATA (offset, be64, and bytes; what is nowhere is zero),
 * then END (the number of records before it, be64).
 *
 * A stream may come from anywhere: nothing of it is believed.
 */
#ifndef ADMIN_VM_STREAM_H
#define ADMIN_VM_STREAM_H

#include "base/buf.h"
#include "base/error.h"

#define STREAM_VERSION 1
#define STREAM_RECORD_MAX (16U << 20) /* bytes of a payload */
#define STREAM_CHUNK (1U << 20) /* of a DATA record as we write it */

enum stream_type {
	STREAM_CONF = 1,
	STREAM_FILES,
	STREAM_VARS,
	STREAM_VOLUME,
	STREAM_DATA,
	STREAM_END
};

struct stream {
	int fd;
	uint64_t records; /* written, or read */
};
int stream_begin(struct stream *s, int fd, struct error *err); /* writer */
int stream_put(struct stream *s, enum stream_type type, const void *data,
    size_t n, struct error *err);
int stream_open(struct stream *s, int fd, struct error *err); /* reader */
/* As fd_read_full(), of a descriptor that may not block, too. */
ssize_t stream_read(struct stream *s, void *data, size_t n);
/* The payload replaces what is in b. -EPROTO: damaged, cut, or none at all. */
int stream_get(
    struct stream *s, enum stream_type *ret, struct buf *b, struct error *err);

#endif
