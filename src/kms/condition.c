#include "kms/condition.h"

#include "kms/glob.h"
#include "kms/timetext.h"
#include "wire/text.h"

#define VALUES_MAX BULLA_KMS_CONTEXT_MAX

/* What a condition key has in a request. */
struct values {
	bulla_bytes list[VALUES_MAX];
	size_t count;
	bool attested_key;   /* one of RecipientAttestation */
	uint8_t memory[192]; /* texts made for it */
};

enum compare { COMPARE_EQUAL, COMPARE_IGNORE_CASE, COMPARE_LIKE, COMPARE_BEFORE, COMPARE_AFTER };

struct operator_row {
	const char *name;
	enum compare compare;
	bool negated;
};

/* Bool compares texts: values of Bool keys are "true" and "false". Dates in ISO 8601 UTC compare as texts too. */
static const struct operator_row operators[] = {
	{"StringEquals", COMPARE_EQUAL, false},
	{"StringNotEquals", COMPARE_EQUAL, true},
	{"StringEqualsIgnoreCase", COMPARE_IGNORE_CASE, false},
	{"StringNotEqualsIgnoreCase", COMPARE_IGNORE_CASE, true},
	{"StringLike", COMPARE_LIKE, false},
	{"StringNotLike", COMPARE_LIKE, true},
	{"ArnEquals", COMPARE_LIKE, false},
	{"ArnLike", COMPARE_LIKE, false},
	{"Bool", COMPARE_IGNORE_CASE, false},
	{"DateLessThan", COMPARE_BEFORE, false},
	{"DateGreaterThan", COMPARE_AFTER, false},
};

struct operator
{
	const struct operator_row *row; /* NULL: Null */
	bool if_exists, for_any, for_all;
};

static bool cut_front(bulla_bytes *text, const char *prefix)
{
	bulla_bytes p = bulla_bytes_str(prefix);

	if (text->n < p.n || !bulla_bytes_eq((bulla_bytes){text->p, p.n}, p))
		return false;
	*text = (bulla_bytes){text->p + p.n, text->n - p.n};
	return true;
}

static bulla_rc find_operator(bulla_bytes name, struct operator* ret)
{
	static const char suffix[] = "IfExists";
	size_t n = sizeof(suffix) - 1;

	*ret = (struct operator){.row = NULL};
	ret->for_any = cut_front(&name, "ForAnyValue:");
	ret->for_all = !ret->for_any && cut_front(&name, "ForAllValues:");
	if (name.n > n && bulla_bytes_eq_str((bulla_bytes){name.p + name.n - n, n}, suffix)) {
		ret->if_exists = true;
		name.n -= n;
	}
	if (bulla_bytes_eq_str(name, "Null") && !ret->if_exists && !ret->for_any && !ret->for_all)
		return BULLA_OK;
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (!bulla_bytes_eq_str(name, operators[i].name))
			continue;
		ret->row = &operators[i];
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy has an operator that is not evaluated here");
}

static void add(struct values *values, bulla_bytes value)
{
	if (values->count < VALUES_MAX && value.p != NULL)
		values->list[values->count++] = value;
}

static bulla_rc add_register(const struct bulla_kms_facts *facts, bulla_bytes name, struct values *values)
{
	bulla_wr w = bulla_wr_fixed(values->memory, sizeof(values->memory));
	uint64_t index = 0;
	bulla_bytes text;

	values->attested_key = true;
	if (!bulla_bytes_eq_str(name, "ImageSha384")) {
		bool tpm = cut_front(&name, "NitroTPMPCR");

		if (!tpm && !cut_front(&name, "PCR"))
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy names an unknown part of attestation documents");
		BULLA_TRY(bulla_text_uint(name, BULLA_KMS_PCRS - 1, &index));
		if (tpm)
			return BULLA_OK; /* no document that we take has these: absent */
	}
	if (facts == NULL || !facts->attested || facts->pcrs[index].n == 0)
		return BULLA_OK;
	bulla_text_wr_hex(&w, facts->pcrs[index]);
	BULLA_TRY(bulla_wr_end(&w, &text));
	add(values, text);
	return BULLA_OK;
}

/* "measurement", "rtmr:1": name and index. */
static bulla_rc read_claim_name(bulla_bytes name, enum bulla_claim *ret, uint64_t *ret_index)
{
	size_t n = 0;

	*ret_index = 0;
	while (n < name.n && name.p[n] != ':')
		n++;
	*ret = bulla_claim_from_name((bulla_bytes){name.p, n});
	if (*ret == BULLA_CLAIM_COUNT)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy names an unknown claim of evidence");
	return n == name.n ? BULLA_OK : bulla_text_uint((bulla_bytes){name.p + n + 1, name.n - n - 1}, UINT16_MAX, ret_index);
}

