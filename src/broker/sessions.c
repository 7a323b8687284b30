#include "broker/sessions.h"

#include "base/mem.h"

struct session {
	uint8_t id[BULLA_SESSION_ID];
	int64_t lapses_ms;
	struct bulla_session_keys keys;
	bool used;
};

struct bulla_sessions {
	struct session list[BULLA_SESSIONS_MAX];
	size_t last; /* where the last look-up was: steps of one instance come in rows */
	size_t count, top;
};

bulla_rc bulla_sessions_new(struct bulla_sessions **ret)
{
	void *p = NULL;

	BULLA_TRY(bulla_alloc(1, sizeof(struct bulla_sessions), &p));
	*ret = (struct bulla_sessions *)p;
	return BULLA_OK;
}

struct bulla_sessions *bulla_sessions_free(struct bulla_sessions *sessions)
{
	if (sessions == NULL)
		return NULL;
	for (size_t i = 0; i < sessions->top; i++)
		bulla_session_keys_done(&sessions->list[i].keys);
	bulla_free(sessions);
	return NULL;
}

static bool is(const struct session *session, const uint8_t id[BULLA_SESSION_ID])
{
	return session->used && bulla_bytes_eq(BULLA_BYTES_ARRAY(session->id), bulla_bytes_of(id, BULLA_SESSION_ID));
}

bulla_rc bulla_sessions_add(struct bulla_sessions *sessions, const uint8_t id[BULLA_SESSION_ID], bulla_secret exporter,
	int64_t lapses_ms)
{
	struct session *session;
	size_t at = 0;

	while (at < sessions->top && sessions->list[at].used)
		at++;
	if (at == BULLA_SESSIONS_MAX)
		return BULLA_FAIL(BULLA_E_BUSY, "too many sessions live");
	session = &sessions->list[at];
	*session = (struct session){.lapses_ms = lapses_ms};
	BULLA_TRY(bulla_session_keys_derive(bulla_secret_view(exporter), &session->keys));
	bulla_copy(session->id, id, BULLA_SESSION_ID);
	session->used = true;
	sessions->count++;
	sessions->top = at == sessions->top ? at + 1 : sessions->top;
	return BULLA_OK;
}

bulla_rc bulla_sessions_keys(struct bulla_sessions *sessions, const uint8_t id[BULLA_SESSION_ID],
	const struct bulla_session_keys **ret)
{
	for (size_t i = 0; i < sessions->top; i++) {
		size_t at = (sessions->last + i) % sessions->top;

		if (!is(&sessions->list[at], id))
			continue;
		sessions->last = at;
		*ret = &sessions->list[at].keys;
		return BULLA_OK;
	}
	return BULLA_FAIL(BULLA_E_SESSION, "no such session");
}

bulla_digest bulla_session_cell_id(const uint8_t id[BULLA_SESSION_ID])
{
	bulla_digest ret = {{0}};

	bulla_copy(ret.b, id, BULLA_SESSION_ID);
	return ret;
}

static bulla_rc drop(struct bulla_sessions *sessions, struct session *session, struct bulla_cells *cells)
{
	bulla_digest id = bulla_session_cell_id(session->id);

	bulla_session_keys_done(&session->keys);
	session->used = false;
	sessions->count--;
	return bulla_cells_erase(cells, BULLA_CELL_SESSION, &id);
}

bulla_rc bulla_sessions_make_room(struct bulla_sessions *sessions, struct bulla_cells *cells)
{
	struct session *first = &sessions->list[0];

	if (sessions->count < BULLA_SESSIONS_MAX)
		return BULLA_OK;
	for (size_t i = 1; i < BULLA_SESSIONS_MAX; i++)
		if (sessions->list[i].lapses_ms < first->lapses_ms)
			first = &sessions->list[i];
	return drop(sessions, first, cells);
}

bulla_rc bulla_sessions_expire(struct bulla_sessions *sessions, struct bulla_cells *cells, int64_t now_ms)
{
	for (size_t i = 0; i < sessions->top; i++) {
		struct session *session = &sessions->list[i];

		if (session->used && now_ms - session->lapses_ms >= BULLA_SESSION_GRACE_MS)
			BULLA_TRY(drop(sessions, session, cells));
	}
	return BULLA_OK;
}

size_t bulla_sessions_count(const struct bulla_sessions *sessions)
{
	return sessions->count;
}
