/*
 * Runs a fuzz target over its corpus: the form of the harness that every
 * compiler builds and every test run executes. Arguments are files and folders.
 * Each input is also replayed cut short and with single bytes changed, by a
 * fixed generator, so that the replay sees more than the corpus.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUTANTS 64

static unsigned inputs;

static void
run_mutants(const uint8_t *data, size_t n)
{
	/* exact-size copies, so that the sanitizer sees every overrun */
	uint32_t seed = (uint32_t)n + 1;
	unsigned i, k;
	uint8_t *m;
	size_t len;

	for (i = 0; i < MUTANTS && n > 0; i++) {
		seed = seed * 1664525 + 1013904223;
		len = i % 2 ? n : seed % n;
		m = malloc(len + !len);
		if (m == NULL)
			return;
		memcpy(m, data, len);
		for (k = 0; k < i % 5 && len > 0; k++) {
			seed = seed * 1664525 + 1013904223;
			m[(seed >> 8) % len] = (uint8_t)(seed >> 24);
		}
		LLVMFuzzerTestOneInput(m, len);
		free(m);
	}
}

static int
run_file(const char *path)
{
	struct stat st;
	uint8_t *data;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL || fstat(fileno(f), &st) != 0) {
		perror(path);
		return 1;
	}
	data = malloc((size_t)st.st_size + 1);
	n = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	run_mutants(data, n);
	free(data);
	inputs++;
	return 0;
}

static int
run_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[4096];
	int bad = 0;

	if (d == NULL)
		return run_file(path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		bad |= run_file(name);
	}
	closedir(d);
	return bad;
}

int
main(int argc, char **argv)
{
	int i, bad = 0;

	for (i = 1; i < argc; i++)
		bad |= run_dir(argv[i]);
	printf("1..1\n%s 1 - %u corpus inputs, %u variants each\n",
	    bad || inputs == 0 ? "not ok" : "ok", inputs, MUTANTS);
	return bad || inputs == 0;
}
