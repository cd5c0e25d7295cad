/* A round whose sum the hospitals open themselves: who signed its result stands in the record, and who another. */
#include "stage.h"

static void test_reports(void **state) {
    const char *folder = *state;
    static const char *const names[] = {"kits/a", "kits/b", "kits/c", "kits/d"};
    const msfl_provision_options plain = {0};
    msfl_provision_result r;
    static stage s;
    uint8_t other[32] = {1};
    s = (stage){.folder = folder};
    on_stage = &s;
    write_text(at(folder, "plan.yaml"), STAGE_PLAN);
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &plain, &r));
    for (uint32_t i = 0; i < 4; i++)
        ok(pki_kit_load(at(folder, names[i]), NULL, (int64_t)time(NULL), &s.kits[i]));
    ok(pki_kit_load(at(folder, "kits/hub"), NULL, (int64_t)time(NULL), &s.hub));
    stage_open(&s);
    stage_seat(&s, 4);
    hall_to_delivery(&s.h, 'a', 4);
    assert_int_equal(hall_tick(&s.h, 3000), MSFL_OK);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(hall_take_folded(&s.h, i), MSFL_OK);
        hall_report(&s.h, i, i == 3 ? other : NULL);
    }
    /* d refuses the record: it opened something else, and its operator has to look */
    msfl_effects effects = {0};
    uint8_t result[32];
    uint32_t agree;
    assert_true(msfl_coordinator_agreed(s.h.coordinator, result, &agree));
    assert_int_equal(agree, 3);
    ok(msfl_coordinator_finish(s.h.coordinator, result, &effects));
    (void)hall_carry(&s.h, 0, MSFL_COORDINATOR, &effects);
    stage_keep_record(&s);
    stage_leave(&s);
    stage_close(&s);
    msfl_audit *audit;
    const msfl_audit_options o = {.kit = at(folder, "kits/a")};
    ok(msfl_audit_verify(at(folder, "audit-a"), &o, &audit));
    const msfl_audit_round *v = msfl_audit_round_at(audit, 0);
    assert_int_equal(v->delivery, MSFL_DELIVERY_CLIENTS);
    assert_int_equal(v->own, MSFL_AUDIT_OWN_CONFIRMED);
    assert_in_range(v->n_answerers, 3, 4);
    assert_string_equal(v->answerers[1], "b");
    assert_string_equal(v->answerers[2], "c");
    assert_int_equal(v->n_reporters, 3);
    assert_string_equal(v->reporters[2], "c");
    assert_int_equal(v->n_dissenters, 1);
    assert_string_equal(v->dissenters[0], "d");
    msfl_audit_free(audit);
    for (uint32_t i = 0; i < 4; i++)
        pki_kit_free(s.kits[i]);
    pki_kit_free(s.hub);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_reports, folder_setup, folder_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
