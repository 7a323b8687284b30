#include "tee/nsm.h"

#include "base/wr.h"
#include "wire/cbor.h"

#include <errno.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* aws-nitro-enclaves-nsm-api src/driver/mod.rs and linux drivers/misc/nsm.c: two iovecs, ioctl 0x0A, 0 */
struct nsm_message {
	struct iovec request;
	struct iovec response;
};
#define NSM_IOCTL _IOWR(0x0A, 0, struct nsm_message)

static bulla_rc call_device(const struct bulla_nsm *nsm, bulla_bytes request, struct bulla_buf *ret_response)
{
	struct nsm_message message;

	BULLA_TRY(bulla_buf_reserve(ret_response, BULLA_NSM_RESPONSE_MAX));
	message.request = (struct iovec){.iov_base = (void *)(uintptr_t)request.p, .iov_len = request.n};
	message.response = (struct iovec){.iov_base = ret_response->p + ret_response->n, .iov_len = BULLA_NSM_RESPONSE_MAX};
	if (ioctl(nsm->fd, NSM_IOCTL, &message) != 0 || message.response.iov_len > BULLA_NSM_RESPONSE_MAX)
		return BULLA_FAIL_OS(BULLA_E_IO, "the security module does not answer", errno);
	ret_response->n += message.response.iov_len;
	return BULLA_OK;
}

static bulla_rc write_all(int fd, bulla_bytes bytes)
{
	for (size_t at = 0; at < bytes.n;) {
		ssize_t n = write(fd, bytes.p + at, bytes.n - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "the security module's socket does not take", errno);
		at += (size_t)n;
	}
	return BULLA_OK;
}

static bulla_rc read_all(int fd, uint8_t *ret, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t n = read(fd, ret + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return BULLA_FAIL_OS(BULLA_E_IO, "the security module's socket does not give", errno);
		at += (size_t)n;
	}
	return BULLA_OK;
}

static bulla_rc call_socket(const struct bulla_nsm *nsm, bulla_bytes request, struct bulla_buf *ret_response)
{
	uint8_t size_bytes[4];
	bulla_wr w = bulla_wr_fixed(size_bytes, sizeof(size_bytes));
	bulla_rd r = bulla_rd_of(BULLA_BYTES_ARRAY(size_bytes));
	uint32_t size;

	bulla_wr_u32le(&w, (uint32_t)request.n);
	BULLA_TRY(write_all(nsm->fd, BULLA_BYTES_ARRAY(size_bytes)));
	BULLA_TRY(write_all(nsm->fd, request));
	BULLA_TRY(read_all(nsm->fd, size_bytes, sizeof(size_bytes)));
	BULLA_TRY(bulla_rd_u32le(&r, &size));
	if (size > BULLA_NSM_SOCKET_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "the security module's answer is too long");
	BULLA_TRY(bulla_buf_reserve(ret_response, size));
	BULLA_TRY(read_all(nsm->fd, ret_response->p + ret_response->n, size));
	ret_response->n += size;
	return BULLA_OK;
}

struct bulla_nsm bulla_nsm_device(int fd)
{
	return (struct bulla_nsm){.fd = fd, .call = call_device};
}

struct bulla_nsm bulla_nsm_socket(int fd)
{
	return (struct bulla_nsm){.fd = fd, .call = call_socket};
}

/* One exchange; *ret reads what follows the answer's name. */
static bulla_rc exchange(const struct bulla_nsm *nsm, const bulla_wr *request, const char *name, struct bulla_buf *memory,
	bulla_cbor_rd *ret)
{
	/* the module's own CBOR library writes maps in the order of its fields */
	const struct bulla_cbor_options foreign = {.unordered_keys = true};
	struct bulla_cbor_map map;
	enum bulla_cbor_type type;
	bulla_bytes bytes, key;

	BULLA_TRY(bulla_wr_end(request, &bytes));
	bulla_buf_init(memory, BULLA_NSM_SOCKET_MAX);
	BULLA_TRY(nsm->call(nsm, bytes, memory));
	*ret = bulla_cbor_rd_with(bulla_buf_view(memory), foreign);
	BULLA_TRY(bulla_cbor_rd_peek(ret, &type));
	if (type == BULLA_CBOR_TEXT)
		return bulla_cbor_rd_expect_text(ret, name); /* an answer without content */
	BULLA_TRY(bulla_cbor_rd_map(ret, 1, &map));
	BULLA_TRY(bulla_cbor_rd_key_text(ret, &map, &key));
	if (bulla_bytes_eq_str(key, "Error"))
		return BULLA_FAIL(BULLA_E_DENIED, "the security module refuses");
	if (!bulla_bytes_eq_str(key, name))
		return BULLA_FAIL(BULLA_E_FORMAT, "the security module answers something else");
	return BULLA_OK;
}

/* Begins {"Name": {count pairs}}. */
static void begin(bulla_wr *w, const char *name, uint64_t count)
{
	bulla_cbor_wr_map(w, 1);
	bulla_cbor_wr_str(w, name);
	bulla_cbor_wr_map(w, count);
}

static void put_index(bulla_wr *w, uint16_t index)
{
	bulla_cbor_wr_str(w, "index");
	bulla_cbor_wr_uint(w, index);
}

