/*
 * zonecfg with a person in front: libedit's line editing, history, completion.
 */
#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "session.h"
#include "zone/complete.h"

#define HISTORY_LINES 500
#define FOUND_MAX 128

struct prompt {
	struct session *s;
	char text[ZONE_NAME_MAX + 64];
};

/* The words that complete a line, one after the other. */
struct found {
	char *words[FOUND_MAX];
	size_t n;
};

static char *
prompt_text(EditLine *el)
{
	struct prompt *p = NULL;
	const struct session *s;

	el_get(el, EL_CLIENTDATA, &p);
	s = p->s;
	if (s->res != NULL)
		snprintf(p->text, sizeof(p->text), "zonecfg:%s:%s> ", s->name,
		    zone_res_type(s->res)->name);
	else
		snprintf(p->text, sizeof(p->text), "zonecfg:%s> ", s->name);
	return p->text;
}

static void
on_found(void *arg, const char *word)
{
	struct found *f = arg;

	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->words[i], word) == 0)
			return;
	if (f->n < FOUND_MAX && (f->words[f->n] = alloc_strdup(word)) != NULL)
		f->n++;
}

/* What all words have in common. */
static size_t
common(const struct found *f)
{
	size_t n = strlen(f->words[0]), k;

	for (size_t i = 1; i < f->n; i++) {
		for (k = 0; k < n && f->words[i][k] == f->words[0][k]; k++)
			continue;
		n = k;
	}
	return n;
}

static unsigned char
complete_found(EditLine *el, struct found *f, size_t len)
{
	size_t n = common(f);
	char last;

	if (n > len) {
		f->words[0][n] = '\0';
		el_insertstr(el, f->words[0] + len);
	}
	if (f->n == 1) {
		last = f->words[0][n - 1];
		if (last != '=')
			el_insertstr(el, " ");
		return CC_REFRESH;
	}
	if (n > len)
		return CC_REFRESH;
	putchar('\n');
	for (size_t i = 0; i < f->n; i++)
		printf("%s%s", f->words[i], i + 1 < f->n ? "  " : "\n");
	fflush(stdout);
	return CC_REDISPLAY;
}

static unsigned char
on_tab(EditLine *el, int ch)
{
	const LineInfo *li = el_line(el);
	struct prompt *p = NULL;
	struct found f = { .n = 0 };
	struct zone_complete c;
	cleanup_free char *line = NULL;
	unsigned char rc = CC_ERROR;
	size_t len;

	el_get(el, EL_CLIENTDATA, &p);
	line = alloc_strndup(li->buffer, (size_t)(li->cursor - li->buffer));
	if (line == NULL)
		return CC_ERROR;
	c = (struct zone_complete){ p->s->conf, p->s->brand, p->s->res,
		on_found, &f };
	len = zone_complete(&c, line);
	if (f.n > 0)
		rc = complete_found(el, &f, len);
	for (size_t i = 0; i < f.n; i++)
		free(f.words[i]);
	return rc;
}

/* Errors are told, and the session goes on. */
static bool
run_line(struct session *s, const char *line)
{
	struct zone_stmt *stmt = NULL;
	struct error err = ERROR_INIT;
	bool good = true;
	int rc;

	while (!s->done) {
		rc = zone_stmt_parse(&line, &stmt, &err);
		if (rc == 0)
			break;
		if (rc > 0) {
			rc = session_run(s, stmt, &err);
			zone_stmt_free(stmt);
		}
		if (rc < 0) {
			fprintf(stderr, "%s\n", err.text);
			good = false;
			break;
		}
	}
	return good;
}

/* End of file is 'exit', but there is nobody to ask any more. */
static int
at_end(struct session *s)
{
	struct error err = ERROR_INIT;

	if (s->done)
		return EXIT_OK;
	putchar('\n');
	if (session_finish(s, &err) == 0)
		return EXIT_OK;
	fprintf(stderr, "zonecfg: not saved: %s\n", err.text);
	return EXIT_FAILED;
}

static EditLine *
make_editor(struct prompt *p, History *h)
{
	EditLine *el = el_init("zonecfg", stdin, stdout, stderr);

	if (el == NULL)
		return NULL;
	el_set(el, EL_CLIENTDATA, p);
	el_set(el, EL_PROMPT, prompt_text);
	el_set(el, EL_EDITOR, "emacs");
	el_set(el, EL_SIGNAL, 1);
	el_set(el, EL_HIST, history, h);
	el_set(el, EL_ADDFN, "complete", "complete the word", on_tab);
	el_set(el, EL_BIND, "^I", "complete", NULL);
	el_source(el, NULL);
	return el;
}

int
prompt_run(struct session *s)
{
	struct prompt p = { .s = s };
	History *h = history_init();
	EditLine *el = h != NULL ? make_editor(&p, h) : NULL;
	HistEvent ev;
	const char *line;
	int n;

	if (el == NULL) {
		if (h != NULL)
			history_end(h);
		fprintf(stderr, "zonecfg: out of memory\n");
		return EXIT_FAILED;
	}
	history(h, &ev, H_SETSIZE, HISTORY_LINES);
	if (s->conf == NULL)
		printf("%s: there is no such zone yet\n"
		       "Use 'create' to begin one.\n",
		    s->name);
	while (!s->done && (line = el_gets(el, &n)) != NULL && n > 0) {
		if (line[strspn(line, " \t\n")] != '\0')
			history(h, &ev, H_ENTER, line);
		(void)run_line(s, line);
		fflush(stdout);
	}
	el_end(el);
	history_end(h);
	return at_end(s);
}
