/*
 * The machine stopped for a moment, so that somebody can copy its disks as they
 * are at one point in time. The pause is a lease that the zone's process keeps
 * itself: it goes on when its time is over, even if nobody else lives any more.
 */
#include <errno.h>

#include "ipc/ipc.h"
#include "zoneadmd/impl.h"

#define ANSWER_SECONDS 10

static int
say(struct sup *sup, const char *type, unsigned seconds, struct error *err)
{
	struct nvlist *msg = ipc_message(type);
	int rc = msg != NULL ? 0 : -ENOMEM;

	if (sup->child.control < 0)
		rc = -ENOTCONN;
	if (rc == 0)
		rc = nvlist_add_u64(msg, "id", sup->child.pause_id);
	if (rc == 0 && seconds > 0)
		rc = nvlist_add_u64(msg, "seconds", seconds);
	if (rc == 0)
		rc = ipc_send(sup->child.control, msg, NULL, 0);
	nvlist_free(msg);
	return rc < 0 ? error_sys(err, -rc, "the zone's process") : 0;
}

static bool
paused(struct sup *sup)
{
	return sup->child.paused || sup->child.gone || sup->cancel;
}

static bool
resumed(struct sup *sup)
{
	return sup->child.resumed || sup->child.gone || sup->cancel;
}

int
child_pause(struct sup *sup, unsigned seconds, struct error *err)
{
	struct error late = ERROR_INIT;
	struct child *ch = &sup->child;
	int rc;

	/* no other pause has it, of this supervisor or a former one */
	ch->pause_id = mevent_now_ns();
	ch->paused = ch->resumed = ch->held = false;
	rc = say(sup, "pause", seconds, err);
	if (rc == 0)
		rc = child_await(sup, paused, ANSWER_SECONDS, "pause", err);
	if (rc < 0)
		(void)say(sup, "resume", 0, &late);
	return rc;
}

int
child_resume(struct sup *sup, struct error *err)
{
	int rc = say(sup, "resume", 0, err);

	if (rc == 0)
		rc = child_await(sup, resumed, ANSWER_SECONDS, "resume", err);
	if (rc == 0 && !sup->child.held)
		rc = error_set(err, ETIMEDOUT,
		    "the machine was paused for too long, and went on before");
	return rc;
}

void
child_let_go(struct sup *sup)
{
	struct error late = ERROR_INIT;

	(void)say(sup, "resume", 0, &late);
}
