/*
 * From a source to a disk, as fast as the slowest of its threads: fetch (and
 * hash what was fetched), take apart, hash the disk, write it (two). Whoever
 * fails first says why and stops the others.
 */
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/image_impl.h"
#include "store/ring.h"
#include "store/sparse.h"

#define SOURCE_BLOCK (256U << 10)
#define DISK_BLOCK (1U << 20)
#define SECTOR 512U
#define WRITERS 2
enum { HASHER, WRITER }; /* readers of the disk's ring: the first writer */

struct work {
	struct pump *p;
	struct ring source, disk;
	struct hash *source_hash, *disk_hash;
	struct sparse out;
	atomic_uint nwriters;
	/* fetched so far, into the block that is being filled */
	uint8_t *room;
	size_t filled;
	uint64_t fetched;
	bool cloned; /* the disk shares the source's blocks: nothing to write */
	pthread_mutex_t lock; /* what follows */
	struct error err; /* of who failed first */
	uint64_t total;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct work *w, int code, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&w->lock);
	if (w->err.code == 0) {
		va_start(ap, fmt);
		error_vset(&w->err, code, fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&w->lock);
	ring_stop(&w->source);
	ring_stop(&w->disk);
	return -code;
}

/* ---- fetching ---- */

/* A block of the source is complete. */
static void
send_block(struct work *w)
{
	if (w->room == NULL)
		return;
	if (w->source_hash != NULL)
		hash_add(w->source_hash, w->room, w->filled);
	ring_put(&w->source, w->filled);
	w->fetched += w->filled;
	w->room = NULL;
	w->filled = 0;
}

static int
check_fetched(struct work *w, uint64_t more)
{
	uint64_t claim = w->p->claim->size;

	if (claim == 0 || w->fetched + more <= claim)
		return 0;
	return fail(w, EINVAL,
	    "%s is larger than the %ju bytes of its manifest", w->p->name,
	    (uintmax_t)claim);
}

static int
give(void *arg, const void *data, size_t n)
{
	struct work *w = arg;
	const uint8_t *from = data;
	size_t part;

	if (check_fetched(w, w->filled + n) < 0)
		return -EINVAL;
	while (n > 0) {
		if (w->room == NULL &&
		    (w->room = ring_room(&w->source)) == NULL)
			return -ECANCELED;
		part = MIN(n, w->source.size - w->filled);
		memcpy(w->room + w->filled, from, part);
		w->filled += part;
		from += part;
		n -= part;
		if (w->filled == w->source.size)
			send_block(w);
	}
	return 0;
}

static void
set_total(void *arg, uint64_t bytes)
{
	struct work *w = arg;

	pthread_mutex_lock(&w->lock);
	w->total = bytes;
	pthread_mutex_unlock(&w->lock);
}

static int
fetch_file(struct work *w)
{
	ssize_t n = 1;

	while (n > 0) {
		w->room = ring_room(&w->source);
		if (w->room == NULL)
			return -ECANCELED;
		n = fd_read_full(w->p->fd, w->room, w->source.size);
		if (n < 0)
			return fail(w, (int)-n, "%s: %s", w->p->name,
			    strerrordesc_np((int)-n));
		if (check_fetched(w, (uint64_t)n) < 0)
			return -EINVAL;
		w->filled = (size_t)n;
		if (n > 0)
			send_block(w);
	}
	return 0;
}

/* The whole source was there: is it what it should be? */
static int
check_source(struct work *w)
{
	const struct image_claim *c = w->p->claim;
	char text[HASH_TEXT];

	if (c->size != 0 && w->fetched != c->size)
		return fail(w, EINVAL,
		    "%s has %ju bytes, its manifest says %ju", w->p->name,
		    (uintmax_t)w->fetched, (uintmax_t)c->size);
	if (w->source_hash == NULL)
		return 0;
	if (hash_text(w->source_hash, text) < 0)
		return fail(w, EIO, "%s: no hash", w->p->name);
	if (strcmp(text, c->hash) != 0)
		return fail(w, EBADMSG,
		    "%s: its %s is %s, it should be %s: damaged or another "
		    "file",
		    w->p->name, c->algorithm, text, c->hash);
	return 0;
}

static void *
fetcher(void *arg)
{
	struct work *w = arg;
	struct error err = ERROR_INIT;
	int rc;

	if (w->p->fetch != NULL) {
		w->p->fetch->give = give;
		w->p->fetch->total = set_total;
		w->p->fetch->arg = w;
		rc = fetch_url(w->p->fetch, &err);
		if (rc < 0)
			(void)fail(w, -rc, "%s", err.text);
		else if (w->filled > 0)
			send_block(w);
	} else {
		rc = fetch_file(w);
	}
	if (rc == 0)
		rc = check_source(w);
	if (rc == 0)
		ring_end(&w->source);
	return NULL;
}

/* ---- the disk ---- */

