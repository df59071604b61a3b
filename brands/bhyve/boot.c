/*
 * The bhyve brand's boot hook:
 *
 *   boot ZONE ZONEPATH [BOOT ARGUMENT ...]   < nothing, 3< snapshot, >
 * zhyve.cmd boot -n ...                              as above, the arguments as
 * text
 *
 * It opens nothing but the snapshot of the configuration and changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "machine.h"
#include "once.h"
#include "zone/hook.h"
#include "zone/store.h"

#define CMD_MAX (1u << 20)

static int
fail(const struct error *err)
{
	fprintf(stderr, "boot: %s\n", err->text);
	return 1;
}

static int
print_args(const struct nvlist *cmd)
{
	const char *const *args = NULL;
	size_t n = 0;

	nvlist_get_strs(cmd, "bhyve_args", &args, &n);
	for (size_t i = 0; i < n; i++)
		puts(args[i]);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
write_packed(const struct nvlist *cmd, struct error *err)
{
	struct buf b;
	int rc;

	buf_init(&b, CMD_MAX);
	rc = nvlist_pack(cmd, &b);
	if (rc == 0)
		rc = fd_write_all(STDOUT_FILENO, b.data, b.len);
	buf_fini(&b);
	if (rc < 0)
		return fail((error_sys(err, -rc, "zhyve.cmd"), err));
	return 0;
}

int
main(int argc, char **argv)
{
	bool text = argc > 1 && strcmp(argv[1], "-n") == 0;
	struct error err = ERROR_INIT;
	struct zone_conf *conf = NULL;
	struct nvlist *cmd = NULL;
	struct boot_request req;
	char snapshot[32];
	int status;

	argc -= text;
	argv += text;
	if (argc < 3) {
		fprintf(
		    stderr, "usage: boot [-n] zone zonepath [argument ...]\n");
		return 2;
	}
	snprintf(snapshot, sizeof(snapshot), "/proc/self/fd/%d", ZONE_HOOK_FD);
	if (zone_conf_load_file(snapshot, &conf, NULL, &err) < 0)
		return fail(&err);
	if (once_apply(&conf, argv + 3, &err) < 0) {
		zone_conf_free(conf);
		return fail(&err);
	}
	req = (struct boot_request){ conf, argv[2], argv + 3 };
	if (machine_describe(&req, &cmd, &err) < 0)
		status = fail(&err);
	else
		status = text ? print_args(cmd) : write_packed(cmd, &err);
	nvlist_free(cmd);
	zone_conf_free(conf);
	return status;
}
