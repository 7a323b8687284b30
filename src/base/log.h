#pragma once
/* The log of programs. It cannot take plaintext: an event literal and typed pairs, no strings, no byte buffers. Library
 * folders never log. One line of JSON per event. */
#include "base/bytes.h"

enum bulla_log_level { BULLA_LOG_ERROR, BULLA_LOG_WARN, BULLA_LOG_INFO, BULLA_LOG_DEBUG };

enum bulla_log_kind { BULLA_LOG_END, BULLA_LOG_U64, BULLA_LOG_RC, BULLA_LOG_DIGEST };

struct bulla_log_pair {
	enum bulla_log_kind kind;
	const char *key; /* a literal */
	uint64_t number;
	const bulla_digest *digest;
};

#define bulla_log_u64(key_, value_) ((struct bulla_log_pair){BULLA_LOG_U64, "" key_, (uint64_t)(value_), NULL})
#define bulla_log_rc(value_) ((struct bulla_log_pair){BULLA_LOG_RC, "rc", (uint64_t)(value_), NULL})
#define bulla_log_digest(key_, digest_) ((struct bulla_log_pair){BULLA_LOG_DIGEST, "" key_, 0, (digest_)})

/* Where lines go: a file descriptor (2 by default) and the highest level written. Called once, at start. */
void bulla_log_init(int fd, enum bulla_log_level level);

/* One line of JSON; call bulla_log instead. pairs end with BULLA_LOG_END. What cannot be written is lost. */
void bulla_log_write(enum bulla_log_level level, const char *event, const struct bulla_log_pair *pairs);

/* bulla_log(BULLA_LOG_INFO, "engine.ready", bulla_log_u64("runs", n)); at least one pair. */
#define bulla_log(level_, event_, ...) \
	bulla_log_write((level_), "" event_, \
		(const struct bulla_log_pair[]){__VA_ARGS__, {BULLA_LOG_END, NULL, 0, NULL}})
