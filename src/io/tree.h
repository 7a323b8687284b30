#pragma once
/* The regular files below a folder, in rising byte order of their relative paths: what an agent's bundle is made of. */
#include "base/bytes.h"

#define BULLA_TREE_FILES 65536u
#define BULLA_TREE_PATH 4096u
#define BULLA_TREE_DEPTH 32
#define BULLA_TREE_BYTES ((size_t)16 << 20) /* of all paths together */

struct bulla_tree_sink {
	void *ctx;
	/* The next file; path is relative, '/'-separated. */
	bulla_rc (*file)(void *ctx, bulla_bytes path, bool executable, uint64_t size);
	/* Its content, in pieces; together exactly size bytes. */
	bulla_rc (*content)(void *ctx, bulla_bytes bytes);
};

/* Reads the folder. Links, devices, sockets and pipes are refused (BULLA_E_FORMAT), empty folders do not count, no link is
 * followed. BULLA_E_NOT_FOUND when there is no such folder, BULLA_E_LIMIT beyond the limits above, BULLA_E_CORRUPT when a
 * file changes while it is read. Stops at the first error of the sink. Blocks: for start-up. */
BULLA_CHECK bulla_rc bulla_tree_read(const char *folder, const struct bulla_tree_sink *sink);
