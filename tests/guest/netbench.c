/*
 * virtio-net speed: packets of 60 and 1514 bytes sent, and (mode=rx) received.
 * Prints RESULT lines.
 */
#include "virtio.h"

#define N 128
#define RUN_MS 1500

static struct vdev d;
static struct vq rx, tx;
static uint8_t frames[N][2048] __attribute__((aligned(2048)));
static uint8_t rxbuf[N][2048] __attribute__((aligned(2048)));
static uint64_t tsc_per_ms;

static void
calibrate(void)
{
	uint64_t t = rdtsc();

	delay_us(100000);
	tsc_per_ms = (rdtsc() - t) / 100;
}

static void
send_run(const char *name, uint32_t len)
{
	uint64_t t0, end, n = 0;
	unsigned i, inflight = 0;
	bool kick;

	for (i = 0; i < N; i++) {
		memset(frames[i], 0, 2048);
		memset(frames[i] + 12, 0xff, 6);
		frames[i][12 + 6] = 2;
		frames[i][12 + 12] = 0x88; /* a local experimental type */
		frames[i][12 + 13] = 0xb5;
		vq_desc(&tx, i, frames[i], len + 12, 0, 0);
	}
	t0 = rdtsc();
	end = t0 + tsc_per_ms * RUN_MS;
	for (i = 0; i < N; i++, inflight++)
		vq_add(&tx, (uint16_t)i);
	vq_kick(&tx);
	while (inflight > 0) {
		kick = false;
		while (tx.used[1] != tx.last_used) {
			i = VQ_USED(&tx, tx.last_used).id % N;
			tx.last_used++;
			n++;
			inflight--;
			if (rdtsc() < end) {
				vq_add(&tx, (uint16_t)i);
				inflight++;
				kick = true;
			}
		}
		if (kick && !(tx.used[0] & 1))
			vq_kick(&tx);
		cpu_pause();
	}
	t0 = rdtsc() - t0;
	print("RESULT %s %lu per_s\n", name, n * 1000 * tsc_per_ms / t0);
}

static void
recv_run(void)
{
	uint64_t t0 = 0, end = 0, n = 0, now;
	unsigned i;

	for (i = 0; i < N; i++) {
		vq_desc(&rx, i, rxbuf[i], 2048, DESC_WRITE, 0);
		vq_add(&rx, (uint16_t)i);
	}
	vq_kick(&rx);
	print("READY\n");
	for (;;) {
		now = rdtsc();
		if (t0 != 0 && now > end)
			break;
		while (rx.used[1] != rx.last_used) {
			if (t0 == 0 && n >= 1000) {
				t0 = rdtsc();
				end = t0 + tsc_per_ms * RUN_MS;
				n = 0;
			}
			i = VQ_USED(&rx, rx.last_used).id % N;
			rx.last_used++;
			n++;
			vq_add(&rx, (uint16_t)i);
		}
		if (!(rx.used[0] & 1))
			vq_kick(&rx);
		cpu_pause();
	}
	print(
	    "RESULT net-rx-60 %lu per_s\n", n * 1000 * tsc_per_ms / (now - t0));
}

void
user_main(void)
{
	if (!vdev_open(&d, 1, 0) || !vdev_negotiate(&d, 0) ||
	    !vdev_queue(&d, 0, N, -1, &rx) || !vdev_queue(&d, 1, N, -1, &tx)) {
		print("Bail out! no NIC\n");
		power_off();
	}
	vdev_ready(&d);
	calibrate();
	if (memcmp(cmdline(), "mode=rx", 7) == 0) {
		recv_run();
	} else {
		send_run("net-tx-60", 60);
		send_run("net-tx-1514", 1514);
	}
	print("DONE\n");
	power_off();
}
