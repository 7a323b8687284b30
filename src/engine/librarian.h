#pragma once
/* The librarian: a thread that owns the catalogue and reads the journal back. Questions go in and answers come back over
 * rings; what it is told is gathered into transactions. Before it starts, the same catalogue serves recovery. */
#include "base/sys.h"
#include "engine/core.h"
#include "store/catalogue.h"

struct bulla_librarian; /* opaque */

struct bulla_librarian_answer {
	uint64_t ticket;
	enum bulla_engine_question question;
	bulla_rc rc;
	bulla_bytes body; /* valid until the next call of bulla_librarian_next */
};

/* Takes the catalogue over. disk: the journal's folder, used by the librarian's thread alone. */
BULLA_CHECK bulla_rc bulla_librarian_start(struct bulla_catalogue *catalogue, const struct bulla_disk *disk,
	struct bulla_librarian **ret);

/* Writes what it was told, ends the thread, closes the catalogue. NULL is allowed. */
struct bulla_librarian *bulla_librarian_stop(struct bulla_librarian *librarian);

/* As the effects of the same name (engine/core.h). tell never says BUSY: it keeps what does not fit. */
BULLA_CHECK bulla_rc bulla_librarian_ask(struct bulla_librarian *librarian, uint64_t ticket,
	enum bulla_engine_question question, bulla_bytes arg);
BULLA_CHECK bulla_rc bulla_librarian_tell(struct bulla_librarian *librarian, enum bulla_engine_question question,
	bulla_bytes arg);

/* What was told is handed over when there is enough of it, with the next question, or now. holds: something waits. */
void bulla_librarian_hand_over(struct bulla_librarian *librarian);
bool bulla_librarian_holds(const struct bulla_librarian *librarian);

/* Readable when an answer is there; then take answers until BULLA_E_AGAIN. BULLA_E_IO (final): the thread died. */
int bulla_librarian_fd(const struct bulla_librarian *librarian);
BULLA_CHECK bulla_rc bulla_librarian_next(struct bulla_librarian *librarian, struct bulla_librarian_answer *ret);

/* What `tell` does, at once and in this thread: for recovery. */
BULLA_CHECK bulla_rc bulla_librarian_apply(struct bulla_catalogue *catalogue, enum bulla_engine_question question,
	bulla_bytes arg);
