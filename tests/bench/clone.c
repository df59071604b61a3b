/*
 * How long a volume takes that begins as an image: clone ROOT IMAGE COUNT
 * prints "MEDIAN ms" of volume_create(), synced.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "store/image.h"
#include "store/volume.h"

#define ZONE "1d5b8e7c-c004-4f69-bf0c-c98918e35bd5"
#define COUNT_MAX 100

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int
fail(const struct error *err)
{
	fprintf(stderr, "clone: %s\n", err->text);
	return 1;
}

int
main(int argc, char **argv)
{
	struct volume_spec spec = { "zones", ZONE };
	struct volume_pools *pools = NULL;
	struct error err = ERROR_INIT;
	double took[COUNT_MAX], began;
	char image[4096], name[32];
	struct image_info i;
	uint64_t n = 0;

	if (argc != 4 || str_to_u64(argv[3], 1, COUNT_MAX, &n) < 0) {
		fprintf(stderr, "usage: clone root image count\n");
		return 2;
	}
	if (image_find(argv[1], argv[2], &i, &err) < 0 ||
	    image_path(argv[1], i.uuid, image, sizeof(image), &err) < 0 ||
	    volume_pools_open(argv[1], &pools, &err) < 0)
		return fail(&err);
	spec.origin = image;
	spec.name = name;
	for (uint64_t k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "disk%ju", (uintmax_t)k);
		began = now_ms();
		if (volume_create(pools, &spec, &err) < 0)
			return fail(&err);
		took[k] = now_ms() - began;
	}
	qsort(took, n, sizeof(took[0]), by_size);
	printf("%.3f ms\n", took[n / 2]);
	image_info_fini(&i);
	volume_pools_close(pools);
	return 0;
}
