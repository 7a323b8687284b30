#pragma once
/* YAML as a small tree that keeps the place of every node: libyaml's events, no anchors, no tags, no merges. */
#include "cmd/diag.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	struct place place;
	bool plain;             /* a scalar without quotes */
	const char *text;       /* scalar: zero-terminated; else "" */
	size_t count;           /* children of a list, pairs of a map */
	struct yaml_node *key;  /* child of a map: its key, a scalar */
	struct yaml_node *first;
	struct yaml_node *next; /* sibling */
};

/* Parses one document. Mistakes of YAML itself, duplicate keys, anchors, aliases and tags go to diags; *ret_root is NULL
 * when there is nothing usable. Limits: depth 16, 1 MiB of text. */
BULLA_CHECK bulla_rc yaml_parse(struct arena *arena, bulla_bytes text, struct diags *diags, struct yaml_node **ret_root);

/* The value under key, or NULL. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
