/* attester SOCKET MANIFEST ROOT: speaks to a real broker as an enclave of the project that was good and turned bad. Makes its
 * evidence with the project's development root. Prints what the broker says, a line each:
 *
 *   attest ok                          a good session, with a key of its own
 *   birth birth-missing|ok             asked for on that session
 *   again REASON                       the same key, from another connection, with another image
 *   birth REASON                       asked for on the first session, afterwards
 */
#include "base/secret.h"
#include "channel/session.h"
#include "crypto/random.h"
#include "io/addr.h"
#include "io/sys.h"
#include "manifest/pcr.h"
#include "platform/nsm.h"
#include "tee/nsm.h"
#include "wire/messages.h"
#include "wire/ops.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD 12
#define ROLE_ENCLAVE 3

struct line {
	int fd;
	struct bulla_tls_context *context;
	struct bulla_tls *tls;
	struct bulla_buf plain;
};

static struct bulla_manifest manifest;
static struct bulla_dev_nsm *module;
static uint8_t memory[1 << 18];

static void must(bulla_rc rc, const char *what)
{
	if (rc == BULLA_OK)
		return;
	printf("failed %s %s\n", what, bulla_rc_id(rc));
	exit(1);
}

/* ---- a connection: blocking TLS, frames by hand ---- */
static void flush(struct line *line)
{
	BULLA_AUTO_BUF out;

	bulla_buf_init(&out, 1 << 20);
	must(bulla_tls_take(line->tls, &out), "take");
	for (size_t at = 0; at < out.n;) {
		struct pollfd poller = {line->fd, POLLOUT, 0};

		if (poll(&poller, 1, 10000) <= 0)
			must(BULLA_E_TIMEOUT, "write");
		ssize_t n = write(line->fd, out.p + at, out.n - at);
		at += n > 0 ? (size_t)n : 0;
	}
}

static void fill(struct line *line)
{
	struct pollfd poller = {line->fd, POLLIN, 0};
	uint8_t bytes[16384];

	flush(line);
	if (poll(&poller, 1, 10000) <= 0)
		must(BULLA_E_TIMEOUT, "read");
	ssize_t n = read(line->fd, bytes, sizeof(bytes));
	must(n > 0 ? BULLA_OK : BULLA_E_CLOSED, "read");
	must(bulla_tls_feed(line->tls, bulla_bytes_of(bytes, (size_t)n), &line->plain), "feed");
	flush(line);
}

static void send_frame(struct line *line, uint8_t op, uint32_t stream, bulla_bytes body)
{
	uint8_t head[HEAD];
	bulla_wr w = bulla_wr_fixed(head, sizeof(head));

	bulla_wr_u32le(&w, (uint32_t)body.n);
	bulla_wr_u8(&w, 1);
	bulla_wr_u8(&w, op);
	bulla_wr_u16le(&w, 0);
	bulla_wr_u32le(&w, stream);
	must(bulla_tls_write(line->tls, BULLA_BYTES_ARRAY(head)), "write");
	must(bulla_tls_write(line->tls, body), "write");
	flush(line);
}

/* The next frame; its body stays in `memory`. Error frames give their error. */
static bulla_rc take_frame(struct line *line, bulla_bytes *ret)
{
	struct bulla_msg_error error;
	uint32_t size = 0;
	uint16_t flags = 0;
	char id[64] = "";

	for (;;) {
		bulla_rd r = bulla_rd_of(bulla_buf_view(&line->plain));

		if (line->plain.n >= HEAD) {
			must(bulla_rd_u32le(&r, &size), "frame");
			must(bulla_rd_skip(&r, 2), "frame");
			must(bulla_rd_u16le(&r, &flags), "frame");
			if (line->plain.n >= HEAD + size)
				break;
		}
		fill(line);
	}
	bulla_copy(memory, line->plain.p + HEAD, size);
	bulla_buf_consume(&line->plain, HEAD + size);
	*ret = bulla_bytes_of(memory, size);
	if ((flags & 2) == 0)
		return BULLA_OK;
	must(bulla_msg_error_decode(*ret, &error), "error");
	bulla_copy(id, error.id.p, error.id.n < sizeof(id) - 1 ? error.id.n : sizeof(id) - 1);
	return bulla_rc_from_id(id);
}

static bulla_rc call(struct line *line, uint8_t op, uint32_t stream, bulla_bytes body, bulla_bytes *ret)
{
	send_frame(line, op, stream, body);
	return take_frame(line, ret);
}

static void dial(const char *path, struct line *ret)
{
	const struct bulla_msg_hello hello = {
		.version = 1, .role = ROLE_ENCLAVE, .boot_id = BULLA_BYTES_LITERAL("boots of testing"), .window = 4};
	struct bulla_addr addr;
	uint8_t text[64];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));
	bulla_bytes body;

	*ret = (struct line){.fd = -1};
	bulla_buf_init(&ret->plain, 1 << 20);
	must(bulla_addr_parse(bulla_bytes_str(path), &addr), "address");
	must(bulla_addr_dial(&addr, &ret->fd), "dial");
	must(bulla_tls_client_new(&manifest.broker_tls, &ret->context), "tls");
	must(bulla_tls_new(ret->context, BULLA_TLS_FRAMES, &ret->tls), "tls");
	while (!bulla_tls_ready(ret->tls))
		fill(ret);
	bulla_msg_hello_encode(&hello, &w);
	must(call(ret, BULLA_OP_HELLO, 0, bulla_bytes_of(text, w.n), &body), "hello");
}

