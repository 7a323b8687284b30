#include "platform/nsm.h"

#include "crypto/hash.h"
#include "crypto/random.h"
#include "wire/cbor.h"

#include <stdio.h>

#define USER_DATA_MAX 512   /* nsm-api: user_data and nonce */
#define PUBLIC_KEY_MAX 1024
#define RANDOM_SIZE 256
#define CHAIN_RENEW_MS (3600 * 1000) /* a document's leaf lives an hour more at least */

/* What a request says; absent parameters are empty. */
struct request {
	bulla_bytes op;
	bool has_index;
	uint64_t index; /* also `range` */
	bulla_bytes data, user_data, nonce, public_key;
};

bulla_rc bulla_dev_nsm_init(struct bulla_dev_nsm *nsm, const struct bulla_dev_pki *pki, const struct bulla_clock *clock,
	const struct bulla_random *random, const uint8_t measured[3][BULLA_NITRO_PCR_SIZE])
{
	uint8_t id[16];

	*nsm = (struct bulla_dev_nsm){.pki = pki, .clock = clock, .random = random, .locked = 0xffff};
	BULLA_TRY(bulla_random_fill(random, id, sizeof(id)));
	int n = snprintf(nsm->module_id, sizeof(nsm->module_id),
		"i-%02x%02x%02x%02x%02x%02x%02x%02x0-enc%02x%02x%02x%02x%02x%02x%02x%02x",
		id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
	if (n <= 0 || (size_t)n >= sizeof(nsm->module_id))
		return BULLA_FAIL(BULLA_E_STATE, "a module id has another length");
	for (unsigned i = 0; i < 3; i++)
		bulla_copy(nsm->pcrs[i], measured[i], BULLA_NITRO_PCR_SIZE);
	return BULLA_OK;
}

void bulla_dev_nsm_done(struct bulla_dev_nsm *nsm)
{
	bulla_dev_chain_done(&nsm->chain);
}

static bulla_rc read_optional(bulla_cbor_rd *r, bulla_bytes *ret)
{
	enum bulla_cbor_type type;

	BULLA_TRY(bulla_cbor_rd_peek(r, &type));
	return type == BULLA_CBOR_NULL ? bulla_cbor_rd_null(r) : bulla_cbor_rd_bytes(r, ret);
}

static bulla_rc read_parameter(bulla_cbor_rd *r, bulla_bytes key, struct request *request)
{
	if (bulla_bytes_eq_str(key, "index") || bulla_bytes_eq_str(key, "range")) {
		request->has_index = true;
		return bulla_cbor_rd_uint_max(r, UINT16_MAX, &request->index);
	}
	if (bulla_bytes_eq_str(key, "data"))
		return bulla_cbor_rd_bytes(r, &request->data);
	if (bulla_bytes_eq_str(key, "user_data"))
		return read_optional(r, &request->user_data);
	if (bulla_bytes_eq_str(key, "nonce"))
		return read_optional(r, &request->nonce);
	if (bulla_bytes_eq_str(key, "public_key"))
		return read_optional(r, &request->public_key);
	return BULLA_FAIL(BULLA_E_FORMAT, "the security module knows no such parameter");
}

static bulla_rc parse(bulla_bytes bytes, struct request *ret)
{
	bulla_cbor_rd r = bulla_cbor_rd_with(bytes, (struct bulla_cbor_options){.unordered_keys = true});
	struct bulla_cbor_map outer, inner;
	struct request request = {.has_index = false};
	enum bulla_cbor_type type;
	bulla_bytes key;

	BULLA_TRY(bulla_cbor_rd_peek(&r, &type));
	if (type == BULLA_CBOR_TEXT) {
		BULLA_TRY(bulla_cbor_rd_text(&r, 32, &request.op));
	} else {
		BULLA_TRY(bulla_cbor_rd_map(&r, 1, &outer));
		if (!bulla_cbor_map_more(&r, &outer))
			return BULLA_FAIL(BULLA_E_FORMAT, "a request names its operation");
		BULLA_TRY(bulla_cbor_rd_key_text(&r, &outer, &request.op));
		BULLA_TRY(bulla_cbor_rd_map(&r, 4, &inner));
		while (bulla_cbor_map_more(&r, &inner)) {
			BULLA_TRY(bulla_cbor_rd_key_text(&r, &inner, &key));
			BULLA_TRY(read_parameter(&r, key, &request));
		}
	}
	BULLA_TRY(bulla_cbor_rd_end(&r));
	*ret = request;
	return BULLA_OK;
}

static void answer_error(bulla_wr *w, const char *error)
{
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, "Error");
	bulla_cbor_wr_str(w, error);
}

static void answer_bytes(bulla_wr *w, const char *op, const char *key, bulla_bytes bytes)
{
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, op);
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, key);
	bulla_cbor_wr_bytes(w, bytes);
}

static void describe_pcr(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w)
{
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, "DescribePCR");
	bulla_cbor_wr_map(w, 2);
	bulla_cbor_wr_str(w, "data");
	bulla_cbor_wr_bytes(w, bulla_bytes_of(nsm->pcrs[request->index], BULLA_NITRO_PCR_SIZE));
	bulla_cbor_wr_str(w, "lock");
	bulla_cbor_wr_bool(w, (nsm->locked >> request->index & 1) != 0);
}

