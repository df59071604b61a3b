/*
 * Images by the library's own functions: every format through all threads (run
 * again under TSan), and a failure of every allocation. What people see of it
 * is in tests/cli/imgadm.bats.
 */
#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/sparse.h"
#include "store_util.h"
#include "tap.h"

#define U "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"

static char raw[512], root[512];
static struct error err;
static uint64_t told;

static void
progress(void *arg, const struct image_progress *p)
{
	tap_check(p->done >= told && p->done <= p->total);
	told = p->done;
}

/* A disk of 3 MiB: bytes, zeros, bytes. */
static void
world(void)
{
	snprintf(raw, sizeof(raw), "%s", store_at("d.raw"));
	snprintf(root, sizeof(root), "%s", store_at("root"));
	store_fill(raw, 0, 1 << 20, 1);
	store_fill(raw, 2 << 20, 1 << 20, 2);
}

static int
import(const char *source, const char *manifest)
{
	const struct image_import im = { .source = source,
		.manifest = manifest,
		.uuid = manifest != NULL ? NULL : U,
		.name = manifest != NULL ? NULL : "disk",
		.progress = progress };
	char uuid[IMAGE_UUID_LEN + 1];

	told = 0;
	return image_import(root, &im, uuid, &err);
}

static const char *
images(void)
{
	char dir[600];

	snprintf(dir, sizeof(dir), "%s" IMAGE_FOLDER, root);
	return store_names(dir);
}

static void
each_format(void)
{
	static const char *const kinds[][2] = { { "none", "" },
		{ "gzip", ".gz" }, { "xz", ".xz" }, { "zstd", ".zst" } };
	char prefix[600], json[700], file[700], path[4096];

	world();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		tap_context("%s", kinds[i][0]);
		tap_check_int(import(raw, NULL), 0);
		snprintf(prefix, sizeof(prefix), "%s-%s", raw, kinds[i][0]);
		snprintf(json, sizeof(json), "%s.json", prefix);
		snprintf(file, sizeof(file), "%s.raw%s", prefix, kinds[i][1]);
		told = 0;
		tap_check_int(image_export(root, "disk", prefix, kinds[i][0],
				  progress, NULL, &err),
		    0);
		tap_check_int(image_delete(root, U, &err), 0);
		tap_check_str(images(), "");
		tap_check_int(import(file, json), 0);
		told = 0;
		tap_check_int(image_verify(root, U, progress, NULL, &err), 0);
		tap_check_u64(told, 3 << 20);
		tap_check_int(image_path(root, U, path, sizeof(path), &err), 0);
		tap_check(store_same(path, raw));
		tap_check(store_blocks(path) < 3 << 20);
		tap_check_str(images(), U ".json " U ".raw ");
		tap_check_int(image_delete(root, U, &err), 0);
	}
}