static bulla_rc claim_text(const struct bulla_attest_claim *claim, struct values *values, bulla_bytes *ret)
{
	enum bulla_claim_print print = bulla_claim_print((enum bulla_claim)claim->id);
	bulla_wr w = bulla_wr_fixed(values->memory, sizeof(values->memory));

	*ret = claim->bytes;
	if (print == BULLA_PRINT_TEXT)
		return BULLA_OK;
	if (print == BULLA_PRINT_HEX)
		bulla_text_wr_hex(&w, claim->bytes);
	else
		bulla_text_wr_uint(&w, claim->number);
	return bulla_wr_end(&w, ret);
}

static bulla_rc add_claim(const struct bulla_kms_facts *facts, bulla_bytes name, struct values *values)
{
	const struct bulla_attest_result *evidence = facts->attested ? facts->evidence : NULL;
	const struct bulla_attest_claim *claim;
	enum bulla_claim id;
	uint64_t index;
	bulla_bytes text = {NULL, 0};

	values->attested_key = true;
	if (bulla_bytes_eq_str(name, "tee") || bulla_bytes_eq_str(name, "assurance")) {
		if (evidence != NULL)
			add(values, bulla_bytes_str(name.n == 3 ? bulla_tee_name((enum bulla_tee)evidence->tee)
				: bulla_assurance_name((enum bulla_assurance)evidence->assurance)));
		return BULLA_OK;
	}
	BULLA_TRY(read_claim_name(name, &id, &index));
	claim = evidence != NULL ? bulla_attest_find(evidence, id, (unsigned)index) : NULL;
	if (claim == NULL)
		return BULLA_OK;
	BULLA_TRY(claim_text(claim, values, &text));
	add(values, text);
	return BULLA_OK;
}

static void add_context(const struct bulla_kms_facts *facts, bulla_bytes key, struct values *values)
{
	for (size_t i = 0; facts != NULL && facts->context != NULL && i < facts->context->count; i++)
		if (key.p == NULL || bulla_bytes_eq(facts->context->pairs[i].key, key))
			add(values, key.p == NULL ? facts->context->pairs[i].key : facts->context->pairs[i].value);
}

static bulla_bytes time_text(int64_t wall_ms, struct values *values);

/* A key of the caller: facts that are not known are absent. */
static void add_caller(const struct bulla_kms_facts *facts, bulla_bytes value, struct values *values)
{
	add(values, facts->principal.n > 0 ? value : (bulla_bytes){NULL, 0});
}

static bulla_rc find_values(bulla_bytes key, const struct bulla_kms_facts *facts, struct values *ret)
{
	static const struct bulla_kms_facts unknown;
	bulla_bytes rest = key;
	bool known = facts != NULL;

	*ret = (struct values){.count = 0};
	facts = known ? facts : &unknown;
	if (cut_front(&rest, "kms:RecipientAttestation:"))
		return add_register(facts, rest, ret);
	if (cut_front(&rest, "bulla:RecipientAttestation:"))
		return add_claim(facts, rest, ret);
	if (cut_front(&rest, "kms:EncryptionContext:"))
		add_context(facts, rest, ret);
	else if (bulla_bytes_eq_str(key, "kms:EncryptionContextKeys"))
		add_context(facts, (bulla_bytes){NULL, 0}, ret);
	else if (bulla_bytes_eq_str(key, "kms:CallerAccount"))
		add_caller(facts, facts->account, ret);
	else if (bulla_bytes_eq_str(key, "aws:PrincipalArn"))
		add_caller(facts, facts->principal, ret);
	else if (bulla_bytes_eq_str(key, "aws:SecureTransport"))
		add(ret, facts->secure_transport ? BULLA_BYTES_LITERAL("true") : BULLA_BYTES_LITERAL("false"));
	else if (bulla_bytes_eq_str(key, "aws:CurrentTime"))
		add(ret, known ? time_text(facts->wall_ms, ret) : (bulla_bytes){NULL, 0});
	else if (!bulla_bytes_eq_str(key, "kms:ViaService"))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy has a condition key that is not evaluated here");
	return BULLA_OK;
}

static bulla_bytes time_text(int64_t wall_ms, struct values *values)
{
	bulla_timetext(wall_ms, values->memory);
	return bulla_bytes_of(values->memory, BULLA_TIMETEXT);
}

static bool eq_ignoring_case(bulla_bytes a, bulla_bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		uint8_t x = a.p[i], y = b.p[i];

		x = x >= 'A' && x <= 'Z' ? (uint8_t)(x + 32) : x;
		y = y >= 'A' && y <= 'Z' ? (uint8_t)(y + 32) : y;
		if (x != y)
			return false;
	}
	return true;
}

struct comparison {
	const struct operator_row *row;
	bulla_bytes value;
};

