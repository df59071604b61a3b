/*
 * The metadata protocol: base64, frames, and conversations, with the vectors
 * of the specification.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdata/b64.h"
#include "mdata/frame.h"
#include "mdata/session.h"
#include "tap.h"

#define MS UINT64_C(1000000)

static void
base64(void)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" },
		{ "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "Zg===", "====", "Zh==", "Zm9=", "Zm9v\n",
		"Zg==Zg==", "Z===", "Zm-v", "Z=9v" };
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tap_context("'%s'", rows[i][0]);
		buf_reset(&b);
		tap_check_int(
		    b64_encode(&b, rows[i][0], strlen(rows[i][0])), 0);
		tap_check_str(buf_str(&b), rows[i][1]);
		buf_reset(&b);
		tap_check_int(
		    b64_decode(&b, rows[i][1], strlen(rows[i][1])), 0);
		tap_check_str(buf_str(&b), rows[i][0]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tap_context("'%s'", bad[i]);
		buf_reset(&b);
		tap_check_int(b64_decode(&b, bad[i], strlen(bad[i])), -EINVAL);
		tap_check_int(b.len, 0);
	}
	buf_fini(&b);
}

static void
frames(void)
{
	static const struct {
		const char *line, *id, *word, *payload;
	} rows[] = {
		{ "V2 25 94451606 0f1e2d3c GET c2RjOnV1aWQ=", "0f1e2d3c", "GET",
		    "sdc:uuid" },
		{ "V2 16 f6696b1a 0f1e2d3d SUCCESS", "0f1e2d3d", "SUCCESS",
		    "" },
		{ "V2 17 d79a3bc8 0f1e2d3e NOTFOUND", "0f1e2d3e", "NOTFOUND",
		    "" },
		{ "V2 13 00000736 00051671 KEYS", "00051671", "KEYS", "" },
		{ "V2 21 265ae1d8 dc4fae17 SUCCESS W10=", "dc4fae17", "SUCCESS",
		    "[]" },
		{ "V2 25 b5a9ff00 abcdef12 SUCCESS dmFsdWU=", "abcdef12",
		    "SUCCESS", "value" },
		{ "V2 29 40873553 abcdef12 SUCCESS Zm9vCmJhcg==", "abcdef12",
		    "SUCCESS", "foo\nbar" },
	};
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_frame f;

		tap_context("%s", rows[i].line);
		tap_check_int(
		    mdata_frame_parse(rows[i].line, strlen(rows[i].line), &f),
		    0);
		tap_check_str(f.id, rows[i].id);
		tap_check_str(f.word, rows[i].word);
		buf_reset(&b);
		tap_check_int(mdata_frame_write(&b, f.id, f.word,
				  rows[i].payload, strlen(rows[i].payload)),
		    0);
		b.len--; /* LF */
		tap_check_str(buf_str(&b), rows[i].line);
	}
	buf_fini(&b);
}

static void
no_frames(void)
{
	static const char *const rows[] = { "V2", "V2 ", "V2 0 00000000 ",
		"V2 24 94451606 0f1e2d3c GET c2RjOnV1aWQ=",
		"V2 25 94451607 0f1e2d3c GET c2RjOnV1aWQ=",
		"V2 25 9445160 0f1e2d3c GET c2RjOnV1aWQ=",
		"V2 13 00000736 00051671 KEYS ", "v2 13 00000736 00051671 KEYS",
		"V2 -13 00000736 00051671 KEYS",
		"V2 0x0d 00000736 00051671 KEYS",
		"V2 99999999999999999999 00000736 00051671 KEYS",
		"xV2 13 00000736 00051671 KEYS", "V2 8 0b0d8d3a 00051671" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_frame f;

		tap_context("%s", rows[i]);
		tap_check_int(
		    mdata_frame_parse(rows[i], strlen(rows[i]), &f), -EINVAL);
	}
}

/* ---- conversations ---- */

static char put_key[300], put_value[300];

static int
get(void *arg, const char *key, struct buf *value, struct buf *why)
{
	if (strcmp(key, "sdc:uuid") == 0)
		return buf_append_str(
		    value, "5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d");
	if (strcmp(key, "dots") == 0)
		return buf_append_str(value, ".a\n..b\nc\n.\n");
	if (strcmp(key, "empty") == 0)
		return 0;
	if (strcmp(key, "broken") == 0)
		return buf_append_str(why, "no"), -EIO;
	return -ENOENT;
}

static int
keys(void *arg, struct buf *names, struct buf *why)
{
	return buf_append_str(names, "root_authorized_keys\nuser-script");
}

static int
put(void *arg, const char *key, const void *value, size_t n, struct buf *why)
{
	if (strncmp(key, "sdc:", 4) == 0)
		return buf_append_str(
			   why, "Cannot update the \"sdc\" Namespace."),
		       -EPERM;
	snprintf(put_key, sizeof(put_key), "%s", key);
	snprintf(
	    put_value, sizeof(put_value), "%.*s", (int)n, (const char *)value);
	return 0;
}