static void *
hasher(void *arg)
{
	struct work *w = arg;
	const struct ring_block *b;

	while ((b = ring_take(&w->disk, HASHER)) != NULL) {
		hash_add(w->disk_hash, b->data, b->n);
		ring_give_back(&w->disk, HASHER);
	}
	return NULL;
}

/* Writers have the blocks in turn: one waits for the disk, another copies. */
static void *
writer(void *arg)
{
	struct work *w = arg;
	const struct ring_block *b;
	unsigned me = atomic_fetch_add(&w->nwriters, 1);
	off_t at = 0;
	int rc = 0;

	for (uint64_t i = 0;
	     rc == 0 && (b = ring_take(&w->disk, WRITER + me)) != NULL; i++) {
		if (!w->cloned && i % WRITERS == me)
			rc = sparse_write(&w->out, b->data, b->n, at);
		at += (off_t)b->n;
		ring_give_back(&w->disk, WRITER + me);
	}
	if (rc < 0)
		(void)fail(w, -rc, "cannot write the disk of %s: %s",
		    w->p->name, strerrordesc_np(-rc));
	return NULL;
}

/* ---- taking apart ---- */

/* What looks like a disk's file but is none, by its first bytes. */
static const struct {
	size_t at;
	const char *magic, *what;
} strangers[] = {
	{ 0, "QFI\xfb",
	    "a qcow2 disk; make it raw with 'qemu-img convert -O raw'" },
	{ 0, "KDMV",
	    "a VMDK disk; make it raw with 'qemu-img convert -O raw'" },
	{ 0, "vhdxfile",
	    "a VHDX disk; make it raw with 'qemu-img convert -O raw'" },
	{ 8, "\xac\xcb\xba\xf5\x02", "a ZFS stream, no raw disk" },
	{ 257, "ustar", "a tar archive, no disk; unpack it first" },
};

static int
check_first(struct work *w, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
		size_t len = strlen(strangers[i].magic);

		if (n >= strangers[i].at + len &&
		    memcmp(p + strangers[i].at, strangers[i].magic, len) == 0)
			return fail(w, EINVAL, "%s is %s", w->p->name,
			    strangers[i].what);
	}
	return 0;
}

struct unpack {
	struct work *w;
	const struct codec *codec;
	void *state;
	uint8_t *room;
	size_t filled;
};

static int
send_disk(struct unpack *u)
{
	struct pump *p = u->w->p;

	if (u->filled == 0)
		return 0;
	if (p->size == 0 && check_first(u->w, u->room, u->filled) < 0)
		return -EINVAL;
	p->size += u->filled;
	if (p->claim->disk != 0 && p->size > p->claim->disk)
		return fail(u->w, EINVAL,
		    "%s: the disk is larger than the %ju MiB of its manifest",
		    p->name, (uintmax_t)(p->claim->disk / MiB));
	if (!u->w->cloned)
		sparse_grow(&u->w->out, (off_t)p->size);
	ring_put(&u->w->disk, u->filled);
	u->room = NULL;
	u->filled = 0;
	return 0;
}

/* One step; 1: nothing more can come of what was put in. */
static int
unpack_step(struct unpack *u, struct codec_io *io, bool last)
{
	const char *why = "it does not make sense";
	size_t room;
	int rc;

	if (u->room == NULL) {
		u->room = ring_room(&u->w->disk);
		if (u->room == NULL)
			return -ECANCELED;
	}
	room = u->w->disk.size - u->filled;
	io->out = u->room + u->filled;
	io->out_n = room;
	rc = u->codec->run(u->state, io, last, &why);
	u->filled += room - io->out_n;
	if (rc < 0)
		return fail(u->w, EINVAL, "%s is damaged: %s: %s",
		    u->w->p->name, u->codec->name, why);
	if (io->out_n == 0)
		return send_disk(u);
	if (rc == 0 && last && io->in_n == 0 && room == io->out_n)
		return fail(u->w, EINVAL,
		    "%s is cut off: its end is missing (%s)", u->w->p->name,
		    u->codec->name);
	return last ? rc : io->in_n == 0;
}

static int
unpack_block(struct unpack *u, const struct ring_block *b)
{
	static const uint8_t nothing[1];
	struct codec_io io = { .in = b != NULL ? b->data : nothing,
		.in_n = b != NULL ? b->n : 0 };
	int rc = 0;

	if (b != NULL && u->codec == NULL) {
		u->codec = codec_detect(b->data, b->n);
		u->w->p->compression = u->codec->name;
		u->state = u->codec->decode();
		if (u->state == NULL)
			return fail(
			    u->w, ENOMEM, "%s: out of memory", u->w->p->name);
	}
	if (u->codec == NULL)
		return fail(u->w, EINVAL, "%s is empty", u->w->p->name);
	while (rc == 0)
		rc = unpack_step(u, &io, b == NULL);
	return rc < 0 ? rc : 0;
}