/* Reads {"data": bytes, "lock": bool} or {"data": bytes}. */
static bulla_rc read_pcr(bulla_cbor_rd *r, bool *ret_locked, uint8_t ret_value[BULLA_NSM_PCR_SIZE])
{
	struct bulla_cbor_map map;
	bool found = false;
	bulla_bytes key, value;

	BULLA_TRY(bulla_cbor_rd_map(r, 2, &map));
	while (bulla_cbor_map_more(r, &map)) {
		BULLA_TRY(bulla_cbor_rd_key_text(r, &map, &key));
		if (bulla_bytes_eq_str(key, "lock")) {
			BULLA_TRY(bulla_cbor_rd_bool(r, ret_locked));
			continue;
		}
		BULLA_TRY(bulla_cbor_rd_bytes(r, &value));
		BULLA_TRY(bulla_bytes_copy_exact(value, BULLA_NSM_PCR_SIZE, ret_value));
		found = bulla_bytes_eq_str(key, "data");
	}
	return found ? BULLA_OK : BULLA_FAIL(BULLA_E_FORMAT, "a register has no value");
}

bulla_rc bulla_nsm_describe_pcr(const struct bulla_nsm *nsm, uint16_t index, bool *ret_locked,
	uint8_t ret_value[BULLA_NSM_PCR_SIZE])
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	BULLA_AUTO_BUF response = {0};
	bulla_cbor_rd r;

	begin(&w, "DescribePCR", 1);
	put_index(&w, index);
	BULLA_TRY(exchange(nsm, &w, "DescribePCR", &response, &r));
	return read_pcr(&r, ret_locked, ret_value);
}

bulla_rc bulla_nsm_extend_pcr(const struct bulla_nsm *nsm, uint16_t index, bulla_bytes data,
	uint8_t ret_value[BULLA_NSM_PCR_SIZE])
{
	uint8_t memory[BULLA_NSM_REQUEST_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	BULLA_AUTO_BUF response = {0};
	bulla_cbor_rd r;
	bool locked;

	begin(&w, "ExtendPCR", 2);
	put_index(&w, index);
	bulla_cbor_wr_str(&w, "data");
	bulla_cbor_wr_bytes(&w, data);
	BULLA_TRY(exchange(nsm, &w, "ExtendPCR", &response, &r));
	return read_pcr(&r, &locked, ret_value);
}

bulla_rc bulla_nsm_lock_pcr(const struct bulla_nsm *nsm, uint16_t index)
{
	uint8_t memory[64];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	BULLA_AUTO_BUF response = {0};
	bulla_cbor_rd r;

	begin(&w, "LockPCR", 1);
	put_index(&w, index);
	return exchange(nsm, &w, "LockPCR", &response, &r);
}

static void put_optional(bulla_wr *w, const char *name, bulla_bytes value)
{
	bulla_cbor_wr_str(w, name);
	if (value.n > 0)
		bulla_cbor_wr_bytes(w, value);
	else
		bulla_cbor_wr_null(w);
}

static bulla_rc read_field(bulla_cbor_rd *r, const char *name, bulla_bytes *ret)
{
	struct bulla_cbor_map map;
	bulla_bytes key;

	BULLA_TRY(bulla_cbor_rd_map(r, 1, &map));
	BULLA_TRY(bulla_cbor_rd_key_text(r, &map, &key));
	if (!bulla_bytes_eq_str(key, name))
		return BULLA_FAIL(BULLA_E_FORMAT, "the security module's answer lacks its content");
	return bulla_cbor_rd_bytes(r, ret);
}

bulla_rc bulla_nsm_attest(const struct bulla_nsm *nsm, bulla_bytes user_data, bulla_bytes nonce,
	bulla_bytes public_key, struct bulla_buf *ret_document)
{
	uint8_t memory[BULLA_NSM_REQUEST_MAX];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	BULLA_AUTO_BUF response = {0};
	bulla_bytes document;
	bulla_cbor_rd r;

	begin(&w, "Attestation", 3);
	put_optional(&w, "user_data", user_data);
	put_optional(&w, "nonce", nonce);
	put_optional(&w, "public_key", public_key);
	BULLA_TRY(exchange(nsm, &w, "Attestation", &response, &r));
	BULLA_TRY(read_field(&r, "document", &document));
	return bulla_buf_append(ret_document, document);
}

bulla_rc bulla_nsm_random(const struct bulla_nsm *nsm, uint8_t *ret, size_t size)
{
	for (size_t at = 0; at < size;) {
		uint8_t memory[16];
		bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
		BULLA_AUTO_BUF response = {0};
		bulla_bytes random;
		bulla_cbor_rd r;

		bulla_cbor_wr_str(&w, "GetRandom");
		BULLA_TRY(exchange(nsm, &w, "GetRandom", &response, &r));
		BULLA_TRY(read_field(&r, "random", &random));
		if (random.n == 0)
			return BULLA_FAIL(BULLA_E_RANDOM, "the security module gives no random bytes");
		if (random.n > size - at)
			random.n = size - at;
		bulla_copy(ret + at, random.p, random.n);
		at += random.n;
	}
	return BULLA_OK;
}
