#include "round/effects.h"

#include "base/mem.h"

msfl_status msfl_effects_add(msfl_effects *effects, msfl_effect_kind kind, uint32_t to, msfl_buffer *take) {
    msfl_status status = take->status;
    void *items = effects->items;
    if (status == MSFL_OK) status = msfl_grow(&items, &effects->capacity, effects->n + 1, sizeof *effects->items);
    if (status == MSFL_OK) {
        effects->items = items;
        effects->items[effects->n++] = (msfl_effect){kind, to, take->bytes, take->length, 0};
        *take = (msfl_buffer){0};
    }
    msfl_buffer_clear(take);
    return status;
}

msfl_status msfl_effects_drop(msfl_effects *effects, uint64_t number) {
    msfl_status status = msfl_effects_reserve(effects, 1);
    if (status == MSFL_OK) effects->items[effects->n++] = (msfl_effect){.kind = MSFL_EFFECT_DROP, .number = number};
    return status;
}

msfl_status msfl_effects_reserve(msfl_effects *effects, size_t n) {
    void *items = effects->items;
    msfl_status status = msfl_grow(&items, &effects->capacity, effects->n + n, sizeof *effects->items);
    if (status == MSFL_OK) effects->items = items;
    return status;
}

void msfl_effects_cut(msfl_effects *effects, size_t n) {
    while (effects->n > n)
        msfl_free(effects->items[--effects->n].bytes);
}

void msfl_effects_clear(msfl_effects *effects) {
    msfl_effects_cut(effects, 0);
    msfl_free(effects->items);
    *effects = (msfl_effects){0};
}
