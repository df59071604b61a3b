/*
 * Commands that take JSON, and those that make or remove a VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "vmadm.h"

/* Every fault, a line each. */
static int
tell_faults(const struct command *c, const struct manifest_faults *f,
    const struct error *err)
{
	const json_t *why;
	size_t i;

	if (!manifest_faults_any(f))
		return failed(c, err);
	json_array_foreach(f->why, i, why)
	{
		fprintf(stderr, "vmadm: %s: %s\n", c->row->name,
		    json_string_value(why));
	}

	return EXIT_FAILED;
}

static int
no_memory(const struct command *c)
{
	struct error err = ERROR_INIT;

	error_set(&err, ENOMEM, "out of memory");
	return failed(c, &err);
}

int
cmd_create(struct command *c)
{
	struct error err = ERROR_INIT;
	struct manifest_faults f;
	char uuid[ZONE_UUID_LEN + 1];
	json_t *m = NULL;
	const char *file;
	int status;

	file = file_option(c, &status);
	if (status != EXIT_OK)
		return status;
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (read_json(c, file, &m, &status) < 0)
		return status;
	if (manifest_faults_init(&f) < 0)
		return no_memory(c);
	if (vm_create(c->admin, m, &f, uuid, &err) < 0)
		status = tell_faults(c, &f, &err);
	else
		status = done("created VM %s", uuid);
	manifest_faults_fini(&f);
	json_decref(m);
	return status;
}

/* ---- update ---- */

static int
read_words(struct command *c, json_t *payload)
{
	struct error err = ERROR_INIT;
	char name[128];
	const char *eq;

	for (int i = optind; i < c->argc; i++) {
		eq = strchr(c->argv[i], '=');
		if (eq == NULL)
			return usage(c, "takes property=value");
		if (str_format(name, sizeof(name), "%.*s",
			(int)(eq - c->argv[i]), c->argv[i]) < 0)
			name[0] = '\0';
		if (manifest_add_text(payload, name, eq + 1, &err) < 0)
			return failed(c, &err);
	}
	return EXIT_OK;
}

/* A line each. */
static void
tell_notes(struct buf *note)
{
	const char *text = buf_str(note);
	char *next = note->len > 0 && text != NULL ? (char *)note->data : NULL;

	for (char *line; (line = strsep(&next, "\n")) != NULL;)
		fprintf(stderr, "vmadm: update: %s\n", line);
}

static int
update(struct command *c, json_t *payload)
{
	struct error err = ERROR_INIT;
	struct manifest_faults f;
	struct buf note;
	int status;

	if (manifest_faults_init(&f) < 0)
		return no_memory(c);
	buf_init(&note, 4096);
	if (vm_update(c->admin, &c->vm, payload, &f, &note, &err) < 0) {
		status = tell_faults(c, &f, &err);
	} else {
		tell_notes(&note);
		status = done("updated VM %s", c->vm.uuid);
	}
	buf_fini(&note);
	manifest_faults_fini(&f);
	return status;
}

int
cmd_update(struct command *c)
{
	json_t *payload = NULL;
	const char *file;
	int status;

	file = file_option(c, &status);
	if (status != EXIT_OK)
		return status;
	if (file != NULL && optind != c->argc)
		return usage(c, "takes a file or properties, not both");
	if (optind == c->argc) {
		if (read_json(c, file, &payload, &status) < 0)
			return status;
	} else {
		payload = json_object();
		status = read_words(c, payload);
	}
	if (status == EXIT_OK)
		status = update(c, payload);
	json_decref(payload);
	return status;
}

/* ---- validate ---- */

int
cmd_validate(struct command *c)
{
	struct manifest_faults f;
	enum manifest_use use;
	json_t *m = NULL, *out;
	const char *file, *brand = NULL;
	bool update;
	int status;

	if (c->argc < 2)
		return usage(c, NULL);
	update = strcmp(c->argv[1], "update") == 0;
	if ((!update && strcmp(c->argv[1], "create") != 0) ||
	    (update && c->argc < 3))
		return usage(c, NULL);
	use = update ? MANIFEST_UPDATE : MANIFEST_CREATE;
	c->argv++;
	c->argc--;
	/* SmartOS takes a brand behind create, too */
	if (c->argc > 1 && c->argv[1][0] != '-') {
		brand = c->argv[1];
		c->argv++;
		c->argc--;
	}
	file = file_option(c, &status);
	if (status == EXIT_OK && optind != c->argc)
		status = usage(c, NULL);
	if (status != EXIT_OK || read_json(c, file, &m, &status) < 0)
		return status;
	if (manifest_faults_init(&f) < 0)
		return no_memory(c);
	if (manifest_check(m, use, brand, &f) == 0) {
		printf("VALID '%s' payload for brand %s.\n",
		    update ? "update" : "create", update ? brand : "bhyve");
	} else {
		out = manifest_faults_json(&f);
		(void)print_json(out);
		json_decref(out);
		status = EXIT_FAILED;
	}
	manifest_faults_fini(&f);
	json_decref(m);
	return status;
}

