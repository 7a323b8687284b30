#include "verify/maker_seal.h"

#include "crypto/random.h"
#include "test.h"

static const uint8_t letters[] = "abeco";

static void make_birth(struct maker *maker, unsigned number)
{
	struct bulla_birth birth = {.tenant = maker->manifest.tenant, .epoch = maker->manifest.epoch,
		.manifest = maker->manifest.digest, .kem = BULLA_KEM_NUMBER_X25519,
		.public_key = bulla_bytes_of(maker->public_keys[number], 32), .policy_form = 1};
	struct bulla_buf buf;

	maker_handle(letters[number], &birth.agent);
	if (maker->hooks.birth != NULL)
		maker->hooks.birth(&birth);
	bulla_buf_init(&buf, BULLA_BIRTH_MAX);
	assert_ok(bulla_birth_make(&birth, maker->keys[maker->hooks.birth_signer], &buf));
	maker_put_buf(maker, BULLA_BUNDLE_BIRTH, &buf);
}

/* from: 0 the owner, 1 the instance, 2 party c. */
static void make_link(struct maker *maker, unsigned from, unsigned to)
{
	const int senders[] = {MAKER_OWNER, MAKER_INSTANCE, MAKER_PARTY};
	int signer = from == 1 && maker->hooks.link_signer >= 0 ? maker->hooks.link_signer : senders[from];
	struct bulla_link_spec spec = {.to = to < 3 ? BULLA_TO_AGENT : BULLA_TO_PARTY, .kem = &bulla_kem_x25519,
		.public_key = bulla_bytes_of(maker->public_keys[to], 32), .epoch = maker->manifest.epoch,
		.manifest = maker->manifest.digest};
	struct bulla_buf buf;

	maker_handle(letters[to], &spec.recipient);
	if (maker->hooks.link != NULL)
		maker->hooks.link(&spec, from * 5 + to);
	bulla_buf_init(&buf, BULLA_LINK_MAX);
	assert_ok(bulla_link_make(&spec, maker->keys[signer], bulla_random_os(), &buf, &maker->links[from][to]));
	maker_put_buf(maker, BULLA_BUNDLE_LINK, &buf);
}

void maker_links(struct maker *maker)
{
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < (maker->hooks.births > 0 ? maker->hooks.births : 1); k++)
			make_birth(maker, i);
	for (unsigned i = 0; i < 5; i++)
		make_link(maker, 0, i);
	for (unsigned i = 0; i < 5; i++)
		make_link(maker, 1, i);
	make_link(maker, 2, 2);
}

static unsigned number_of(const struct maker *maker, uint16_t actor)
{
	unsigned i = 0;

	while (letters[i] != maker->flow->actors[actor].handle[0])
		i++;
	return i;
}

/* Seals the output at this place of the slot; keeps its header and pair. */
void maker_seal(struct maker *maker, struct maker_slot *slot, struct bulla_position position, uint8_t kind,
	unsigned from, const bulla_digest *producer, struct bulla_flow_span readers)
{
	struct bulla_envelope_reader list[8];
	struct bulla_envelope_spec spec = {.position = position, .kind = kind, .path = bulla_path_whole, .producer = *producer,
		.instance = maker->instance_secret, .random = bulla_random_os(), .readers = list};
	struct bulla_pair *pair = &slot->pairs[slot->pair_count];
	struct bulla_envelope envelope;
	struct bulla_buf buf, header;

	for (uint32_t i = 0; i < readers.count; i++) {
		struct bulla_link *link = &maker->links[from][number_of(maker, maker->flow->readers[readers.first + i])];

		list[spec.reader_count++] = (struct bulla_envelope_reader){link->id, link->secret, BULLA_SECRET_NONE};
	}
	assert_ok(bulla_random_secret(bulla_random_os(), 32, &spec.salt));
	if (maker->hooks.envelope != NULL)
		maker->hooks.envelope(&spec);
	bulla_buf_init(&buf, BULLA_ENVELOPE_MAX);
	bulla_buf_init(&header, sizeof(slot->headers[0]));
	assert_ok(bulla_envelope_seal(&spec, BULLA_BYTES_LITERAL("{}"), &buf, &pair->envelope, &pair->commitment));
	assert_ok(bulla_envelope_parse(bulla_buf_view(&buf), &envelope));
	assert_ok(bulla_envelope_strip(&envelope, &header));
	bulla_copy(slot->headers[slot->pair_count], header.p, header.n);
	slot->header_sizes[slot->pair_count++] = header.n;
	bulla_secret_free(&spec.salt);
	bulla_buf_done(&buf);
	bulla_buf_done(&header);
}

void maker_headers(struct maker *maker, const struct maker_slot *slot)
{
	for (size_t i = 0; i < slot->pair_count; i++)
		if (slot->header_sizes[i] > 0)
			maker_put(maker, BULLA_BUNDLE_ENVELOPE_HEADER, bulla_bytes_of(slot->headers[i], slot->header_sizes[i]));
}

void maker_outputs(struct maker *maker, const struct bulla_receipt *receipt, struct maker_slot *ret)
{
	const struct bulla_flow_step *step = &maker->flow->steps[receipt->position.slot.step];
	unsigned from = receipt->executor != BULLA_EXECUTOR_PARTY ? 1 : maker->hooks.answerer == MAKER_OWNER ? 0 : 2;

	*ret = (struct maker_slot){.pair_count = 0};
	if (receipt->executor == BULLA_EXECUTOR_CLOCK)
		return;
	if (receipt->outcome >= 64)
		maker_seal(maker, ret, receipt->position, BULLA_ENVELOPE_FAILURE, from, &receipt->kid, maker->flow->log_readers);
	for (uint32_t i = 0; receipt->outcome < 64 && i < step->parts.count; i++)
		maker_seal(maker, ret, receipt->position, BULLA_ENVELOPE_OUTPUT, from, &receipt->kid,
			maker->flow->parts[step->parts.first + i].readers);
	if (receipt->position.slot.step == 5 && maker->hooks.more_outputs)
		ret->pairs[ret->pair_count++] = maker->outputs[0].pairs[0];
}

const uint8_t maker_day_public[32] = "the public key of this day";

void maker_day_key(struct maker *maker)
{
	struct bulla_day_key day = {1, BULLA_BYTES_ARRAY(maker_day_public), MAKER_T0 - 3600000,
		maker->hooks.old_day ? MAKER_T0 : MAKER_T0 + 86400000};
	struct bulla_buf buf;

	bulla_buf_init(&buf, BULLA_DAY_KEY_MAX);
	assert_ok(bulla_day_key_make(&day, maker->keys[maker->hooks.day_signer], &buf));
	maker_put_buf(maker, BULLA_BUNDLE_DAY_KEY, &buf);
}
