/*
 * The formats that disks are packed in, in both directions, one shape for all:
 * none, gzip (RFC 1952), xz, zstd (RFC 8878). Several streams one after the
 * other are one, as their programs have it.
 */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/image_impl.h"

#define XZ_MEMORY (UINT64_C(1) << 30)

static unsigned
cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)MIN(n, 16);
}

static void
advance(struct codec_io *io, size_t in, size_t out)
{
	io->in += in;
	io->in_n -= in;
	io->out += out;
	io->out_n -= out;
}

/* ---- none ---- */

static void *
none_new(void)
{
	return alloc_bytes(1);
}

static int
none_run(void *state, struct codec_io *io, bool last, const char **why)
{
	size_t n = MIN(io->in_n, io->out_n);

	memcpy(io->out, io->in, n);
	advance(io, n, n);
	return io->in_n == 0;
}

/* ---- gzip ---- */

struct gzip {
	z_stream z;
	bool encode, between; /* members */
};

static struct gzip *
gzip_new(bool encode)
{
	struct gzip *g = alloc_zero(1, sizeof(*g));
	int rc;

	if (g == NULL)
		return NULL;
	g->encode = encode;
	/* 15: the largest window; 16 more: gzip's header */
	rc = encode ? deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
			  15 + 16, 8, Z_DEFAULT_STRATEGY)
		    : inflateInit2(&g->z, 15 + 16);
	if (rc == Z_OK)
		return g;
	free(g);
	return NULL;
}

static void *
gzip_decode(void)
{
	return gzip_new(false);
}

static void *
gzip_encode(void)
{
	return gzip_new(true);
}

/* Zeros may stand behind the last member. */
static void
skip_padding(struct gzip *g, struct codec_io *io)
{
	while (g->between && io->in_n > 0 && *io->in == 0)
		advance(io, 1, 0);
}

static int
gzip_run(void *state, struct codec_io *io, bool last, const char **why)
{
	struct gzip *g = state;
	size_t in, out;
	int rc;

	if (!g->encode)
		skip_padding(g, io);
	if (g->between && io->in_n == 0)
		return 1;
	if (g->between && inflateReset(&g->z) != Z_OK)
		return -EINVAL;
	g->between = false;
	in = MIN(io->in_n, (size_t)UINT32_MAX);
	out = MIN(io->out_n, (size_t)UINT32_MAX);
	g->z.next_in = (uint8_t *)(uintptr_t)io->in;
	g->z.avail_in = (uInt)in;
	g->z.next_out = io->out;
	g->z.avail_out = (uInt)out;
	rc = g->encode ? deflate(&g->z, last ? Z_FINISH : Z_NO_FLUSH)
		       : inflate(&g->z, Z_NO_FLUSH);
	advance(io, in - g->z.avail_in, out - g->z.avail_out);
	if (rc == Z_STREAM_END) {
		g->between = !g->encode;
		return io->in_n == 0;
	}
	if (rc == Z_OK || rc == Z_BUF_ERROR)
		return 0;
	*why = g->z.msg != NULL ? g->z.msg : "gzip";
	return -EINVAL;
}

static void
gzip_end(void *state)
{
	struct gzip *g = state;

	if (g->encode)
		deflateEnd(&g->z);
	else
		inflateEnd(&g->z);
	free(g);
}

/* ---- xz ---- */

static void *
xz_new(bool encode)
{
	static const lzma_stream init = LZMA_STREAM_INIT;
	lzma_stream *s = alloc_bytes(sizeof(*s));
	lzma_mt mt = { .threads = cpus(),
		.preset = LZMA_PRESET_DEFAULT,
		.check = LZMA_CHECK_CRC64,
		.flags = encode ? 0 : LZMA_CONCATENATED,
		.memlimit_threading = XZ_MEMORY / 4,
		.memlimit_stop = XZ_MEMORY };
	lzma_ret rc;

	if (s == NULL)
		return NULL;
	*s = init;
	rc = encode ? lzma_stream_encoder_mt(s, &mt)
		    : lzma_stream_decoder_mt(s, &mt);
	if (rc == LZMA_OK)
		return s;
	free(s);
	return NULL;
}

static void *
xz_decode(void)
{
	return xz_new(false);
}

