/*
 * Frames of the guest metadata protocol, version 2:
 *
 *	V2 LENGTH CRC32 REQUEST-ID WORD [PAYLOAD]
 *
 * LENGTH in bytes and CRC32 (of zlib, eight lower-case hexadecimal digits) are
 * of all that follows them and its blank; PAYLOAD is base64. (Source: the
 * protocol specification of Triton's mdata-docs, version 2.)
 */
#ifndef MDATA_FRAME_H
#define MDATA_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define MDATA_ID_MAX 64
#define MDATA_KEY_MAX 255

struct mdata_frame {
	char id[MDATA_ID_MAX + 1]; /* as it was sent */
	char word[16]; /* GET, SUCCESS, ... */
	const char *payload; /* base64, within the line; NULL: none */
	size_t payload_len;
};

/* A key has 1 to MDATA_KEY_MAX bytes, none of them a control character. */
bool mdata_is_key(const char *key, size_t n);
/* A line without its LF. -EINVAL: it is no frame. */
int mdata_frame_parse(const char *line, size_t n, struct mdata_frame *ret);
/* Append a frame and its LF. payload NULL: none, and no blank before it. */
int mdata_frame_write(struct buf *b, const char *id, const char *word,
    const void *payload, size_t n);

#endif
