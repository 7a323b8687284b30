#include "kms/policy.h"

#include "kms/condition.h"
#include "kms/glob.h"
#include "wire/json.h"

bool bulla_kms_glob(bulla_bytes pattern, bulla_bytes text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

/* What one statement says about the request. */
struct verdict {
	bool deny, allow, measurement, missing;
};

struct statement {
	bool allow, principal, action, resource, has_principal, has_action, has_resource, has_effect;
	enum bulla_kms_condition condition;
};

/* Actions compare without regard to case in AWS; we demand the real spelling, "kms:*" and "*" included. */
static bool match_glob(const void *arg, bulla_bytes pattern)
{
	const bulla_bytes *text = (const bulla_bytes *)arg;

	return text->n > 0 && bulla_kms_glob(pattern, *text);
}

/* The account of an ARN: arn:aws:iam::ACCOUNT:user/NAME. Empty: it has none. */
static bulla_bytes account_of(bulla_bytes arn)
{
	size_t from = 0, colons = 0;

	for (size_t i = 0; i < arn.n; i++) {
		if (arn.p[i] != ':')
			continue;
		if (++colons == 5)
			return bulla_bytes_of(arn.p + from, i - from);
		from = i + 1;
	}
	return (bulla_bytes){NULL, 0};
}

/* An ARN is that one, an account or its :root is everybody of the account, "*" everybody. */
static bool match_principal(const void *arg, bulla_bytes wanted)
{
	const struct bulla_kms_facts *facts = (const struct bulla_kms_facts *)arg;
	const bulla_bytes root = BULLA_BYTES_LITERAL(":root");
	bulla_bytes account;

	if (facts == NULL)
		return false;
	if (bulla_bytes_eq_str(wanted, "*"))
		return true;
	if (facts->principal.n == 0 || bulla_bytes_eq(wanted, facts->principal))
		return facts->principal.n > 0;
	account = account_of(facts->principal);
	if (account.n == 0 || bulla_bytes_eq(wanted, account))
		return account.n > 0;
	return wanted.n > root.n && bulla_bytes_eq(bulla_bytes_of(wanted.p + wanted.n - root.n, root.n), root) &&
		bulla_bytes_eq(account_of(wanted), account);
}

static bulla_rc read_principal(bulla_json value, const struct bulla_kms_facts *facts, bool *ret)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	bulla_json name, item;
	bool any = false;

	*ret = false;
	if (bulla_json_type(value) == BULLA_JSON_STRING) {
		if (!bulla_json_string_is(value, BULLA_BYTES_LITERAL("*")))
			return BULLA_FAIL(BULLA_E_FORMAT, "a Principal is \"*\" or {\"AWS\": ...}");
		*ret = facts != NULL;
		return BULLA_OK;
	}
	if (bulla_json_type(value) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a Principal is \"*\" or {\"AWS\": ...}");
	while (bulla_json_next(&iter, &name, &item)) {
		if (!bulla_json_string_is(name, BULLA_BYTES_LITERAL("AWS")))
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a Principal of another kind than AWS");
		BULLA_TRY(bulla_kms_any_string(item, match_principal, facts, &any));
		*ret = *ret || any;
	}
	return BULLA_OK;
}

static bulla_rc read_effect(bulla_json value, struct statement *statement)
{
	statement->has_effect = true;
	statement->allow = bulla_json_string_is(value, BULLA_BYTES_LITERAL("Allow"));
	if (!statement->allow && !bulla_json_string_is(value, BULLA_BYTES_LITERAL("Deny")))
		return BULLA_FAIL(BULLA_E_FORMAT, "an Effect is Allow or Deny");
	return BULLA_OK;
}

static bulla_rc read_member(bulla_json name, bulla_json value, const struct bulla_kms_facts *facts,
	struct statement *statement)
{
	bulla_bytes none = {NULL, 0};
	const bulla_bytes *action = facts == NULL ? &none : &facts->action;
	const bulla_bytes *resource = facts == NULL ? &none : &facts->resource;

	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Sid")))
		return BULLA_OK;
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Effect")))
		return read_effect(value, statement);
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Principal"))) {
		statement->has_principal = true;
		return read_principal(value, facts, &statement->principal);
	}
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Action"))) {
		statement->has_action = true;
		return bulla_kms_any_string(value, match_glob, action, &statement->action);
	}
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("NotAction"))) {
		statement->has_action = true;
		BULLA_TRY(bulla_kms_any_string(value, match_glob, action, &statement->action));
		statement->action = !statement->action;
		return BULLA_OK;
	}
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Resource"))) {
		statement->has_resource = true;
		return bulla_kms_any_string(value, match_glob, resource, &statement->resource);
	}
	if (bulla_json_string_is(name, BULLA_BYTES_LITERAL("Condition")))
		return bulla_kms_condition_eval(value, facts, &statement->condition);
	return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy statement has a part that is not evaluated here");
}