static void extend_pcr(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w)
{
	uint8_t *pcr = nsm->pcrs[request->index];
	const bulla_bytes parts[2] = {bulla_bytes_of(pcr, BULLA_NITRO_PCR_SIZE), request->data};
	uint8_t value[BULLA_NITRO_PCR_SIZE];

	if (nsm->locked >> request->index & 1) {
		answer_error(w, "ReadOnlyIndex");
		return;
	}
	bulla_sha384_parts(parts, 2, value);
	bulla_copy(pcr, value, sizeof(value));
	answer_bytes(w, "ExtendPCR", "data", BULLA_BYTES_ARRAY(value));
}

static void lock_pcrs(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w)
{
	bool range = bulla_bytes_eq_str(request->op, "LockPCRs");
	uint32_t mask = range ? (UINT32_C(1) << (request->index & 31)) - 1 : UINT32_C(1) << request->index;

	if (request->index == BULLA_NITRO_PCRS)
		mask = UINT32_MAX;
	if (!range && (nsm->locked & mask) != 0) {
		answer_error(w, "ReadOnlyIndex");
		return;
	}
	nsm->locked |= mask;
	bulla_cbor_wr_text(w, request->op);
}

/* Leaf certificates are reused while they live, as the hypervisor does. */
static bulla_rc fresh_chain(struct bulla_dev_nsm *nsm)
{
	if (nsm->chain.leaf != NULL && bulla_wall_ms(nsm->clock) + CHAIN_RENEW_MS < nsm->chain.ends_ms)
		return BULLA_OK;
	bulla_dev_chain_done(&nsm->chain);
	return bulla_dev_chain_make(nsm->pki, nsm->module_id, nsm->clock, nsm->random, &nsm->chain);
}

static bulla_rc attest(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w)
{
	BULLA_AUTO_BUF document;

	bulla_buf_init(&document, BULLA_NITRO_DOC_MAX);
	if (request->user_data.n > USER_DATA_MAX || request->nonce.n > USER_DATA_MAX ||
		request->public_key.n > PUBLIC_KEY_MAX) {
		answer_error(w, "InputTooLarge");
		return BULLA_OK;
	}
	BULLA_TRY(fresh_chain(nsm));
	const bulla_bytes cabundle[2] = {bulla_buf_view(&nsm->pki->root_der), bulla_buf_view(&nsm->chain.instance_der)};
	const struct bulla_nitro_doc doc = {
		.module_id = bulla_bytes_str(nsm->module_id),
		.timestamp_ms = (uint64_t)bulla_wall_ms(nsm->clock),
		.pcrs = (const uint8_t(*)[BULLA_NITRO_PCR_SIZE])nsm->pcrs,
		.listed = nsm->locked,
		.certificate = bulla_buf_view(&nsm->chain.leaf_der),
		.cabundle = cabundle,
		.cabundle_count = 2,
		.public_key = request->public_key,
		.user_data = request->user_data,
		.nonce = request->nonce,
	};
	BULLA_TRY(bulla_nitro_doc_write(&doc, nsm->chain.leaf, &document));
	answer_bytes(w, "Attestation", "document", bulla_buf_view(&document));
	return BULLA_OK;
}

static bulla_rc get_random(struct bulla_dev_nsm *nsm, bulla_wr *w)
{
	uint8_t bytes[RANDOM_SIZE];

	BULLA_TRY(bulla_random_fill(nsm->random, bytes, sizeof(bytes)));
	answer_bytes(w, "GetRandom", "random", BULLA_BYTES_ARRAY(bytes));
	bulla_wipe(bytes, sizeof(bytes));
	return BULLA_OK;
}

static bool index_is_good(const struct request *request)
{
	uint64_t limit = bulla_bytes_eq_str(request->op, "LockPCRs") ? BULLA_NITRO_PCRS + 1 : BULLA_NITRO_PCRS;

	return request->has_index && request->index < limit;
}

static bulla_rc dispatch(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w)
{
	static const struct {
		const char *op;
		void (*handle)(struct bulla_dev_nsm *nsm, const struct request *request, bulla_wr *w);
	} of_registers[] = {
		{"DescribePCR", describe_pcr},
		{"ExtendPCR", extend_pcr},
		{"LockPCR", lock_pcrs},
		{"LockPCRs", lock_pcrs},
	};

	if (bulla_bytes_eq_str(request->op, "Attestation"))
		return attest(nsm, request, w);
	if (bulla_bytes_eq_str(request->op, "GetRandom"))
		return get_random(nsm, w);
	for (size_t i = 0; i < sizeof(of_registers) / sizeof(of_registers[0]); i++) {
		if (!bulla_bytes_eq_str(request->op, of_registers[i].op))
			continue;
		if (!index_is_good(request))
			answer_error(w, "InvalidIndex");
		else
			of_registers[i].handle(nsm, request, w);
		return BULLA_OK;
	}
	answer_error(w, "InvalidOperation");
	return BULLA_OK;
}

bulla_rc bulla_dev_nsm_answer(struct bulla_dev_nsm *nsm, bulla_bytes request, struct bulla_buf *ret)
{
	bulla_wr w = bulla_wr_buf(ret);
	struct request parsed;
	bulla_bytes ignored;

	if (parse(request, &parsed) != BULLA_OK)
		answer_error(&w, "InvalidArgument");
	else
		BULLA_TRY(dispatch(nsm, &parsed, &w));
	return bulla_wr_end(&w, &ignored);
}