static int
del(void *arg, const char *key, struct buf *why)
{
	return strncmp(key, "sdc:", 4) == 0 ? put(arg, key, "", 0, why)
					    : -ENOENT;
}

static const struct mdata_ops ops = { get, keys, put, del };

/* Everything that is answered to a text; taken as a slow port would give it. */
static const char *
talk(struct mdata_session *s, const char *in, uint64_t now, struct buf *all)
{
	size_t n = strlen(in), out;
	const uint8_t *p;

	buf_reset(all);
	while (n > 0) {
		size_t got =
		    mdata_session_input(s, (const uint8_t *)in, n, now);

		in += got;
		n -= got;
		while ((p = mdata_session_output(s, &out)) != NULL) {
			out = out > 7 ? 7 : out;
			buf_append(all, p, out);
			mdata_session_sent(s, out);
		}
	}
	return buf_str(all);
}

static void
conversations(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "\n", "invalid command\n" },
		{ "NEGOTIATE V2\n", "V2_OK\n" },
		{ "NEGOTIATE V3\n", "FAILURE\n" },
		{ "NEGOTIATE\n", "invalid command\n" },
		{ "GET\n", "invalid command\n" },
		{ "GET nope\n", "NOTFOUND\n" },
		{ "GET sdc:uuid\r\n",
		    "SUCCESS\n5a1c1e0e-6e3f-4f0a-9d1b-0c5d7a1b2c3d\n.\n" },
		{ "GET dots\n", "SUCCESS\n..a\n...b\nc\n..\n\n.\n" },
		{ "GET empty\n", "SUCCESS\n\n.\n" },
		{ "GET broken\n", "FAILURE\n" },
		{ "KEYS\n", "SUCCESS\nroot_authorized_keys\nuser-script\n.\n" },
		{ "PUT a b\n", "FAILURE\n" },
		{ "HELLO\n", "FAILURE\n" },
		/* the specification's examples */
		{ "V2 25 94451606 0f1e2d3c GET c2RjOnV1aWQ=\n",
		    "V2 65 119eb4ba 0f1e2d3c SUCCESS "
		    "NWExYzFlMGUtNmUzZi00ZjBhLTlkMWItMGM1ZDdhMWIyYzNk\n" },
		{ "V2 37 f0e72fba 0f1e2d3d PUT WTI5c2IzST0gWW13Z2RXVUs=\n",
		    "V2 21 f80a8aed 0f1e2d3d SUCCESS T0s=\n" },
		{ "V2 21 8bf2602b 0f1e2d3e GET bm9wZQ==\n",
		    "V2 17 d79a3bc8 0f1e2d3e NOTFOUND\n" },
		{ "V2 13 60967570 0f1e2d3f KEYS\n",
		    "V2 61 d765cff2 0f1e2d3f SUCCESS "
		    "cm9vdF9hdXRob3JpemVkX2tleXMKdXNlci1zY3JpcHQ=\n" },
		{ "V2 28 4f4ab385 0f1e2d40 DELETE c2RjOnV1aWQ=\n",
		    "V2 65 eeddb2cf 0f1e2d40 FAILURE "
		    "Q2Fubm90IHVwZGF0ZSB0aGUgInNkYyIgTmFtZXNwYWNlLg==\n" },
		/* wrong frames get no answer */
		{ "V2 25 94451607 0f1e2d3c GET c2RjOnV1aWQ=\n", "" },
		{ "V2 garbage\n", "" },
		/* nor does what we say ourselves */
		{ "invalid command\n", "" },
		{ "FAILURE\nNOTFOUND\nSUCCESS\nV2_OK\n.\n", "" },
		{ "V2 17 d79a3bc8 0f1e2d3e NOTFOUND\n", "" },
		{ "V2 16 f6696b1a 0f1e2d3d SUCCESS\n", "" },
	};
	struct buf all;

	buf_init(&all, 65536);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_session *s = mdata_session_create(&ops, NULL);

		tap_context("row %zu: %s", i, rows[i].in);
		tap_check_str(talk(s, rows[i].in, 0, &all), rows[i].out);
		mdata_session_free(s);
	}
	tap_check_str(put_key, "color");
	tap_check_str(put_value, "bl ue\n");
	buf_fini(&all);
}

static void
blank_lines(void)
{
	struct mdata_session *s = mdata_session_create(&ops, NULL);
	struct buf all;

	buf_init(&all, 65536);
	/* what a client sent while nobody answered */
	tap_check_str(talk(s, "\n\n\nNEGOTIATE V2\n", 0, &all),
	    "invalid command\nV2_OK\n");
	tap_check_str(talk(s, "\n", 300 * MS, &all), "invalid command\n");
	tap_check_str(talk(s, "\n", 400 * MS, &all), "");
	tap_check_str(talk(s, "  x\n", 501 * MS, &all), "invalid command\n");
	mdata_session_free(s);
	buf_fini(&all);
}

