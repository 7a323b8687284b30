#include "attest/show.h"

#include "wire/json.h"
#include "wire/text.h"

const char *bulla_tee_title(enum bulla_tee tee)
{
	static const char *const titles[BULLA_TEE_COUNT] = {
		[BULLA_TEE_NONE] = "unknown",
		[BULLA_TEE_DEV] = "development TEE",
		[BULLA_TEE_NITRO] = "AWS Nitro enclave",
		[BULLA_TEE_NITROTPM] = "EC2 NitroTPM",
		[BULLA_TEE_SNP] = "AMD SEV-SNP guest",
		[BULLA_TEE_TDX] = "Intel TDX trust domain",
		[BULLA_TEE_SGX] = "Intel SGX enclave",
		[BULLA_TEE_AZ_SNP] = "Azure confidential VM (SEV-SNP)",
		[BULLA_TEE_AZ_TDX] = "Azure confidential VM (TDX)",
		[BULLA_TEE_PSA] = "ARM PSA device",
		[BULLA_TEE_CCA] = "ARM CCA realm",
	};

	return (unsigned)tee < BULLA_TEE_COUNT ? titles[tee] : "unknown";
}

static void two(bulla_wr *w, int64_t value)
{
	bulla_wr_u8(w, (uint8_t)('0' + value / 10 % 10));
	bulla_wr_u8(w, (uint8_t)('0' + value % 10));
}

/* Civil date from days since 1970-01-01 (Gregorian). */
static void write_date(bulla_wr *w, int64_t days)
{
	int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;

	month += month < 10 ? 3 : -9;
	bulla_text_wr_int(w, year + era * 400 + (month <= 2));
	bulla_text_wr(w, "-");
	two(w, month);
	bulla_text_wr(w, "-");
	two(w, day);
}

void bulla_attest_show_time(bulla_wr *w, int64_t ms)
{
	int64_t seconds = ms / 1000;

	if (ms < 0 || ms > INT64_C(250000000000000)) {
		bulla_text_wr(w, "-");
		return;
	}
	write_date(w, seconds / 86400);
	bulla_text_wr(w, " ");
	two(w, seconds % 86400 / 3600);
	bulla_text_wr(w, ":");
	two(w, seconds % 3600 / 60);
	bulla_text_wr(w, ":");
	two(w, seconds % 60);
	bulla_text_wr(w, "Z");
}

/* Text of others reaches a terminal only as plain ASCII. */
static void write_plain(bulla_wr *w, bulla_bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		bulla_wr_u8(w, text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : (uint8_t)'.');
}

static void write_value(bulla_wr *w, const struct bulla_attest_claim *claim)
{
	switch (bulla_claim_print(claim->id)) {
	case BULLA_PRINT_TEXT:
		write_plain(w, claim->bytes);
		break;
	case BULLA_PRINT_HEX:
		bulla_text_wr_hex(w, claim->bytes);
		break;
	case BULLA_PRINT_NUMBER:
		bulla_text_wr_uint(w, claim->number);
		break;
	case BULLA_PRINT_TIME:
		bulla_attest_show_time(w, (int64_t)claim->number);
		break;
	case BULLA_PRINT_FLAGS:
		bulla_text_wr(w, "0x");
		for (unsigned i = 16, started = 0; i > 0; i--) {
			unsigned nibble = claim->number >> (4 * (i - 1)) & 15;

			started = started || nibble != 0 || i == 1;
			if (started)
				bulla_wr_u8(w, (uint8_t)"0123456789abcdef"[nibble]);
		}
		break;
	}
}

static bool has_index(uint16_t id)
{
	return id == BULLA_CLAIM_PCR || id == BULLA_CLAIM_RTMR || id == BULLA_CLAIM_COMPONENT || id == BULLA_CLAIM_ADVISORY;
}

static size_t write_claim_name(bulla_wr *w, const struct bulla_attest_claim *claim)
{
	size_t before = w->n;

	bulla_text_wr(w, bulla_claim_name(claim->id));
	if (has_index(claim->id))
		bulla_text_wr_uint(w, claim->index);
	return w->n - before;
}

static void pad(bulla_wr *w, size_t used, size_t width)
{
	for (; used < width; used++)
		bulla_text_wr(w, " ");
	bulla_text_wr(w, " ");
}

void bulla_attest_show_claims(bulla_wr *w, const struct bulla_attest_result *result)
{
	for (size_t i = 0; i < result->claim_count; i++) {
		bulla_text_wr(w, "  ");
		pad(w, write_claim_name(w, &result->claims[i]), 20);
		write_value(w, &result->claims[i]);
		bulla_text_wr(w, "\n");
	}
}

static const char *state_name(unsigned state)
{
	static const char *const names[] = {"-", "held", "FAILED", "not checked"};

	return names[state & 3];
}

