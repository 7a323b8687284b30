#include "cmd/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 16

struct builder {
	struct arena *arena;
	struct diags *diags;
	bulla_bytes text;
	yaml_parser_t parser;
	struct yaml_node *open[DEPTH_MAX];  /* lists and maps not yet ended */
	struct yaml_node **tail[DEPTH_MAX]; /* where the next child of each goes */
	struct yaml_node *key[DEPTH_MAX];   /* the key waiting for its value */
	unsigned depth;
	struct yaml_node *root;
	bool ended;
};

static struct place place_of(const yaml_event_t *event)
{
	struct place place = {(unsigned)event->start_mark.line + 1, (unsigned)event->start_mark.column + 1, 1};

	if (event->type == YAML_SCALAR_EVENT && event->end_mark.line == event->start_mark.line &&
		event->end_mark.column > event->start_mark.column)
		place.width = (unsigned)(event->end_mark.column - event->start_mark.column);
	return place;
}

static bool is_duplicate(const struct yaml_node *map, const char *text)
{
	for (const struct yaml_node *child = map->first; child != NULL; child = child->next)
		if (strcmp(child->key->text, text) == 0)
			return true;
	return false;
}

/* Puts a finished node where it belongs: as root, list element, key or value. */
static void attach(struct builder *b, struct yaml_node *node)
{
	unsigned top = b->depth - 1;

	if (b->depth == 0) {
		b->root = node;
		return;
	}
	if (b->open[top]->kind == YAML_MAP && b->key[top] == NULL) {
		if (node->kind != YAML_SCALAR)
			diag_add(b->diags, node->place, "yaml", "a key is a word\n");
		else if (is_duplicate(b->open[top], node->text))
			diag_add(b->diags, node->place, "duplicate-key", "`%s` is there twice\nkeep one", node->text);
		b->key[top] = node;
		return;
	}
	node->key = b->key[top];
	b->key[top] = NULL;
	*b->tail[top] = node;
	b->tail[top] = &node->next;
	b->open[top]->count++;
}

static bulla_rc new_node(struct builder *b, enum yaml_kind kind, const yaml_event_t *event, struct yaml_node **ret)
{
	void *p = NULL;

	BULLA_TRY(arena_alloc(b->arena, sizeof(struct yaml_node), &p));
	*ret = (struct yaml_node *)p;
	(*ret)->kind = kind;
	(*ret)->place = place_of(event);
	(*ret)->text = "";
	return BULLA_OK;
}

static bulla_rc scalar(struct builder *b, const yaml_event_t *event)
{
	struct yaml_node *node = NULL;
	bulla_bytes text = bulla_bytes_of(event->data.scalar.value, event->data.scalar.length);

	BULLA_TRY(new_node(b, YAML_SCALAR, event, &node));
	BULLA_TRY(arena_text(b->arena, text, &node->text));
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strlen(node->text) != text.n)
		diag_add(b->diags, node->place, "yaml", "a value holds a zero byte\n");
	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		diag_add(b->diags, node->place, "yaml", "anchors and tags have no meaning here\nwrite the value out");
	attach(b, node);
	return BULLA_OK;
}

static bulla_rc begin(struct builder *b, enum yaml_kind kind, const yaml_event_t *event)
{
	struct yaml_node *node = NULL;

	BULLA_TRY(new_node(b, kind, event, &node));
	if (b->depth == DEPTH_MAX) {
		diag_add(b->diags, node->place, "yaml", "lists and maps are nested too deep\nat most 16 levels");
		return BULLA_FAIL(BULLA_E_LIMIT, "the file is nested too deep");
	}
	attach(b, node);
	b->open[b->depth] = node;
	b->tail[b->depth] = &node->first;
	b->key[b->depth] = NULL;
	b->depth++;
	return BULLA_OK;
}

static bulla_rc handle(struct builder *b, const yaml_event_t *event)
{
	struct yaml_node ignored = {.place = place_of(event)};

	switch ((int)event->type) {
	case YAML_SCALAR_EVENT:
		return scalar(b, event);
	case YAML_SEQUENCE_START_EVENT:
		return begin(b, YAML_LIST, event);
	case YAML_MAPPING_START_EVENT:
		return begin(b, YAML_MAP, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return BULLA_OK;
	case YAML_ALIAS_EVENT:
		diag_add(b->diags, ignored.place, "yaml", "aliases have no meaning here\nwrite the value out");
		return BULLA_FAIL(BULLA_E_FORMAT, "the file has an alias");
	case YAML_STREAM_END_EVENT:
		b->ended = true;
		return BULLA_OK;
	case YAML_DOCUMENT_START_EVENT:
		if (b->root == NULL)
			return BULLA_OK;
		diag_add(b->diags, ignored.place, "yaml", "a second document begins\none file, one document");
		return BULLA_FAIL(BULLA_E_FORMAT, "the file has a second document");
	default:
		return BULLA_OK;
	}
}

/* libyaml names the byte where its reader gave up, and no line. */
static struct place place_of_byte(bulla_bytes text, size_t offset)
{
	struct place place = {1, 1, 1};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		bool inside = (text.p[i] & 0xc0) == 0x80; /* columns count characters */

		place.column = text.p[i] == '\n' ? 1 : place.column + !inside;
		place.line += text.p[i] == '\n';
	}
	return place;
}

/* `key: a: b` is the mistake people make most: say it the way they can mend it. */
static void report_problem(struct builder *b)
{
	const yaml_parser_t *parser = &b->parser;
	struct place place = {(unsigned)parser->problem_mark.line + 1, (unsigned)parser->problem_mark.column + 1, 1};
	const char *problem = parser->problem == NULL ? "the text is not YAML" : parser->problem;

	if (parser->error == YAML_READER_ERROR)
		diag_add(b->diags, place_of_byte(b->text, parser->problem_offset), "yaml", "%s\ntext in UTF-8", problem);
	else if (strstr(problem, "mapping values are not allowed") != NULL)
		diag_add(b->diags, place, "yaml", "`: ` inside a value needs quotes\nput the whole value into \"...\"");
	else if (strstr(problem, "cannot start any token") != NULL)
		diag_add(b->diags, place, "yaml", "this character cannot start a value\nindent with blanks; quote the value");
	else
		diag_add(b->diags, place, "yaml", "%s\n", problem);
}

bulla_rc yaml_parse(struct arena *arena, bulla_bytes text, struct diags *diags, struct yaml_node **ret_root)
{
	struct builder b = {.arena = arena, .diags = diags, .text = text};
	bulla_rc rc = BULLA_OK;

	if (!yaml_parser_initialize(&b.parser))
		return BULLA_FAIL(BULLA_E_MEMORY, "no memory for the YAML parser");
	yaml_parser_set_input_string(&b.parser, text.n == 0 ? (const uint8_t *)"" : text.p, text.n); /* it asserts on NULL */
	while (rc == BULLA_OK && !b.ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&b.parser, &event)) {
			report_problem(&b);
			rc = BULLA_FAIL(BULLA_E_FORMAT, "the text is not YAML");
			break;
		}
		rc = handle(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&b.parser);
	*ret_root = rc == BULLA_OK ? b.root : NULL;
	/* mistakes of the text are in diags, which the caller prints; only lack of memory is an error of its own */
	return rc == BULLA_E_MEMORY ? rc : BULLA_OK;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	for (struct yaml_node *child = map->first; child != NULL; child = child->next)
		if (child->key != NULL && child->key->text != NULL && strcmp(child->key->text, key) == 0)
			return child;
	return NULL;
}
