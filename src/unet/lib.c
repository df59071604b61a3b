/*
 * libslirp loaded, its forwards set up.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "unet/impl.h"

int
unet_lib_open(struct unet_lib *lib, struct error *err)
{
	const struct {
		const char *name;
		void **fn;
	} want[] = {
		{ "slirp_new", (void **)&lib->create },
		{ "slirp_cleanup", (void **)&lib->cleanup },
		{ "slirp_input", (void **)&lib->input },
		{ "slirp_pollfds_fill", (void **)&lib->fill },
		{ "slirp_pollfds_poll", (void **)&lib->poll },
		{ "slirp_add_hostfwd", (void **)&lib->add_hostfwd },
	};

	lib->handle = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
	if (lib->handle == NULL)
		return error_set(err, ENOENT,
		    "slirp: cannot load libslirp.so.0 (%s); install the "
		    "package libslirp0, or in a zone set global-nic=slirp",
		    dlerror());
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		*want[i].fn = dlsym(lib->handle, want[i].name);
		if (*want[i].fn == NULL)
			return error_set(err, ENOENT,
			    "slirp: libslirp.so.0 has no %s; install a newer "
			    "libslirp0",
			    want[i].name);
	}
	return 0;
}

void
unet_lib_close(struct unet_lib *lib)
{
	if (lib->handle != NULL)
		dlclose(lib->handle);
	lib->handle = NULL;
}

/* ---- forwards ---- */

/* "addr:port"; without an address it is dflt. */
static int
parse_endpoint(
    char *text, struct in_addr dflt, struct in_addr *addr, uint64_t *port)
{
	char *colon = strrchr(text, ':');

	if (colon == NULL)
		return -EINVAL;
	*colon = '\0';
	*addr = dflt;
	if (*text != '\0' && inet_pton(AF_INET, text, addr) != 1)
		return -EINVAL;
	return str_to_u64(colon + 1, 1, 65535, port);
}

/* proto:hostaddr:hostport-guestaddr:guestport */
static int
forward_one(const struct unet_lib *lib, Slirp *slirp, const char *text,
    struct in_addr to, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(text);
	struct in_addr host, guest, any = { 0 };
	uint64_t hport, gport;
	char *dash;

	if (copy == NULL)
		return error_set(err, ENOMEM, "hostfwd: out of memory");
	dash = strchr(copy, '-');
	if (dash != NULL)
		*dash++ = '\0';
	if (dash == NULL ||
	    (strncmp(copy, "tcp:", 4) != 0 && strncmp(copy, "udp:", 4) != 0) ||
	    parse_endpoint(copy + 4, any, &host, &hport) != 0 ||
	    parse_endpoint(dash, to, &guest, &gport) != 0)
		return error_set(err, EINVAL,
		    "hostfwd=%s: write tcp|udp:hostaddr:port-guestaddr:port, "
		    "as tcp:127.0.0.1:2222-10.0.2.15:22",
		    text);
	if (lib->add_hostfwd(slirp, copy[0] == 'u', host, (int)hport, guest,
		(int)gport) != 0)
		return error_sys(err, errno,
		    "hostfwd=%s: cannot listen on port %u", text,
		    (unsigned)hport);
	return 0;
}

int
unet_forward(const struct unet_lib *lib, Slirp *slirp, const char *list,
    struct in_addr guest, struct error *err)
{
	cleanup_free char *copy = alloc_strdup(list);
	char *rest = copy, *word;
	int rc = 0;

	if (copy == NULL)
		return error_set(err, ENOMEM, "hostfwd: out of memory");
	while (rc == 0 && (word = strsep(&rest, ";")) != NULL)
		rc = forward_one(lib, slirp, word, guest, err);
	return rc;
}