static void *
xz_encode(void)
{
	return xz_new(true);
}

static int
xz_run(void *state, struct codec_io *io, bool last, const char **why)
{
	lzma_stream *s = state;
	lzma_ret rc;

	s->next_in = io->in;
	s->avail_in = io->in_n;
	s->next_out = io->out;
	s->avail_out = io->out_n;
	rc = lzma_code(s, last ? LZMA_FINISH : LZMA_RUN);
	advance(io, io->in_n - s->avail_in, io->out_n - s->avail_out);
	if (rc == LZMA_STREAM_END)
		return 1;
	if (rc == LZMA_OK || rc == LZMA_BUF_ERROR)
		return 0;
	*why = rc == LZMA_MEMLIMIT_ERROR ? "it needs more than 1 GiB of memory"
	    : rc == LZMA_FORMAT_ERROR    ? "something else stands behind it"
	    : rc == LZMA_MEM_ERROR       ? "out of memory"
					 : "its check does not match";
	return -EINVAL;
}

static void
xz_end(void *state)
{
	lzma_end(state);
	free(state);
}

/* ---- zstd ---- */

struct zst {
	ZSTD_DCtx *d;
	ZSTD_CCtx *c;
	bool whole; /* the frame */
};

static void
zst_end(void *state)
{
	struct zst *z = state;

	ZSTD_freeDCtx(z->d);
	ZSTD_freeCCtx(z->c);
	free(z);
}

static void *
zst_decode(void)
{
	struct zst *z = alloc_zero(1, sizeof(*z));

	if (z != NULL && (z->d = ZSTD_createDCtx()) == NULL) {
		zst_end(z);
		return NULL;
	}
	return z;
}

static void *
zst_encode(void)
{
	struct zst *z = alloc_zero(1, sizeof(*z));

	if (z != NULL && (z->c = ZSTD_createCCtx()) == NULL) {
		zst_end(z);
		return NULL;
	}
	if (z != NULL) {
		/* a library without threads takes the first alone */
		ZSTD_CCtx_setParameter(z->c, ZSTD_c_checksumFlag, 1);
		ZSTD_CCtx_setParameter(z->c, ZSTD_c_nbWorkers, (int)cpus());
	}
	return z;
}

static int
zst_run(void *state, struct codec_io *io, bool last, const char **why)
{
	struct zst *z = state;
	ZSTD_inBuffer in = { io->in, io->in_n, 0 };
	ZSTD_outBuffer out = { io->out, io->out_n, 0 };
	size_t rc;

	/* at the end of a frame an empty input would begin another */
	if (z->d != NULL && z->whole && io->in_n == 0)
		return 1;
	rc = z->d != NULL ? ZSTD_decompressStream(z->d, &out, &in)
			  : ZSTD_compressStream2(z->c, &out, &in,
				last ? ZSTD_e_end : ZSTD_e_continue);
	advance(io, in.pos, out.pos);
	if (ZSTD_isError(rc)) {
		*why = ZSTD_getErrorName(rc);
		return -EINVAL;
	}
	z->whole = rc == 0;
	return z->whole && io->in_n == 0 && (z->d != NULL || last);
}

/* ---- the table ---- */

static const struct codec codecs[] = {
	{ "none", "", { 0 }, 0, none_new, none_new, none_run, free },
	{ "gzip", ".gz", { 0x1f, 0x8b }, 2, gzip_decode, gzip_encode, gzip_run,
	    gzip_end },
	{ "xz", ".xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, xz_decode, xz_encode,
	    xz_run, xz_end },
	{ "zstd", ".zst", { 0x28, 0xb5, 0x2f, 0xfd }, 4, zst_decode, zst_encode,
	    zst_run, zst_end },
};

const struct codec *
codec_detect(const uint8_t *data, size_t n)
{
	for (size_t i = 1; i < ARRAY_LEN(codecs); i++)
		if (n >= codecs[i].magic_n &&
		    memcmp(data, codecs[i].magic, codecs[i].magic_n) == 0)
			return &codecs[i];
	return &codecs[0];
}

const struct codec *
codec_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		if (strcmp(codecs[i].name, name) == 0)
			return &codecs[i];
	return NULL;
}