void bulla_attest_show_factors(bulla_wr *w, const struct bulla_attest_result *result)
{
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		const struct bulla_factor_result *row = &result->factors[i];

		if (row->state == BULLA_FACTOR_NONE)
			continue;
		bulla_text_wr(w, "  ");
		bulla_text_wr(w, bulla_factor_name(i));
		pad(w, bulla_bytes_str(bulla_factor_name(i)).n, 22);
		bulla_text_wr(w, state_name(row->state));
		pad(w, bulla_bytes_str(state_name(row->state)).n, 11);
		if (row->state == BULLA_FACTOR_FAILED) {
			bulla_text_wr(w, row->text);
			bulla_text_wr(w, " (byte ");
			bulla_text_wr_uint(w, row->at);
			bulla_text_wr(w, ")");
		} else if (row->state == BULLA_FACTOR_NOT_CHECKED) {
			bulla_text_wr(w, bulla_factor_why_text(row->why));
		} else {
			bulla_text_wr(w, bulla_factor_text(i));
		}
		bulla_text_wr(w, "\n");
	}
}

/* ---- the short form ---- */
static void write_short(bulla_wr *w, bulla_bytes bytes)
{
	bulla_text_wr_hex(w, bulla_bytes_of(bytes.p, bytes.n < 6 ? bytes.n : 6));
	if (bytes.n > 6)
		bulla_text_wr(w, "..");
}

static void line(bulla_wr *w, const char *label)
{
	bulla_text_wr(w, "  ");
	bulla_text_wr(w, label);
	pad(w, bulla_bytes_str(label).n, 9);
}

static void show_made(bulla_wr *w, const struct bulla_attest_result *result)
{
	static const uint8_t where[] = {BULLA_CLAIM_MODULE_ID, BULLA_CLAIM_GENERATION, BULLA_CLAIM_SIGNER, BULLA_CLAIM_CSP_ID,
		BULLA_CLAIM_PROFILE};
	const struct bulla_attest_claim *time = bulla_attest_find(result, BULLA_CLAIM_TIME, 0);
	const struct bulla_attest_claim *from = bulla_attest_find(result, BULLA_CLAIM_VALID_FROM, 0);
	const struct bulla_attest_claim *to = bulla_attest_find(result, BULLA_CLAIM_VALID_TO, 0);
	const char *between = "";

	line(w, "made");
	if (time != NULL)
		bulla_attest_show_time(w, (int64_t)time->number);
	else
		bulla_text_wr(w, "at an unknown time");
	for (size_t i = 0; i < sizeof(where); i++) {
		const struct bulla_attest_claim *claim = bulla_attest_find(result, where[i], 0);

		if (claim == NULL)
			continue;
		bulla_text_wr(w, ", ");
		write_plain(w, claim->bytes);
	}
	bulla_text_wr(w, "\n");
	if (from == NULL || to == NULL)
		return;
	line(w, "chain");
	bulla_text_wr(w, between);
	bulla_attest_show_time(w, (int64_t)from->number);
	bulla_text_wr(w, " to ");
	bulla_attest_show_time(w, (int64_t)to->number);
	bulla_text_wr(w, "\n");
}

static void show_code(bulla_wr *w, const struct bulla_attest_result *result)
{
	bool any = false, seen = false;

	line(w, "code");
	for (size_t i = 0; i < result->claim_count; i++) {
		const struct bulla_attest_claim *claim = &result->claims[i];
		bool code = claim->id == BULLA_CLAIM_MEASUREMENT || claim->id == BULLA_CLAIM_MRSIGNER ||
			claim->id == BULLA_CLAIM_RTMR || claim->id == BULLA_CLAIM_PCR || claim->id == BULLA_CLAIM_COMPONENT;

		seen = seen || code;
		if (!code || bulla_bytes_is_zero_ct(claim->bytes))
			continue;
		bulla_text_wr(w, any ? "  " : "");
		(void)write_claim_name(w, claim);
		bulla_text_wr(w, " ");
		write_short(w, claim->bytes);
		any = true;
	}
	bulla_text_wr(w, any ? "\n" : seen ? "no measurement but zeros\n" : "nothing that could be read\n");
}

static void show_bound(bulla_wr *w, const struct bulla_attest_result *result)
{
	static const uint8_t ids[] = {BULLA_CLAIM_NONCE, BULLA_CLAIM_USER_DATA, BULLA_CLAIM_PUBLIC_KEY,
		BULLA_CLAIM_REPORT_DATA};
	bool any = false;

	line(w, "bound to");
	for (size_t i = 0; i < sizeof(ids); i++) {
		const struct bulla_attest_claim *claim = bulla_attest_find(result, ids[i], 0);

		if (claim == NULL || claim->bytes.n == 0)
			continue;
		bulla_text_wr(w, any ? ", " : "");
		(void)write_claim_name(w, claim);
		bulla_text_wr(w, " ");
		write_short(w, claim->bytes);
		any = true;
	}
	/* who judges debug mode has read everything */
	bool whole = bulla_attest_find(result, BULLA_CLAIM_DEBUG, 0) != NULL;
	bulla_text_wr(w, any ? "\n" : whole ? "nothing\n" : "nothing that could be read\n");
}

