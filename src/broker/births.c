#include "broker/births.h"

#include "base/checks.h"
#include "base/mem.h"

struct bulla_birth_row {
	bulla_handle agent;
	uint64_t epoch;
	struct bulla_buf body;
};

bulla_rc bulla_births_init(struct bulla_births *births)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(BULLA_BIRTHS_MAX, sizeof(struct bulla_birth_row), &p));
	*births = (struct bulla_births){.rows = (struct bulla_birth_row *)p};
	return BULLA_OK;
}

void bulla_births_done(struct bulla_births *births)
{
	for (size_t i = 0; i < births->count; i++)
		bulla_buf_done(&births->rows[i].body);
	bulla_free(births->rows);
	*births = (struct bulla_births){.rows = NULL};
}

bulla_rc bulla_births_find(const struct bulla_births *births, bulla_bytes agent, uint64_t epoch, bulla_bytes *ret_body)
{
	for (size_t i = 0; i < births->count; i++) {
		const struct bulla_birth_row *row = &births->rows[i];

		if (row->epoch != epoch || !bulla_bytes_eq(BULLA_BYTES_ARRAY(row->agent.b), agent))
			continue;
		*ret_body = bulla_buf_view(&row->body);
		return BULLA_OK;
	}
	return BULLA_E_BIRTH_MISSING; /* an answer, not a fault: the asker gives birth */
}

bulla_rc bulla_births_add(struct bulla_births *births, bulla_bytes body)
{
	struct bulla_birth_row *row = &births->rows[births->count];
	struct bulla_msg_birth message;
	bulla_bytes there;

	BULLA_TRY(bulla_msg_birth_decode(body, &message));
	if (births->count == BULLA_BIRTHS_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "too many births");
	if (BULLA_CHECK_ON(BIRTH_FIRST) && bulla_births_find(births, message.agent, message.epoch, &there) == BULLA_OK)
		return BULLA_E_EXISTS;
	BULLA_TRY(bulla_bytes_copy_exact(message.agent, sizeof(row->agent.b), row->agent.b));
	row->epoch = message.epoch;
	bulla_buf_init(&row->body, BULLA_BIRTH_BODY_MAX);
	BULLA_TRY(bulla_buf_append(&row->body, body));
	births->count++;
	return BULLA_OK;
}

bulla_rc bulla_births_next(const struct bulla_births *births, uint64_t epoch, size_t *cursor, bulla_bytes *ret_body)
{
	for (; *cursor < births->count; ++*cursor) {
		if (births->rows[*cursor].epoch != epoch)
			continue;
		*ret_body = bulla_buf_view(&births->rows[(*cursor)++].body);
		return BULLA_OK;
	}
	return BULLA_E_NOT_FOUND;
}