static bool compare_one(const void *arg, bulla_bytes wanted)
{
	const struct comparison *comparison = (const struct comparison *)arg;

	switch (comparison->row->compare) {
	case COMPARE_EQUAL:
		return bulla_bytes_eq(comparison->value, wanted);
	case COMPARE_IGNORE_CASE:
		return eq_ignoring_case(comparison->value, wanted);
	case COMPARE_LIKE:
		return bulla_kms_glob(wanted, comparison->value);
	case COMPARE_BEFORE:
		return bulla_bytes_cmp(comparison->value, wanted) < 0;
	case COMPARE_AFTER:
		return bulla_bytes_cmp(comparison->value, wanted) > 0;
	}
	return false;
}

bulla_rc bulla_kms_any_string(bulla_json value, bool (*match)(const void *arg, bulla_bytes text), const void *arg,
	bool *ret_any)
{
	uint8_t memory[BULLA_KMS_POLICY_STRING];
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item = value;
	size_t size = 0;
	bool any = false, list = bulla_json_type(value) == BULLA_JSON_ARRAY;

	if (bulla_json_type(value) == BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a policy has an object where strings are");
	while (!list || bulla_json_next(&iter, &name, &item)) {
		BULLA_TRY(bulla_json_string(item, sizeof(memory), memory, &size));
		any = match(arg, bulla_bytes_of(memory, size)) || any;
		if (!list)
			break;
	}
	*ret_any = any;
	return BULLA_OK;
}

static bool is_true(const void *arg, bulla_bytes text)
{
	(void)arg;
	return bulla_bytes_eq_str(text, "true");
}

/* One operator, one key: does it hold? */
static bulla_rc holds(const struct operator* op, bulla_json wanted, const struct values *values, bool *ret)
{
	size_t matching = 0;
	bool any = false;

	if (op->row == NULL) {
		BULLA_TRY(bulla_kms_any_string(wanted, is_true, NULL, &any));
		*ret = any == (values->count == 0);
		return BULLA_OK;
	}
	for (size_t i = 0; i < (values->count == 0 ? 1 : values->count); i++) {
		struct comparison comparison = {op->row, values->list[i]};

		BULLA_TRY(bulla_kms_any_string(wanted, compare_one, &comparison, &any));
		matching += values->count > 0 && any != op->row->negated ? 1 : 0;
	}
	if (values->count == 0)
		*ret = op->if_exists || op->for_all || (op->row->negated && !op->for_any);
	else
		*ret = op->for_all || (op->row->negated && !op->for_any) ? matching == values->count : matching > 0;
	return BULLA_OK;
}

static bulla_rc eval_key(const struct operator* op, bulla_bytes key, bulla_json wanted,
	const struct bulla_kms_facts *facts, enum bulla_kms_condition *state)
{
	struct values values;
	bool hold = false;

	BULLA_TRY(find_values(key, facts, &values));
	/* forms that hold without a document would turn a lock into a decoration */
	if (values.attested_key && op->row != NULL && (op->if_exists || op->for_all || op->row->negated))
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a condition on attestation holds without attestation");
	BULLA_TRY(holds(op, wanted, &values, &hold));
	if (hold)
		return BULLA_OK;
	if (!values.attested_key)
		*state = BULLA_KMS_FAILS;
	else if (*state == BULLA_KMS_HOLDS)
		*state = BULLA_KMS_FAILS_ATTESTED;
	return BULLA_OK;
}

bulla_rc bulla_kms_condition_eval(bulla_json condition, const struct bulla_kms_facts *facts,
	enum bulla_kms_condition *ret)
{
	struct bulla_json_iter by_operator = bulla_json_begin(condition);
	enum bulla_kms_condition state = BULLA_KMS_HOLDS;
	bulla_json name, keys, key, wanted;
	uint8_t memory[256];
	size_t size = 0;

	if (bulla_json_type(condition) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a Condition is an object");
	while (bulla_json_next(&by_operator, &name, &keys)) {
		struct bulla_json_iter by_key = bulla_json_begin(keys);
		struct operator op;

		if (bulla_json_type(keys) != BULLA_JSON_OBJECT)
			return BULLA_FAIL(BULLA_E_FORMAT, "an operator of a Condition has an object");
		BULLA_TRY(bulla_json_string(name, sizeof(memory), memory, &size));
		BULLA_TRY(find_operator(bulla_bytes_of(memory, size), &op));
		while (bulla_json_next(&by_key, &key, &wanted)) {
			BULLA_TRY(bulla_json_string(key, sizeof(memory), memory, &size));
			BULLA_TRY(eval_key(&op, bulla_bytes_of(memory, size), wanted, facts, &state));
		}
	}
	*ret = state;
	return BULLA_OK;
}