static void
tell(struct work *w, uint64_t done)
{
	struct image_progress now = { .done = done };

	if (w->p->progress == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	now.total = w->total;
	pthread_mutex_unlock(&w->lock);
	w->p->progress(w->p->arg, &now);
}

static bool
was_stopped(struct work *w)
{
	bool yes;

	pthread_mutex_lock(&w->source.lock);
	yes = w->source.stopped;
	pthread_mutex_unlock(&w->source.lock);
	return yes;
}

static void
unpack(struct work *w)
{
	struct unpack u = { .w = w };
	const struct ring_block *b;
	uint64_t done = 0;
	int rc = 0;

	while (rc == 0 && (b = ring_take(&w->source, 0)) != NULL) {
		rc = unpack_block(&u, b);
		done += b->n;
		ring_give_back(&w->source, 0);
		tell(w, done);
	}
	if (rc == 0 && !was_stopped(w))
		rc = unpack_block(&u, NULL);
	if (rc == 0 && u.room != NULL)
		rc = send_disk(&u);
	if (u.state != NULL)
		u.codec->end(u.state);
	if (rc == 0)
		ring_end(&w->disk);
	else
		ring_stop(&w->source); /* whoever failed said why */
}

/* ---- all of it ---- */

static int
check_disk(struct pump *p, struct error *err)
{
	uint64_t claim = p->claim->disk;

	if (p->size == 0)
		return error_set(err, EINVAL, "%s is empty", p->name);
	if (p->size % SECTOR != 0)
		return error_set(err, EINVAL,
		    "%s: a disk of %ju bytes is none, or cut off: not a "
		    "multiple of %u",
		    p->name, (uintmax_t)p->size, SECTOR);
	if (claim != 0 && p->size + MiB <= claim)
		return error_set(err, EINVAL,
		    "%s: the disk has %ju bytes, its manifest says %ju MiB",
		    p->name, (uintmax_t)p->size, (uintmax_t)(claim / MiB));
	return 0;
}

static int
finish(struct work *w, struct error *err)
{
	struct pump *p = w->p;
	int rc;

	if (w->err.code != 0)
		return error_set(err, w->err.code, "%s", w->err.text);
	rc = check_disk(p, err);
	if (rc < 0)
		return rc;
	if (hash_text(w->disk_hash, p->hash) < 0)
		return error_set(err, EIO, "%s: no hash", p->name);
	if (ftruncate(p->out, (off_t)p->size) != 0 || fsync(p->out) != 0)
		return error_sys(
		    err, errno, "cannot write the disk of %s", p->name);
	return 0;
}

/* A raw file where the disk is to be: share its blocks, and read our own. */
static void
try_clone(struct work *w)
{
	struct stat st;
	uint8_t head[16];
	ssize_t n;

	if (w->p->fetch != NULL || fstat(w->p->fd, &st) != 0 ||
	    !S_ISREG(st.st_mode))
		return;
	n = fd_pread_full(w->p->fd, head, sizeof(head), 0);
	if (n <= 0 || codec_detect(head, (size_t)n)->magic_n != 0 ||
	    ioctl(w->p->out, FICLONE, w->p->fd) != 0)
		return;
	w->cloned = true;
	w->p->fd = w->p->out;
}

static void
run_threads(struct work *w)
{
	static void *(*const stages[])(
	    void *) = { fetcher, hasher, writer, writer };
	pthread_t thread[ARRAY_LEN(stages)];
	size_t n = 0;

	_Static_assert(ARRAY_LEN(stages) == 2 + WRITERS, "a reader each");
	while (n < ARRAY_LEN(stages) &&
	    pthread_create(&thread[n], NULL, stages[n], w) == 0)
		n++;
	if (n == ARRAY_LEN(stages))
		unpack(w);
	else
		(void)fail(w, EAGAIN, "%s: no more threads", w->p->name);
	while (n > 0)
		pthread_join(thread[--n], NULL);
}

int
pump_run(struct pump *p, struct error *err)
{
	struct work w = {
		.p = p, .lock = PTHREAD_MUTEX_INITIALIZER, .total = p->total
	};
	int rc;

	p->size = 0;
	rc = ring_init(&w.source, SOURCE_BLOCK, 1);
	if (rc < 0)
		return error_sys(err, -rc, "%s", p->name);
	rc = ring_init(&w.disk, DISK_BLOCK, 1 + WRITERS);
	if (rc < 0) {
		ring_fini(&w.source);
		return error_sys(err, -rc, "%s", p->name);
	}
	w.disk_hash = hash_new("xxh128");
	if (p->claim->algorithm != NULL)
		w.source_hash = hash_new(p->claim->algorithm);
	if (w.disk_hash == NULL ||
	    (p->claim->algorithm != NULL && w.source_hash == NULL)) {
		rc = error_set(err, ENOMEM, "%s: no hash", p->name);
	} else {
		sparse_begin(&w.out, p->out);
		try_clone(&w);
		run_threads(&w);
		sparse_end(&w.out);
		rc = finish(&w, err);
	}
	p->fetched = w.fetched;
	hash_free(w.disk_hash);
	hash_free(w.source_hash);
	ring_fini(&w.source);
	ring_fini(&w.disk);
	return rc;
}
