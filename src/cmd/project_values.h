#pragma once
/* Values of bulla.yaml: words, names, times, sizes, counts. Each reports its own mistake and leaves *ret alone then. */
#include "cmd/project.h"

struct reader {
	struct arena *arena;
	struct diags *diags;
	struct project *project;
	bulla_rc rc; /* memory */
};

/* Memory for count objects of size bytes, or NULL with reader->rc set. */
void *reader_array(struct reader *reader, size_t count, size_t size);

/* The node is of that kind; reports otherwise. what: "a list", for the message. */
bool want_kind(struct reader *reader, const struct yaml_node *node, enum yaml_kind kind, const char *what);

/* A name: a letter, then letters, digits, `_` and `-`, at most 32. */
bool read_name(struct reader *reader, const struct yaml_node *node, const char **ret);

/* `500ms`, `2s`, `2m`, `2h`, `2d`: 1 ms to 400 days. */
bool read_time(struct reader *reader, const struct yaml_node *node, int64_t *ret_ms);

/* `512M`, `1G`: 16 MiB to 64 GiB. */
bool read_size(struct reader *reader, const struct yaml_node *node, uint64_t *ret);

/* A whole number in min..max. */
bool read_count(struct reader *reader, const struct yaml_node *node, unsigned min, unsigned max, unsigned *ret);

/* `true` or `false`. */
bool read_flag(struct reader *reader, const struct yaml_node *node, bool *ret);

/* The words of a command, split at blanks; '...' and "..." keep theirs together. No shell. */
bool read_words(struct reader *reader, const struct yaml_node *node, const char ***ret, unsigned *ret_count);

/* A list of scalars, or one scalar standing for a list of one. */
bool read_list(struct reader *reader, const struct yaml_node *node, unsigned max, const char ***ret, unsigned *ret_count);

/* Reports every key of map that is not among known; where: "a step". */
void check_keys(struct reader *reader, const struct yaml_node *map, const char *const *known, size_t count, const char *where);
