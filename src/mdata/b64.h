/*
 * Base64 (RFC 4648, 4: standard alphabet, padded, one line), strictly: what is
 * not exactly an encoding is no encoding. Guests feed it.
 */
#ifndef MDATA_B64_H
#define MDATA_B64_H

#include <stddef.h>

#include "base/buf.h"

/* Append; 0, -EINVAL, -ENOMEM, -ENOSPC. On failure b's length is unchanged. */
int b64_encode(struct buf *b, const void *data, size_t n);
int b64_decode(struct buf *b, const char *text, size_t n);

#endif