/* Cut at any byte, a packed disk is none. */
static void
cut_anywhere(void)
{
	static const char *const kinds[][2] = { { "gzip", ".gz" },
		{ "xz", ".xz" }, { "zstd", ".zst" } };
	char prefix[600], file[700];
	struct stat st;

	world();
	tap_check(truncate(raw, 4096) == 0);
	tap_check_int(import(raw, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(prefix, sizeof(prefix), "%s-%s", raw, kinds[i][0]);
		snprintf(file, sizeof(file), "%s.raw%s", prefix, kinds[i][1]);
		tap_check_int(image_export(root, "disk", prefix, kinds[i][0],
				  NULL, NULL, &err),
		    0);
	}
	tap_check_int(image_delete(root, U, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(file, sizeof(file), "%s-%s.raw%s", raw, kinds[i][0],
		    kinds[i][1]);
		tap_check(stat(file, &st) == 0);
		/* the magic number's bytes alone are a raw disk's, too */
		for (off_t n = st.st_size - 1; n > 6; n -= 37) {
			tap_context("%s cut to %jd", file, (intmax_t)n);
			tap_check(truncate(file, n) == 0);
			tap_check_int(import(file, NULL), -EINVAL);
			tap_check_has(err.text, "is cut off");
			tap_check_str(images(), "");
		}
	}
}

/* The nth allocation fails, for every n: no image, nothing left, a reason. */
static void
no_memory(void)
{
	unsigned long n = 1;
	int rc;

	world();
	for (;; n++) {
		tap_context("allocation %lu", n);
		alloc_fail_at(n);
		rc = import(raw, NULL);
		alloc_fail_at(0);
		if (rc == 0)
			break;
		tap_check(rc < 0 && err.text[0] != '\0');
		tap_check_str(images(), "");
	}
	tap_check(n > 5);
	tap_check_str(images(), U ".json " U ".raw ");
}

static void
no_memory_to_list(void)
{
	struct image_list l;
	struct image_info i;
	unsigned long n = 1;
	int rc = -1;

	world();
	tap_check_int(import(raw, NULL), 0);
	for (; rc != 0; n++) {
		alloc_fail_at(n);
		rc = image_list(root, &l, &err);
		alloc_fail_at(0);
		tap_check(rc == 0 || rc == -ENOMEM);
	}
	tap_check_u64(l.n, 1);
	image_list_free(&l);
	for (n = 1, rc = -1; rc != 0; n++) {
		alloc_fail_at(n);
		rc = image_find(root, "disk", &i, &err);
		alloc_fail_at(0);
		tap_check(rc <= 0);
	}
	tap_check_str(i.uuid, U);
	tap_check_str(i.name, "disk");
	tap_check_u64(i.size, 3 << 20);
	image_info_fini(&i);
}

/* On a file system that shares blocks, a raw disk is not written anew. */
static void
shared(void)
{
	char fs[400], source[600];

	snprintf(fs, sizeof(fs), "%s", store_at("fs"));
	store_mount(&store_btrfs, fs);
	str_format(root, sizeof(root), "%s/root", fs);
	snprintf(source, sizeof(source), "%s/d.raw", fs);
	store_fill(source, 0, 40 << 20, 1);
	/* 160 MiB hold six of these only if they share */
	for (int i = 0; i < 6; i++) {
		char uuid[IMAGE_UUID_LEN + 1];
		const struct image_import im = { .source = source };

		tap_check_int(image_import(root, &im, uuid, &err), 0);
		tap_check_int(image_verify(root, uuid, NULL, NULL, &err), 0);
	}
}

/* ---- how a disk is written ---- */

/* Page i of a block: of zeros in runs of all lengths, odd blocks in none. */
static bool
page_is_zero(size_t block, size_t i)
{
	return block % 2 == 0 && (i * i / 40) % 3 == 0;
}

static void
sparse(const struct store_fs *fs)
{
	enum { BLOCKS = 20, BLOCK = 1 << 19, TAIL = 3 * 4096 + 512 };
	uint8_t *p = alloc_pages(BLOCK);
	size_t zeros = 0;
	struct sparse s;
	int fd;

	if (fs != NULL)
		store_mount(fs, store_at("fs"));
	else
		tap_check(mkdir(store_at("fs"), 0700) == 0);
	fd = open(store_at("fs/disk"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check(p != NULL && fd >= 0);
	sparse_begin(&s, fd);
	for (size_t b = 0; b <= BLOCKS; b++) {
		size_t n = b < BLOCKS ? BLOCK : TAIL;

		for (size_t i = 0; i < n; i++)
			p[i] = page_is_zero(b, i / SPARSE_PAGE)
			    ? 0
			    : (uint8_t)(b + i / SPARSE_PAGE + i % 251 + 1) | 1;
		for (size_t i = 0; i < n / SPARSE_PAGE; i++)
			zeros += page_is_zero(b, i) ? SPARSE_PAGE : 0;
		sparse_grow(&s, (off_t)(b * BLOCK + n));
		tap_check_int(sparse_write(&s, p, n, (off_t)(b * BLOCK)), 0);
		store_put(store_at("want"), b * BLOCK, p, n);
	}
	tap_check(ftruncate(fd, BLOCKS * BLOCK + TAIL) == 0);
	tap_check_int(fsync(fd), 0);
	sparse_end(&s);
	close(fd);
	free(p);
	tap_check(store_same(store_at("fs/disk"), store_at("want")));
	tap_check(zeros > 2 << 20);
	tap_check(store_blocks(store_at("fs/disk")) <
	    BLOCKS * BLOCK + TAIL - zeros + MiB);
}

static void
sparse_here(void)
{
	sparse(NULL);
}

static void
sparse_tmpfs(void)
{
	sparse(&store_tmpfs);
}

static void
sparse_btrfs(void)
{
	sparse(&store_btrfs);
}

static void
sparse_xfs(void)
{
	sparse(&store_xfs);
}

/* A disk without room says so, and says it once. */
static void
sparse_full(void)
{
	uint8_t *p = alloc_pages(1 << 20);
	struct sparse s;
	int fd, rc = 0;

	store_mount(&store_tmpfs_small, store_at("fs"));
	fd = open(store_at("fs/disk"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	tap_check(p != NULL && fd >= 0);
	memset(p, 1, 1 << 20);
	sparse_begin(&s, fd);
	for (int i = 0; rc == 0 && i < 8; i++)
		rc = sparse_write(&s, p, 1 << 20, i << 20);
	tap_check_int(rc, -ENOSPC);
	sparse_end(&s);
	close(fd);
	free(p);
}

static const struct tap_test tests[] = {
	TAP_TEST(each_format),
	TAP_TEST(cut_anywhere),
	TAP_TEST(no_memory),
	TAP_TEST(no_memory_to_list),
	TAP_TEST(shared),
	TAP_TEST(sparse_here),
	TAP_TEST(sparse_tmpfs),
	TAP_TEST(sparse_btrfs),
	TAP_TEST(sparse_xfs),
	TAP_TEST(sparse_full),
};
TAP_MAIN(tests)
