/*
 * Images from elsewhere: any bytes as a manifest, whose text must parse again
 * to the same, and as a packed disk, which must come apart or be refused
 * without taking more memory than its blocks.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/image_impl.h"

#define OUT_MAX (4U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
as_manifest(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	json_t *m = NULL, *again = NULL;
	struct image_claim claim;
	struct image_info i;
	char *text;

	if (manifest_parse((const char *)data, size, &m, &err) < 0) {
		if (err.code == 0 || err.text[0] == '\0')
			abort();
		return;
	}
	manifest_claim(m, &claim);
	if (strlen(claim.hash) !=
	    (claim.algorithm == NULL                       ? 0
		    : strcmp(claim.algorithm, "sha1") == 0 ? 40
							   : 64))
		abort();
	text = manifest_text(m);
	if (text == NULL ||
	    manifest_parse(text, strlen(text), &again, &err) < 0 ||
	    !json_equal(m, again))
		abort();
	if (manifest_info(m, &i) == 0) {
		if (!image_uuid_ok(i.uuid))
			abort();
		image_info_fini(&i);
	}
	free(text);
	json_decref(again);
	json_decref(m);
}

static void
as_disk(const uint8_t *data, size_t size)
{
	static uint8_t out[64 << 10];
	const struct codec *c = codec_detect(data, size);
	struct codec_io io = { .in = data, .in_n = size };
	const char *why = NULL;
	void *state = c->decode();
	size_t total = 0, before;
	int rc = 0;

	while (state != NULL && rc == 0 && total < OUT_MAX) {
		io.out = out;
		io.out_n = sizeof(out);
		before = io.in_n;
		rc = c->run(state, &io, io.in_n == 0, &why);
		total += sizeof(out) - io.out_n;
		if (rc < 0 && why == NULL)
			abort();
		/* no input, no output, and no end: it is cut off */
		if (rc == 0 && before == 0 && io.out_n == sizeof(out))
			break;
	}
	if (state != NULL)
		c->end(state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_manifest(data, size);
	as_disk(data, size);
	return 0;
}
