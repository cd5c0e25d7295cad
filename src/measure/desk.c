#include "measure/desk.h"

#include "base/mem.h"

measure_desk *measure_desks_new(uint32_t n) {
    measure_desk *desks = msfl_alloc(n, sizeof *desks);
    for (uint32_t i = 0; desks != NULL && i < n; i++)
        atomic_flag_clear(&desks[i].is_taken);
    return desks;
}

msfl_status measure_desks_furnish(measure_desk *desks, uint32_t n, uint32_t n_slots) {
    for (uint32_t i = 0; i < n; i++) {
        desks[i].slots = msfl_alloc(n_slots, sizeof *desks[i].slots);
        desks[i].totals = msfl_alloc(n_slots, sizeof *desks[i].totals);
        if (desks[i].slots == NULL || desks[i].totals == NULL) return MSFL_ERR_MEMORY;
    }
    return MSFL_OK;
}

void measure_desks_free(measure_desk *desks, uint32_t n) {
    if (desks == NULL) return;
    measure_desks_clear_encoders(desks, n);
    for (uint32_t i = 0; i < n; i++) {
        msfl_free(desks[i].slots);
        msfl_free(desks[i].totals);
    }
    msfl_free(desks);
}

msfl_status measure_desks_set_encoders(measure_desk *desks, uint32_t n, const msfl_update_layout *layout,
                                       const msfl_update_input *input) {
    for (uint32_t i = 0; i < n; i++) {
        msfl_status status = msfl_update_encoder_new(layout, input, &desks[i].encoder);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

void measure_desks_clear_encoders(measure_desk *desks, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        msfl_update_encoder_free(desks[i].encoder);
        desks[i].encoder = NULL;
    }
}

measure_desk *measure_desk_take(measure_desk *desks, uint32_t n) {
    for (;;) {
        for (uint32_t i = 0; i < n; i++) {
            if (!atomic_flag_test_and_set_explicit(&desks[i].is_taken, memory_order_acquire)) return &desks[i];
        }
    }
}

void measure_desk_give(measure_desk *desk) {
    atomic_flag_clear_explicit(&desk->is_taken, memory_order_release);
}