/* What a statement that holds for principal, action and resource adds to the verdict. */
static void judge_statement(const struct statement *s, const struct bulla_kms_facts *facts, struct verdict *verdict)
{
	if (s->condition == BULLA_KMS_HOLDS) {
		verdict->allow = verdict->allow || s->allow;
		verdict->deny = verdict->deny || !s->allow;
	} else if (s->condition == BULLA_KMS_FAILS_ATTESTED && s->allow) {
		verdict->measurement = verdict->measurement || facts->attested;
		verdict->missing = verdict->missing || !facts->attested;
	}
}

static bulla_rc read_statement(bulla_json value, const struct bulla_kms_facts *facts, struct verdict *verdict)
{
	struct bulla_json_iter iter = bulla_json_begin(value);
	struct statement s = {.condition = BULLA_KMS_HOLDS};
	bulla_json name, item;

	if (bulla_json_type(value) != BULLA_JSON_OBJECT)
		return BULLA_FAIL(BULLA_E_FORMAT, "a Statement is an object");
	while (bulla_json_next(&iter, &name, &item))
		BULLA_TRY(read_member(name, item, facts, &s));
	if (!s.has_effect || !s.has_principal || !s.has_action || !s.has_resource)
		return BULLA_FAIL(BULLA_E_FORMAT, "a Statement has Effect, Principal, Action and Resource");
	if (s.principal && s.action && s.resource)
		judge_statement(&s, facts, verdict);
	return BULLA_OK;
}

static bulla_rc read_policy(bulla_bytes policy, const struct bulla_kms_facts *facts, struct verdict *verdict)
{
	bulla_json root, statements, name, item;
	struct bulla_json_iter iter;

	if (policy.n > BULLA_KMS_POLICY_BYTES)
		return BULLA_FAIL(BULLA_E_LIMIT, "a policy has at most 32 KiB");
	BULLA_TRY(bulla_json_parse(policy, &root));
	iter = bulla_json_begin(root);
	while (bulla_json_next(&iter, &name, &item))
		if (!bulla_json_string_is(name, BULLA_BYTES_LITERAL("Version")) &&
			!bulla_json_string_is(name, BULLA_BYTES_LITERAL("Id")) &&
			!bulla_json_string_is(name, BULLA_BYTES_LITERAL("Statement")))
			return BULLA_FAIL(BULLA_E_UNSUPPORTED, "a policy has a part that is not evaluated here");
	if (bulla_json_get_str(root, "Statement", &statements) != BULLA_OK)
		return BULLA_FAIL(BULLA_E_FORMAT, "a policy has a Statement");
	if (bulla_json_type(statements) == BULLA_JSON_OBJECT)
		return read_statement(statements, facts, verdict);
	if (bulla_json_type(statements) != BULLA_JSON_ARRAY)
		return BULLA_FAIL(BULLA_E_FORMAT, "Statement is a list");
	iter = bulla_json_begin(statements);
	while (bulla_json_next(&iter, &name, &item))
		BULLA_TRY(read_statement(item, facts, verdict));
	return BULLA_OK;
}

bulla_rc bulla_kms_policy_check(bulla_bytes policy)
{
	struct verdict verdict = {false, false, false, false};

	return read_policy(policy, NULL, &verdict);
}

bulla_rc bulla_kms_policy_eval(bulla_bytes policy, const struct bulla_kms_facts *facts)
{
	struct verdict verdict = {false, false, false, false};

	BULLA_TRY(read_policy(policy, facts, &verdict));
	if (verdict.deny)
		return BULLA_FAIL(BULLA_E_DENIED, "the key's policy denies it");
	if (verdict.allow)
		return BULLA_OK;
	if (verdict.measurement)
		return BULLA_FAIL(BULLA_E_MEASUREMENT, "the key's policy allows other measurements");
	if (verdict.missing)
		return BULLA_FAIL(BULLA_E_EVIDENCE_MISSING, "the key's policy allows it with evidence only");
	return BULLA_FAIL(BULLA_E_DENIED, "the key's policy does not allow it");
}
