/* What there is to import, as a list. */
#include "import/items.h"

#include "base/mem.h"

#include <string.h>

static const uint8_t nobody[MSFL_HASH_BYTES];

void msfl_items_clear(msfl_items *items) {
    msfl_paths_clear(&items->paths);
    msfl_words_clear(&items->labels);
    msfl_rows_clear(&items->patients);
    msfl_rows_clear(&items->stacks);
    msfl_free(items->files);
    msfl_free(items->list);
    msfl_free(items->label_key);
    msfl_free(items->patient_key);
    *items = (msfl_items){0};
}

void msfl_items_made(msfl_items *items) {
    msfl_paths_clear(&items->paths);
    msfl_free(items->files);
    msfl_free(items->list);
    items->files = NULL;
    items->list = NULL;
    items->capacity = items->n_files = items->files_capacity = 0;
}

msfl_status msfl_items_reserve(msfl_items *items, size_t n) {
    if (n <= items->capacity) return MSFL_OK;
    msfl_item *list = msfl_alloc(n, sizeof *list);
    if (list == NULL) return MSFL_NO_MEMORY;
    if (items->n > 0) memcpy(list, items->list, items->n * sizeof *list);
    msfl_free(items->list);
    items->list = list;
    items->capacity = n;
    return MSFL_OK;
}

/* Files of one patient mostly follow each other: then he is noted once. */
static msfl_status add_patient(msfl_items *items, const uint8_t *patient, uint32_t *number) {
    *number = 0;
    if (patient == NULL || memcmp(patient, nobody, sizeof nobody) == 0) return MSFL_OK;
    const size_t n = items->patients.n;
    if (n == 0 || memcmp(msfl_rows_at(&items->patients, n - 1, sizeof nobody), patient, sizeof nobody) != 0) {
        uint8_t *row = msfl_rows_add(&items->patients, sizeof nobody);
        if (row == NULL) return MSFL_NO_MEMORY;
        memcpy(row, patient, sizeof nobody);
    }
    *number = (uint32_t)items->patients.n;
    return MSFL_OK;
}

msfl_status msfl_items_add(msfl_items *items, const msfl_item *item, const char *label, const uint8_t *patient) {
    msfl_item added = *item;
    void *list = items->list;
    msfl_status status = msfl_grow(&list, &items->capacity, items->n + 1, sizeof *items->list);
    items->list = list;
    if (status == MSFL_OK) status = msfl_words_add(&items->labels, label, &added.label);
    if (status == MSFL_OK) status = add_patient(items, patient, &added.patient);
    if (status == MSFL_OK) items->list[items->n++] = added;
    return status;
}

const char *msfl_items_label(const msfl_items *items, const msfl_item *item) {
    return msfl_words_get(&items->labels, item->label);
}

const uint8_t *msfl_items_patient(const msfl_items *items, const msfl_item *item) {
    return item->patient == 0 ? nobody : msfl_rows_at(&items->patients, item->patient - 1, sizeof nobody);
}

const msfl_stack *msfl_items_stack_of(const msfl_items *items, const msfl_item *item) {
    return item->stack == 0 ? NULL : msfl_rows_at(&items->stacks, item->stack - 1, sizeof(msfl_stack));
}

char *msfl_items_path(const msfl_items *items, const msfl_item *item, uint32_t k) {
    return msfl_paths_get(&items->paths, k < item->n ? items->files[item->first + k] : item->mask);
}