/* ---- the others ---- */

int
cmd_delete(struct command *c)
{
	struct error err = ERROR_INIT;
	bool force = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+F")) != -1) {
		if (opt != 'F')
			return usage(c, NULL);
		force = true;
	}
	if (optind != c->argc)
		return usage(c, "takes one VM");
	if (vm_delete(c->admin, &c->vm, force, &err) < 0)
		return failed(c, &err);
	return done(
	    "deleted VM %s", c->vm.uuid[0] != '\0' ? c->vm.uuid : c->vm.name);
}

int
cmd_install(struct command *c)
{
	const struct admin_install in = { NULL };
	struct error err = ERROR_INIT;

	if (c->argc != 1)
		return usage(c, "takes one VM");
	if (admin_install(c->admin, c->vm.name, &in, &err) < 0)
		return failed(c, &err);
	return done("installed VM %s", c->vm.name);
}

int
cmd_reprovision(struct command *c)
{
	struct error err = ERROR_INIT;
	struct manifest_faults f;
	const char *file, *image;
	json_t *v = NULL;
	int status;

	file = file_option(c, &status);
	if (status == EXIT_OK && optind != c->argc)
		status = usage(c, "takes one VM");
	if (status != EXIT_OK || read_json(c, file, &v, &status) < 0)
		return status;
	image = json_string_value(json_object_get(v, "image_uuid"));
	if (image == NULL || json_object_size(v) != 1) {
		error_set(&err, EINVAL,
		    "it takes one property, {\"image_uuid\": \"...\"}");
		status = failed(c, &err);
	} else if (manifest_faults_init(&f) < 0) {
		status = no_memory(c);
	} else {
		if (vm_reprovision(c->admin, &c->vm, image, &f, &err) < 0)
			status = tell_faults(c, &f, &err);
		else
			status = done("reprovisioned VM %s", c->vm.uuid);
		manifest_faults_fini(&f);
	}
	json_decref(v);
	return status;
}

/* ---- send, receive ---- */

int
cmd_send(struct command *c)
{
	struct error err = ERROR_INIT;

	if (c->argc != 1)
		return usage(c, "takes one VM");
	if (isatty(STDOUT_FILENO))
		return usage(
		    c, "standard output is a terminal; send it to a file");
	if (vm_send(c->admin, &c->vm, STDOUT_FILENO, &err) < 0)
		return failed(c, &err);
	return done("sent VM %s", c->vm.uuid);
}

int
cmd_receive(struct command *c)
{
	struct error err = ERROR_INIT;
	char uuid[ZONE_UUID_LEN + 1];
	cleanup_close int fd = -1;
	const char *file = NULL;
	bool trust = false;
	int opt;

	while ((opt = getopt(c->argc, c->argv, "+Ff:")) != -1) {
		if (opt == '?')
			return usage(c, NULL);
		if (opt == 'F')
			trust = true;
		else
			file = optarg;
	}
	if (optind != c->argc)
		return usage(c, "takes no argument");
	if (file == NULL && isatty(STDIN_FILENO))
		return usage(c,
		    "the stream comes on standard input, which is a terminal; "
		    "or give -f file");
	if (file != NULL)
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (file != NULL && fd < 0) {
		error_sys(&err, errno, "%s", file);
		return failed(c, &err);
	}
	if (vm_receive(c->admin, file != NULL ? fd : STDIN_FILENO, trust, uuid,
		&err) < 0)
		return failed(c, &err);
	return done("received VM %s", uuid);
}

/* ---- snapshots ---- */

static int
snapshot(struct command *c,
    int (*fn)(struct admin *a, const struct vm *vm, const char *name,
	struct error *err),
    const char *what)
{
	struct error err = ERROR_INIT;

	if (c->argc != 2)
		return usage(c, "takes a VM and the snapshot's name");
	if (fn(c->admin, &c->vm, c->argv[1], &err) < 0)
		return failed(c, &err);
	return done("%s snapshot %s of VM %s", what, c->argv[1], c->vm.uuid);
}

int
cmd_create_snapshot(struct command *c)
{
	return snapshot(c, vm_snapshot, "created");
}

int
cmd_rollback_snapshot(struct command *c)
{
	return snapshot(c, vm_rollback, "rolled back to");
}

int
cmd_delete_snapshot(struct command *c)
{
	return snapshot(c, vm_snapshot_delete, "deleted");
}