void bulla_attest_show(bulla_wr *w, const struct bulla_attest_result *result)
{
	const struct bulla_attest_claim *debug = bulla_attest_find(result, BULLA_CLAIM_DEBUG, 0);
	const struct bulla_attest_claim *status = bulla_attest_find(result, BULLA_CLAIM_TCB_STATUS, 0);

	if (result->claim_count == 0)
		return; /* nothing could be read: there is nothing to say of it */
	show_made(w, result);
	show_code(w, result);
	show_bound(w, result);
	if (debug != NULL && debug->number != 0) {
		line(w, "debug");
		bulla_text_wr(w, "ON: whoever runs the machine reads its memory\n");
	}
	if (status != NULL) {
		line(w, "tcb");
		write_plain(w, status->bytes);
		bulla_text_wr(w, "\n");
	}
}

/* ---- JSON ---- */
static void write_factors_json(bulla_json_wr *j, const struct bulla_attest_result *result)
{
	static const char *const states[] = {"none", "held", "failed", "not-checked"};

	bulla_json_wr_name(j, "factors");
	bulla_json_wr_array(j);
	for (unsigned i = 0; i < BULLA_FACTOR_COUNT; i++) {
		const struct bulla_factor_result *row = &result->factors[i];

		if (row->state == BULLA_FACTOR_NONE)
			continue;
		bulla_json_wr_object(j);
		bulla_json_wr_name(j, "id");
		bulla_json_wr_str(j, bulla_factor_name(i));
		bulla_json_wr_name(j, "state");
		bulla_json_wr_str(j, states[row->state & 3]);
		if (row->state == BULLA_FACTOR_FAILED) {
			bulla_json_wr_name(j, "byte");
			bulla_json_wr_int(j, row->at);
			bulla_json_wr_name(j, "what");
			bulla_json_wr_str(j, row->text);
		} else if (row->state == BULLA_FACTOR_NOT_CHECKED) {
			bulla_json_wr_name(j, "why");
			bulla_json_wr_str(j, bulla_factor_why_text(row->why));
		}
		bulla_json_wr_object_end(j);
	}
	bulla_json_wr_array_end(j);
}

static void write_claim_json(bulla_json_wr *j, const struct bulla_attest_claim *claim)
{
	uint8_t memory[4096];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_bytes text;

	(void)write_claim_name(&w, claim);
	bulla_wr_u8(&w, 0);
	if (bulla_wr_end(&w, &text) != BULLA_OK)
		return;
	bulla_json_wr_name(j, (const char *)memory);
	w = bulla_wr_fixed(memory, sizeof(memory));
	write_value(&w, claim);
	if (bulla_wr_end(&w, &text) != BULLA_OK)
		text = BULLA_BYTES_LITERAL("too long");
	enum bulla_claim_print print = bulla_claim_print(claim->id);
	if (print == BULLA_PRINT_NUMBER)
		bulla_json_wr_int(j, (int64_t)claim->number);
	else
		bulla_json_wr_string(j, text);
}

void bulla_attest_show_json(bulla_wr *w, const struct bulla_attest_result *result)
{
	bulla_json_wr j = bulla_json_wr_of(w);

	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "v");
	bulla_json_wr_int(&j, 1);
	bulla_json_wr_name(&j, "t");
	bulla_json_wr_str(&j, "appraisal");
	bulla_json_wr_name(&j, "verdict");
	bulla_json_wr_str(&j, result->accepted ? "accepted" : "refused");
	bulla_json_wr_name(&j, "error");
	bulla_json_wr_str(&j, result->accepted ? "" : bulla_rc_id(result->rc));
	bulla_json_wr_name(&j, "failed");
	bulla_json_wr_str(&j, result->failed < BULLA_FACTOR_COUNT ? bulla_factor_name(result->failed) : "");
	bulla_json_wr_name(&j, "tee");
	bulla_json_wr_str(&j, bulla_tee_name(result->tee));
	bulla_json_wr_name(&j, "assurance");
	bulla_json_wr_str(&j, bulla_assurance_name(result->assurance));
	write_factors_json(&j, result);
	bulla_json_wr_name(&j, "claims");
	bulla_json_wr_object(&j);
	for (size_t i = 0; i < result->claim_count; i++)
		write_claim_json(&j, &result->claims[i]);
	bulla_json_wr_object_end(&j);
	bulla_json_wr_object_end(&j);
}
