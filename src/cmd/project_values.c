#include "cmd/project_values.h"

#include <ctype.h>
#include <string.h>

void *reader_array(struct reader *reader, size_t count, size_t size)
{
	void *p = NULL;

	if (reader->rc == BULLA_OK)
		reader->rc = arena_alloc(reader->arena, (count == 0 ? 1 : count) * size, &p);
	return reader->rc == BULLA_OK ? p : NULL;
}

bool want_kind(struct reader *reader, const struct yaml_node *node, enum yaml_kind kind, const char *what)
{
	if (node->kind == kind)
		return true;
	diag_add(reader->diags, node->place, "wrong-type", "%s belongs here\n", what);
	return false;
}

bool read_name(struct reader *reader, const struct yaml_node *node, const char **ret)
{
	size_t n;

	if (!want_kind(reader, node, YAML_SCALAR, "a name"))
		return false;
	n = strlen(node->text);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)node->text[i];

		if (!isalpha(c) && (i == 0 || (!isdigit(c) && c != '_' && c != '-')))
			n = 0;
	}
	if (n == 0 || n > 32) {
		diag_add(reader->diags, node->place, "bad-name",
			"`%.40s` is not a name\na letter, then letters, digits, _ or -", node->text);
		return false;
	}
	*ret = node->text;
	return true;
}

/* Digits at the start of text: their value, at most 10^9, and what follows. */
static bool leading_number(const char *text, uint64_t *ret, const char **ret_rest)
{
	uint64_t value = 0;
	const char *p = text;

	for (; isdigit((unsigned char)*p); p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > UINT64_C(1000000000))
			return false;
	}
	*ret = value;
	*ret_rest = p;
	return p != text;
}

bool read_time(struct reader *reader, const struct yaml_node *node, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	const char *rest = "";
	uint64_t value = 0;

	if (!want_kind(reader, node, YAML_SCALAR, "a time"))
		return false;
	if (leading_number(node->text, &value, &rest))
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (strcmp(rest, units[i].unit) != 0)
				continue;
			if (value == 0 || value > UINT64_C(400) * 86400000 / units[i].ms)
				break;
			*ret_ms = (int64_t)(value * units[i].ms);
			return true;
		}
	if (leading_number(node->text, &value, &rest) && *rest == '\0')
		diag_add(reader->diags, node->place, "no-unit", "`%s` is not a time\n%ss, %sm, %sh or %sd", node->text, node->text,
			node->text, node->text, node->text);
	else
		diag_add(reader->diags, node->place, "bad-time",
			"`%.40s` is not a time\n500ms, 2s, 2m, 2h or 2d; at most 400d", node->text);
	return false;
}

bool read_size(struct reader *reader, const struct yaml_node *node, uint64_t *ret)
{
	const char *rest = "";
	uint64_t value = 0, unit = 0;

	if (!want_kind(reader, node, YAML_SCALAR, "a size"))
		return false;
	if (leading_number(node->text, &value, &rest) && rest[0] != '\0' && rest[1] == '\0')
		unit = rest[0] == 'M' ? UINT64_C(1) << 20 : rest[0] == 'G' ? UINT64_C(1) << 30 : 0;
	if (unit == 0 || value > (UINT64_C(64) << 30) / unit || value * unit < UINT64_C(16) << 20) {
		diag_add(reader->diags, node->place, "bad-size", "`%.40s` is not a size\n16M to 64G", node->text);
		return false;
	}
	*ret = value * unit;
	return true;
}

bool read_count(struct reader *reader, const struct yaml_node *node, unsigned min, unsigned max, unsigned *ret)
{
	const char *rest = "";
	uint64_t value = 0;

	if (!want_kind(reader, node, YAML_SCALAR, "a number"))
		return false;
	if (!leading_number(node->text, &value, &rest) || *rest != '\0' || value < min || value > max) {
		diag_add(reader->diags, node->place, "bad-number", "`%.40s` is not a number from %u to %u\n", node->text, min, max);
		return false;
	}
	*ret = (unsigned)value;
	return true;
}

bool read_flag(struct reader *reader, const struct yaml_node *node, bool *ret)
{
	if (!want_kind(reader, node, YAML_SCALAR, "true or false"))
		return false;
	if (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0) {
		diag_add(reader->diags, node->place, "bad-flag", "`%.40s` is neither true nor false\n", node->text);
		return false;
	}
	*ret = node->text[0] == 't';
	return true;
}

/* Copies one word starting at p (not a blank) to out; returns what follows it, or NULL when a quote stays open. */
static const char *one_word(const char *p, char *out)
{
	char quote = '\0';

	for (; *p != '\0' && (quote != '\0' || !isspace((unsigned char)*p)); p++) {
		if (quote == '\0' && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (quote != '\0' && *p == quote)
			quote = '\0';
		else
			*out++ = *p;
	}
	*out = '\0';
	return quote == '\0' ? p : NULL;
}

bool read_words(struct reader *reader, const struct yaml_node *node, const char ***ret, unsigned *ret_count)
{
	const char *p = node->text;
	const char **words;
	unsigned count = 0;

	if (!want_kind(reader, node, YAML_SCALAR, "a command"))
		return false;
	words = reader_array(reader, strlen(p) / 2 + 1, sizeof(*words));
	while (words != NULL) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0')
			break;
		char *word = reader_array(reader, strlen(p) + 1, 1);
		p = word == NULL ? NULL : one_word(p, word);
		if (p == NULL)
			break;
		words[count++] = word;
	}
	if (p == NULL || count == 0 || count > 64) {
		diag_add(reader->diags, node->place, "bad-command", "this is no command\nwords; at most 64, quotes closed");
		return false;
	}
	*ret = words;
	*ret_count = count;
	return true;
}

bool read_list(struct reader *reader, const struct yaml_node *node, unsigned max, const char ***ret, unsigned *ret_count)
{
	size_t count = node->kind == YAML_LIST ? node->count : 1;
	const char **items = reader_array(reader, count, sizeof(*items));
	const struct yaml_node *child = node->kind == YAML_LIST ? node->first : node;
	unsigned n = 0;

	if (items == NULL || node->kind == YAML_MAP || count > max) {
		diag_add(reader->diags, node->place, "wrong-type", "a list of at most %u belongs here\n", max);
		return false;
	}
	for (; n < count; n++, child = child->next) {
		if (!want_kind(reader, child, YAML_SCALAR, "a word"))
			return false;
		items[n] = child->text;
	}
	*ret = items;
	*ret_count = n;
	return true;
}

void check_keys(struct reader *reader, const struct yaml_node *map, const char *const *known, size_t count, const char *where)
{
	for (const struct yaml_node *child = map->first; child != NULL; child = child->next) {
		const char *near;
		bool found = false;

		for (size_t i = 0; i < count; i++)
			found = found || strcmp(known[i], child->key->text) == 0;
		if (found)
			continue;
		near = nearest(child->key->text, known, count);
		if (near != NULL)
			diag_add(reader->diags, child->key->place, "unknown-key", "%s has no key `%.40s`\ndid you mean `%s`?", where,
				child->key->text, near);
		else
			diag_add(reader->diags, child->key->place, "unknown-key", "%s has no key `%.40s`\n", where, child->key->text);
	}
}
