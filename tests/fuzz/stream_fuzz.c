/*
 * A received stream: any bytes are records or a refusal, never more memory than
 * a record, and what is damaged is told.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/vm_stream.h"
#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = fd_memfd("stream", size, 0);
	struct error err = ERROR_INIT;
	enum stream_type type;
	struct stream s;
	struct buf b;
	int rc;

	if (fd < 0 || fd_write_all(fd, data, size) < 0 ||
	    lseek(fd, 0, SEEK_SET) != 0)
		abort();
	buf_init(&b, STREAM_RECORD_MAX + 1);
	rc = stream_open(&s, fd, &err);
	while (rc == 0) {
		rc = stream_get(&s, &type, &b, &err);
		if (rc == 0 &&
		    (type < STREAM_CONF || type > STREAM_END ||
			b.len > STREAM_RECORD_MAX))
			abort();
	}
	if (err.text[0] == '\0' || rc != -err.code)
		abort();
	buf_fini(&b);
	return 0;
}