/* ---- evidence ---- */
static bulla_rc ask_module(const struct bulla_nsm *nsm, bulla_bytes request, struct bulla_buf *ret)
{
	(void)nsm;
	return bulla_dev_nsm_answer(module, request, ret);
}

static const struct bulla_nsm nsm = {.fd = -1, .call = ask_module};

static void make_module(const struct bulla_dev_pki *pki, uint8_t changed, struct bulla_dev_nsm *ret)
{
	uint8_t measured[3][BULLA_NITRO_PCR_SIZE] = {{0}}, value[BULLA_NSM_PCR_SIZE];
	struct bulla_image image;
	size_t cursor = 0;

	must(bulla_image_next(manifest.agents[0].images, &cursor, &image), "image");
	for (size_t i = 0; i < image.count && i < 3; i++)
		must(bulla_bytes_copy_exact(image.values[i].value, BULLA_NITRO_PCR_SIZE, measured[i]), "image");
	measured[0][0] ^= changed;
	must(bulla_dev_nsm_init(ret, pki, bulla_sys_clock(), bulla_random_os(), (const uint8_t(*)[BULLA_NITRO_PCR_SIZE])measured),
		"module");
	module = ret;
	must(bulla_nsm_extend_pcr(&nsm, BULLA_PCR_MANIFEST, bulla_bytes_digest(&manifest.digest), value), "pcr16");
	must(bulla_nsm_extend_pcr(&nsm, BULLA_PCR_BUNDLES, bulla_bytes_digest(&manifest.agents[0].bundle), value), "pcr17");
	must(bulla_nsm_lock_pcr(&nsm, BULLA_PCR_MANIFEST), "lock");
	must(bulla_nsm_lock_pcr(&nsm, BULLA_PCR_BUNDLES), "lock");
}

static bulla_rc attest(struct line *line, struct bulla_dev_nsm *with, const struct bulla_sign_key *key)
{
	static uint8_t text[1 << 17];
	struct bulla_session_client client;
	struct bulla_channel_ends ends;
	BULLA_AUTO_BUF document;
	uint8_t binder[BULLA_BINDER_BYTES];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));
	bulla_digest nonce;
	bulla_bytes body;

	module = with;
	bulla_buf_init(&document, BULLA_MAX_EVIDENCE);
	must(bulla_channel_ends_of(line->tls, &ends), "ends");
	must(bulla_session_client_init(&client, &ends, BULLA_BYTES_LITERAL("nitro"), bulla_sign_key_spki(key),
		BULLA_BYTES_ARRAY(manifest.agents[0].handle.b), &manifest.digest), "client");
	must(bulla_session_client_ask(&client, &w), "ask");
	must(call(line, BULLA_OP_CHALLENGE, 1, bulla_bytes_of(text, w.n), &body), "challenge");
	must(bulla_session_client_challenge(&client, body, &nonce, binder), "challenge");
	must(bulla_nsm_attest(&nsm, BULLA_BYTES_ARRAY(binder), bulla_bytes_digest(&nonce), bulla_bytes_of(NULL, 0), &document),
		"document");
	w = bulla_wr_fixed(text, sizeof(text));
	must(bulla_session_client_attest(&client, bulla_buf_view(&document), bulla_bytes_of(NULL, 0), &w), "attest");
	return call(line, BULLA_OP_ATTEST, 2, bulla_bytes_of(text, w.n), &body);
}

static bulla_rc ask_birth(struct line *line, uint32_t stream)
{
	const struct bulla_msg_birth_ask ask = {
		.agent = BULLA_BYTES_ARRAY(manifest.agents[0].handle.b), .epoch = manifest.epoch};
	uint8_t text[64];
	bulla_wr w = bulla_wr_fixed(text, sizeof(text));
	bulla_bytes body;

	bulla_msg_birth_ask_encode(&ask, &w);
	return call(line, BULLA_OP_BIRTH_ASK, stream, bulla_bytes_of(text, w.n), &body);
}

int main(int argc, char **argv)
{
	static struct bulla_dev_nsm good, bad;
	struct bulla_dev_pki pki = {.root = NULL};
	struct bulla_sign_key *key = NULL;
	struct bulla_buf bytes;
	struct line first, second;

	if (argc != 4)
		return 2;
	must(bulla_secret_slab_init(64), "slab");
	bulla_buf_init(&bytes, BULLA_MAX_MANIFEST);
	must(bulla_sys_read_file(argv[2], &bytes), "manifest");
	must(bulla_manifest_decode(bulla_buf_view(&bytes), &manifest), "manifest");
	must(bulla_dev_pki_open(argv[3], bulla_sys_clock(), bulla_random_os(), &pki), "root");
	must(bulla_sign_key_new(BULLA_ES256, &key), "key");
	make_module(&pki, 0, &good);
	make_module(&pki, 1, &bad);
	dial(argv[1], &first);
	printf("attest %s\n", bulla_rc_id(attest(&first, &good, key)));
	printf("birth %s\n", bulla_rc_id(ask_birth(&first, 3)));
	dial(argv[1], &second);
	printf("again %s\n", bulla_rc_id(attest(&second, &bad, key)));
	printf("birth %s\n", bulla_rc_id(ask_birth(&first, 4)));
	return 0;
}
