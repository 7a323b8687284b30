#include "broker/ledger_queue.h"

#include "base/mem.h"

#define ROOM_FIRST 64u

void ledger_queue_init(struct ledger_queue *queue, size_t item, uint32_t max)
{
	*queue = (struct ledger_queue){.item = item, .max = max};
}

void ledger_queue_done(struct ledger_queue *queue)
{
	bulla_free(queue->items);
	*queue = (struct ledger_queue){.item = queue->item, .max = queue->max};
}

static void *place(const struct ledger_queue *queue, uint32_t number)
{
	return queue->items + (queue->head + number) % queue->room * queue->item;
}

static bulla_rc grow(struct ledger_queue *queue)
{
	uint32_t room = queue->room == 0 ? ROOM_FIRST : queue->room * 2;
	void *p = NULL;

	room = room < queue->max ? room : queue->max;
	BULLA_TRY(bulla_alloc(room, queue->item, &p));
	for (uint32_t i = 0; i < queue->count; i++)
		bulla_copy((uint8_t *)p + i * queue->item, place(queue, i), queue->item);
	bulla_free(queue->items);
	queue->items = p;
	queue->room = room;
	queue->head = 0;
	return BULLA_OK;
}

bulla_rc ledger_queue_push(struct ledger_queue *queue, void **ret)
{
	if (queue->count == queue->max)
		return BULLA_FAIL(BULLA_E_BUSY, "a queue of the ledger is full");
	if (queue->count == queue->room)
		BULLA_TRY(grow(queue));
	*ret = place(queue, queue->count++);
	return BULLA_OK;
}

void *ledger_queue_front(const struct ledger_queue *queue)
{
	return queue->count == 0 ? NULL : place(queue, 0);
}

void ledger_queue_pop(struct ledger_queue *queue)
{
	queue->count--;
	queue->head = queue->count == 0 ? 0 : (queue->head + 1) % queue->room;
}
