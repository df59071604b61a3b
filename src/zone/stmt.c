/*
 * Words first, then the shapes of arguments. A statement's memory is bounded by
 * its text: one block for the words, arrays that are counted before.
 */
#include "zone/stmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define SHOWN 64

const struct zone_verb_row zone_verbs[ZONE_NVERBS] = {
#define X(id, name, where, opts, usage, help) \
	[ZONE_VERB_##id] = { name, where, opts, usage, help },
	ZONE_VERBS(X)
#undef X
};

enum token { T_END, T_WORD, T_PUNCT };

struct lexer {
	const char *p; /* rest of the text */
	char *pool; /* where words are copied to; big enough for all */
	unsigned depth; /* open brackets and parentheses */
	struct error *err;
	/* the token at hand */
	enum token kind;
	bool quoted;
	char punct;
	const char *word;
	const char *at; /* where it began */
};

/* A statement and all that it points to. */
struct whole {
	struct zone_stmt stmt;
	struct zone_arg args[ZONE_ARGS_MAX];
	struct zone_raw *values;
	size_t nvalues, maxvalues;
	char pool[];
};

static int
syntax(struct lexer *lx, const char *want)
{
	const char *at = lx->at;
	size_t n = strcspn(at, "\n;");

	while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
		n--;
	if (lx->kind == T_END)
		return error_set(
		    lx->err, EINVAL, "the line ends where %s is due", want);
	return error_set(lx->err, EINVAL, "at '%.*s': %s is due%s",
	    (int)MIN(n, SHOWN), at, want,
	    *at == '=' ? "; a value that holds '=' needs double quotes" : "");
}

static int
quoted_word(struct lexer *lx)
{
	size_t n = strcspn(lx->p + 1, "\"\n");

	if (lx->p[1 + n] != '"')
		return error_set(lx->err, EINVAL,
		    "at '%.*s': the closing double quote is missing",
		    (int)MIN(n + 1, SHOWN), lx->p);
	lx->kind = T_WORD;
	lx->quoted = true;
	lx->word = lx->pool;
	memcpy(lx->pool, lx->p + 1, n);
	lx->pool[n] = '\0';
	lx->pool += n + 1;
	lx->p += n + 2;
	return 0;
}

static int
lex(struct lexer *lx)
{
	const char *stop =
	    lx->depth > 0 ? " \t\r\n\";=[]()," : " \t\r\n\";=[]()";
	size_t n;

	lx->p += strspn(lx->p, " \t\r");
	lx->at = lx->p;
	lx->quoted = false;
	lx->punct = '\0';
	if (*lx->p == '\0' || *lx->p == ';' || *lx->p == '\n') {
		lx->kind = T_END;
		return 0;
	}
	if (*lx->p == '"')
		return quoted_word(lx);
	n = strcspn(lx->p, stop);
	if (n == 0) {
		lx->kind = T_PUNCT;
		lx->punct = *lx->p++;
		lx->depth += lx->punct == '(' || lx->punct == '[';
		lx->depth -=
		    lx->depth > 0 && (lx->punct == ')' || lx->punct == ']');
		return 0;
	}
	lx->kind = T_WORD;
	lx->word = lx->pool;
	memcpy(lx->pool, lx->p, n);
	lx->pool[n] = '\0';
	lx->pool += n + 1;
	lx->p += n;
	return 0;
}

static int
expect(struct lexer *lx, char punct, const char *what)
{
	return lx->punct == punct ? lex(lx) : syntax(lx, what);
}

/* ---- values ---- */

static struct zone_raw *
new_value(struct whole *w, struct lexer *lx)
{
	size_t max = w->maxvalues > 0 ? 2 * w->maxvalues : 4;
	struct zone_raw *grown;

	if (w->nvalues == ZONE_LIST_MAX) {
		error_set(lx->err, E2BIG, "more than %d values in a statement",
		    ZONE_LIST_MAX);
		return NULL;
	}
	if (w->nvalues == w->maxvalues) {
		grown = alloc_resize(w->values, max, sizeof(*grown));
		if (grown == NULL) {
			error_set(lx->err, ENOMEM, "out of memory");
			return NULL;
		}
		w->values = grown;
		w->maxvalues = max;
	}
	w->values[w->nvalues] = (struct zone_raw){ 0 };
	return &w->values[w->nvalues++];
}

static int
field(struct lexer *lx, struct zone_raw *v)
{
	struct zone_raw_field f;
	int rc;

	if (lx->kind != T_WORD)
		return syntax(lx, "name=value");
	if (v->nfields == ARRAY_LEN(v->fields))
		return error_set(lx->err, E2BIG,
		    "at '%s': too many parts in (...)", lx->word);
	f.name = lx->word;
	rc = lex(lx);
	if (rc == 0)
		rc = expect(lx, '=', "'='");
	if (rc < 0)
		return rc;
	if (lx->kind != T_WORD)
		return syntax(lx, "a value");
	f.text = lx->word;
	v->fields[v->nfields++] = f;
	return lex(lx);
}

static int
complex_value(struct whole *w, struct lexer *lx)
{
	struct zone_raw *v = new_value(w, lx);
	int rc;

	if (v == NULL)
		return -lx->err->code;
	do {
		rc = lex(lx); /* behind '(' or ',' */
		if (rc == 0)
			rc = field(lx, v);
	} while (rc == 0 && lx->punct == ',');
	return rc < 0 ? rc : expect(lx, ')', "',' or ')'");
}

static int
one_value(struct whole *w, struct lexer *lx)
{
	struct zone_raw *v;

	if (lx->punct == '(')
		return complex_value(w, lx);
	if (lx->kind != T_WORD)
		return syntax(lx, "a value");
	v = new_value(w, lx);
	if (v == NULL)
		return -lx->err->code;
	v->text = lx->word;
	return lex(lx);
}

static int
list_value(struct whole *w, struct lexer *lx)
{
	int rc = lex(lx);

	if (rc == 0 && lx->punct == ']')
		return lex(lx);
	while (rc == 0) {
		rc = one_value(w, lx);
		if (rc == 0 && lx->punct == ']')
			return lex(lx);
		if (rc == 0)
			rc = expect(lx, ',', "',' or ']'");
	}
	return rc;
}

/* Values are numbered while they come; the array may still move. */
static int
any_value(struct whole *w, struct lexer *lx, struct zone_arg *a)
{
	size_t first = w->nvalues;
	int rc;

	a->assigned = true;
	a->list = lx->punct == '[';
	rc = a->list ? list_value(w, lx) : one_value(w, lx);
	a->nvalues = w->nvalues - first;
	return rc;
}

static int
argument(struct whole *w, struct lexer *lx)
{
	struct zone_arg *a;
	int rc;

	if (w->stmt.nargs == ZONE_ARGS_MAX)
		return error_set(
		    lx->err, E2BIG, "more than %d arguments", ZONE_ARGS_MAX);
	a = &w->args[w->stmt.nargs++];
	if (lx->kind != T_WORD)
		return any_value(w, lx, a);
	a->name = lx->word;
	rc = lex(lx);
	if (rc < 0 || lx->punct != '=')
		return rc;
	rc = lex(lx);
	return rc < 0 ? rc : any_value(w, lx, a);
}

/* ---- statements ---- */

static int
verb(struct whole *w, struct lexer *lx)
{
	const char *names[ZONE_NVERBS];

	if (lx->kind != T_WORD)
		return syntax(lx, "a command");
	for (size_t i = 0; i < ZONE_NVERBS; i++) {
		names[i] = zone_verbs[i].name;
		if (strcmp(names[i], lx->word) == 0 ||
		    (i == ZONE_VERB_HELP && strcmp("?", lx->word) == 0)) {
			w->stmt.verb = (enum zone_verb)i;
			return lex(lx);
		}
	}
	error_set(lx->err, EINVAL, "'%.*s' is no command; 'help' lists them",
	    SHOWN, lx->word);
	error_add_hint(lx->err, str_nearest(lx->word, names, ZONE_NVERBS));
	return -EINVAL;
}

static int
usage(struct whole *w, struct lexer *lx, const char *what)
{
	return error_set(lx->err, EINVAL, "%s; usage: %s", what,
	    zone_verbs[w->stmt.verb].usage);
}

static int
options(struct whole *w, struct lexer *lx)
{
	const char *opts = zone_verbs[w->stmt.verb].opts, *o;
	int rc;

	while (lx->kind == T_WORD && !lx->quoted && lx->word[0] == '-') {
		for (const char *c = lx->word + 1;; c++) {
			o = *c != '\0' && *c != ':' ? strchr(opts, *c) : NULL;
			if (o == NULL)
				return usage(w, lx, "no such option");
			w->stmt.opts |= 1U << (o - opts);
			if (o[1] != ':') {
				if (c[1] == '\0')
					break;
				continue;
			}
			w->stmt.opt_arg = c + 1;
			if (c[1] != '\0')
				break;
			rc = lex(lx);
			if (rc < 0)
				return rc;
			if (lx->kind != T_WORD)
				return usage(
				    w, lx, "an option has no argument");
			w->stmt.opt_arg = lx->word;
			break;
		}
		rc = lex(lx);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
statement(struct whole *w, struct lexer *lx)
{
	struct zone_raw *next;
	int rc;

	rc = lex(lx);
	if (rc == 0)
		rc = verb(w, lx);
	if (rc == 0)
		rc = options(w, lx);
	while (rc == 0 && lx->kind != T_END)
		rc = argument(w, lx);
	next = w->values;
	for (size_t i = 0; i < w->stmt.nargs; i++) {
		w->args[i].values = next;
		if (next != NULL)
			next += w->args[i].nvalues;
	}
	w->stmt.args = w->args;
	return rc;
}

/* Length of the statement at p, quotes respected. */
static size_t
extent(const char *p)
{
	size_t n = 0, q;

	while (p[n] != '\0' && p[n] != ';' && p[n] != '\n') {
		if (p[n] == '"') {
			q = strcspn(p + n + 1, "\"\n");
			if (p[n + 1 + q] == '"')
				n += q + 1;
		}
		n++;
	}
	return n;
}

/* To the next statement; comments stand only where one could begin. */
static const char *
skip(const char *p)
{
	for (;;) {
		p += strspn(p, " \t\r\n;");
		if (*p != '#')
			return p;
		p += strcspn(p, "\n");
	}
}

int
zone_stmt_parse(const char **text, struct zone_stmt **ret, struct error *err)
{
	struct lexer lx = { .err = err };
	struct error local = ERROR_INIT;
	const char *p = skip(*text);
	struct whole *w;
	size_t n;
	int rc;

	if (err == NULL)
		lx.err = &local;
	n = extent(p);
	*text = p + n;
	if (n == 0)
		return 0;
	if (n > ZONE_LINE_MAX)
		return error_set(
		    lx.err, E2BIG, "a statement of %zu bytes is too long", n);
	/* a word ends at a separator, or a further byte is needed for it */
	w = alloc_zero(1, sizeof(*w) + 2 * n + 2);
	if (w == NULL)
		return error_set(lx.err, ENOMEM, "out of memory");
	lx.p = p;
	lx.pool = w->pool;
	rc = statement(w, &lx);
	if (rc < 0) {
		zone_stmt_free(&w->stmt);
		return rc;
	}
	*ret = &w->stmt;
	return 1;
}

void
zone_stmt_free(struct zone_stmt *stmt)
{
	struct whole *w;

	if (stmt == NULL)
		return;
	w = container_of(stmt, struct whole, stmt);
	free(w->values);
	free(w);
}

bool
zone_stmt_opt(const struct zone_stmt *stmt, char letter)
{
	const char *opts = zone_verbs[stmt->verb].opts;
	const char *o = strchr(opts, letter);

	return o != NULL && (stmt->opts & 1U << (o - opts)) != 0;
}

/* ---- writing ---- */

void
zone_stmt_quote(struct buf *b, const char *text, bool always)
{
	bool plain = text[0] != '\0' && !always && !zone_is_keyword(text);

	if (text[strcspn(text, " \t\r\n\";=[]()")] != '\0')
		plain = false;
	buf_printf(b, plain ? "%s" : "\"%s\"", text);
}

void
zone_stmt_value(
    struct buf *b, const struct zone_prop *p, const struct zone_val *v)
{
	bool quoted;

	if (p->fields == NULL) {
		/* a list's values have commas between them */
		quoted = (p->flags & ZP_LIST) != 0 &&
		    strchr(v->text[0], ',') != NULL;
		zone_stmt_quote(b, v->text[0], quoted);
		return;
	}
	for (size_t i = 0; i < zone_field_count(p); i++) {
		buf_printf(b, "%s%s=", i == 0 ? "(" : ",", p->fields[i].name);
		quoted = p->fields[i].quoted || strchr(v->text[i], ',') != NULL;
		zone_stmt_quote(b, v->text[i], quoted);
	}
	buf_append_str(b, ")");
}