static void
half_lines_are_forgotten(void)
{
	struct mdata_session *s = mdata_session_create(&ops, NULL);
	struct buf all;

	buf_init(&all, 65536);
	tap_check_str(talk(s, "GET sdc", 0, &all), "");
	tap_check_str(talk(s, ":nope\n", 1999 * MS, &all), "NOTFOUND\n");
	tap_check_str(talk(s, "V2 25 9", 3000 * MS, &all), "");
	tap_check_str(talk(s, "\n", 5000 * MS, &all), "invalid command\n");
	tap_check_str(talk(s, "GET x", 6000 * MS, &all), "");
	mdata_session_reset(s);
	tap_check_str(talk(s, "KEYS x\n", 6001 * MS, &all),
	    "SUCCESS\nroot_authorized_keys\nuser-script\n.\n");
	mdata_session_free(s);
	buf_fini(&all);
}

static void
floods_are_bounded(void)
{
	struct mdata_session *s = mdata_session_create(&ops, NULL);
	size_t n = MDATA_LINE_MAX + 10;
	char *line = malloc(n + 1);
	struct buf all;
	const char *at;
	unsigned answers = 0;

	buf_init(&all, 1 << 20);
	memset(line, 'x', n);
	line[n] = '\0';
	tap_check_str(talk(s, line, 0, &all), "");
	tap_check_str(talk(s, "yyy\nGET nope\n", 1, &all), "NOTFOUND\n");
	tap_check_int(mdata_session_counters(s)->overlong, 1);
	for (unsigned i = 0; i < 1000; i++) {
		talk(s, "what is this\n", 2000 * MS, &all);
		for (at = (const char *)all.data; all.len > 0 && *at; at++)
			answers += *at == '\n';
	}
	tap_check_int(answers, 10);
	tap_check_int(mdata_session_counters(s)->unknown, 1000);
	free(line);
	mdata_session_free(s);
	buf_fini(&all);
}

/* A guest that does not read: nothing further is taken, nothing piles up. */
static void
waits_for_the_reader(void)
{
	struct mdata_session *s = mdata_session_create(&ops, NULL);
	static const char in[] = "KEYS\nKEYS\nKEYS\n";
	size_t out;

	tap_check_int(
	    mdata_session_input(s, (const uint8_t *)in, sizeof(in) - 1, 0), 5);
	tap_check_int(mdata_session_input(s, (const uint8_t *)in, 5, 0), 0);
	tap_check(mdata_session_output(s, &out) != NULL);
	mdata_session_sent(s, out - 1);
	tap_check_int(mdata_session_input(s, (const uint8_t *)in, 5, 0), 0);
	mdata_session_sent(s, 1);
	tap_check(mdata_session_output(s, &out) == NULL);
	tap_check_int(mdata_session_input(s, (const uint8_t *)in, 5, 0), 5);
	mdata_session_free(s);
}

static void
puts_are_checked(void)
{
	/* inner forms of a PUT's payload */
	static const struct {
		const char *inner, *answer;
	} rows[] = {
		{ "", "Invalid PUT Request" },
		{ "Y29sb3I=", "Invalid PUT Request" },
		{ "Y29sb3I= ", "Invalid PUT Request" },
		{ "Y29sb3I= !!!!", "Invalid PUT Request" },
		{ "ICA= YQ==", "Invalid PUT Request" },
		{ "YQpi YQ==", "Invalid PUT Request" }, /* a LF in the key */
		{ "c2RjOng= YQ==", "Cannot update the \"sdc\" Namespace." },
	};
	struct buf line, all, want;

	buf_init(&line, 65536);
	buf_init(&all, 65536);
	buf_init(&want, 65536);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mdata_session *s = mdata_session_create(&ops, NULL);

		tap_context("row %zu", i);
		buf_reset(&line);
		buf_reset(&want);
		mdata_frame_write(
		    &line, "0a", "PUT", rows[i].inner, strlen(rows[i].inner));
		mdata_frame_write(&want, "0a", "FAILURE", rows[i].answer,
		    strlen(rows[i].answer));
		tap_check_str(talk(s, buf_str(&line), 0, &all), buf_str(&want));
		mdata_session_free(s);
	}
	buf_fini(&line);
	buf_fini(&all);
	buf_fini(&want);
}

static const struct tap_test tests[] = { TAP_TEST(base64), TAP_TEST(frames),
	TAP_TEST(no_frames), TAP_TEST(conversations), TAP_TEST(blank_lines),
	TAP_TEST(half_lines_are_forgotten), TAP_TEST(floods_are_bounded),
	TAP_TEST(waits_for_the_reader), TAP_TEST(puts_are_checked) };
TAP_MAIN(tests)
